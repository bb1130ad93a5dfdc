"""Proxies of the environment, by a real one on this machine: used, or named as what is wrong, and never with a login.

`weights.example.pem` holds the key and the certificate of a server that exists in these tests alone.
"""

import base64
import contextlib
import logging
import os
import socket
import socketserver
import ssl
import threading
from pathlib import Path

import pytest

from zoo.errors import OfflineError
from zoo.files.addresses import is_loopback
from zoo.files.proxies import proxy_for

PEM = Path(__file__).with_name("weights.example.pem")
HOST = "https://weights.example/"
LOGIN = "us%40er:pa%2Fss%20w%C3%B6rd"
HEADER = f"Basic {base64.b64encode('us@er:pa/ss wörd'.encode()).decode()}"
SECRETS = ("us@er", "us%40er", "pa/ss", "pa%2Fss", "wörd", HEADER)


class Tunnel(socketserver.ThreadingTCPServer):
    """A proxy that answers CONNECT with a status, and leads every host to one server."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port, status=b"200 Fine"):
        super().__init__(("127.0.0.1", 0), Connect)
        self.to, self.status, self.asked = ("127.0.0.1", port), status, []
        self.at = f"127.0.0.1:{self.server_address[1]}"


class Connect(socketserver.StreamRequestHandler):
    def handle(self):
        lines = []
        while line := self.rfile.readline().strip():
            lines.append(line.decode("latin-1"))
        self.server.asked.append(lines)
        self.wfile.write(b"HTTP/1.1 " + self.server.status + b"\r\n\r\n")
        if self.server.status.startswith(b"200"):
            with socket.create_connection(self.server.to) as onward:
                back = threading.Thread(target=pump, args=(onward, self.connection), daemon=True)
                back.start()
                pump(self.connection, onward)
                back.join(5)


def pump(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def tunnel(server, monkeypatch):
    """Give a way to start a proxy in front of the server of faults, which speaks TLS here."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name == "SSL_CERT_FILE"]:
        monkeypatch.delenv(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with contextlib.ExitStack() as running:

        def start(**settings):
            proxy = running.enter_context(Tunnel(server.server_port, **settings))
            threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
            running.callback(proxy.shutdown)
            return proxy

        yield start


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("form", ["http://{login}@{at}", "{login}@{at}", "http://{login}@{at}/"])
def test_a_proxy_is_used_with_its_login_under_any_of_its_names(
    variable, form, tunnel, monkeypatch, fetched, right, caplog
):
    caplog.set_level(logging.DEBUG, "zoo")
    proxy = tunnel()
    monkeypatch.setenv(variable, form.format(login=LOGIN, at=proxy.at))
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    assert fetched(f"{HOST}right").read_bytes() == right
    assert proxy.asked[0][0].startswith("CONNECT weights.example:443 HTTP/1.")
    assert f"Proxy-Authorization: {HEADER}" in proxy.asked[0]
    assert not any(secret in caplog.text for secret in SECRETS)


def test_the_proxy_of_https_goes_before_the_one_of_everything(monkeypatch, tunnel):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert str(proxy_for(HOST)) == "the proxy proxy.example:3128 of HTTPS_PROXY"
    monkeypatch.setenv("NO_PROXY", "weights.example")
    assert proxy_for(HOST) is None


def test_this_machine_is_asked_without_a_proxy(monkeypatch, tunnel):
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    assert is_loopback("http://localhost:1/")
    assert proxy_for("http://localhost:1/") is None


UNREADABLE = "the proxy of HTTPS_PROXY cannot be read; expected http://HOST:PORT, with USER:PASSWORD@ before HOST if"


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://user:pa/ss@127.0.0.1:3128", UNREADABLE),
        ("user:12/ss@127.0.0.1:3128", UNREADABLE),
        ("http://user:pa?ss@127.0.0.1:3128", UNREADABLE),
        ("http://user:12#ss@127.0.0.1:3128", UNREADABLE),
        ("http://127.0.0.1:99999", UNREADABLE),
        ("http://user:pass@", UNREADABLE),
        (
            "socks5h://user:pa@127.0.0.1:1080",
            "the proxy of HTTPS_PROXY is SOCKS, which is not supported; expected http",
        ),
        ("ftp://user:pa@127.0.0.1:21", "the proxy of HTTPS_PROXY is not an HTTP proxy; expected http://HOST:PORT, w"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(proxy, reason, tunnel, monkeypatch, refused):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    message = refused(OfflineError, f"{HOST}right")
    assert message.startswith(f"{HOST}right cannot be reached: {reason}")
    assert not any(secret in message for secret in ("user:", "pa/ss", "ss@", ":pa", "12/"))


@pytest.mark.parametrize(
    ("status", "login", "reason"),
    [
        (
            b"407 Say \x1b[31mwho",
            "",
            "asks for a user and a password (407); put USER:PASSWORD@ before the host in HTTPS_PROXY",
        ),
        (b"407 No", f"{LOGIN}@", "does not take the user and the password given (407); put USER:PASSWORD@ before the"),
        (b"403 No", f"{LOGIN}@", "answered 403"),
    ],
)
def test_a_proxy_that_refuses_is_named_without_its_login(status, login, reason, tunnel, monkeypatch, refused):
    proxy = tunnel(status=status)
    monkeypatch.setenv("HTTPS_PROXY", f"http://{login}{proxy.at}")
    message = refused(OfflineError, f"{HOST}right")
    assert f"{HOST}right cannot be reached, since the proxy {proxy.at} of HTTPS_PROXY {reason}" in message
    assert not any(secret in message for secret in SECRETS)
    assert len(proxy.asked) == 1


def test_a_proxy_that_is_not_there_is_named_without_its_login(tunnel, monkeypatch, refused):
    proxy = tunnel()
    proxy.server_close()
    monkeypatch.setenv("HTTPS_PROXY", f"http://{LOGIN}@{proxy.at}")
    message = refused(OfflineError, f"{HOST}right")
    reason = f"since the proxy {proxy.at} of HTTPS_PROXY cannot be reached (Connection refused), with 0 of"
    assert f"{HOST}right cannot be reached, {reason}" in message
    assert not any(secret in message for secret in SECRETS)


def test_certificates_of_a_networks_own_are_told_with_where_to_name_them(tunnel, monkeypatch, refused):
    proxy = tunnel()
    monkeypatch.setenv("HTTPS_PROXY", proxy.at)
    message = refused(OfflineError, f"{HOST}right")
    assert (
        f"cannot be reached through the proxy {proxy.at} of HTTPS_PROXY, since it shows a certificate that" in message
    )
    assert "cannot be trusted (self-signed certificate); if your network or proxy has its own certificates" in message
    assert "name their file in SSL_CERT_FILE, with 0 of" in message
    monkeypatch.setenv("SSL_CERT_FILE", "/lost/ca.pem")
    assert "in SSL_CERT_FILE, which is '/lost/ca.pem' at present" in refused(OfflineError, f"{HOST}right")


def test_a_certificate_of_another_name_is_told(tunnel, monkeypatch, refused):
    monkeypatch.setenv("HTTPS_PROXY", tunnel().at)
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    message = refused(OfflineError, "https://other.example/right")
    assert "since it shows a certificate that cannot be trusted (Hostname mismatch" in message
    assert "SSL_CERT_FILE" not in message


def test_a_slow_server_behind_tls_and_a_proxy_is_given_up(tunnel, monkeypatch, fetched):
    from zoo.files.deadlines import Patience

    monkeypatch.setenv("HTTPS_PROXY", tunnel().at)
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    with pytest.raises(OfflineError, match="slow_headers sent less than 1000 bytes a second"):
        fetched(f"{HOST}slow_headers", patience=Patience(window_s=0.5))
