"""Connections to a server: through the proxy that the environment names, watched, and with causes for failures.

No message contains a user name or a password: a proxy is named only by its host and port.
"""

import base64
import os
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import PoolManager, ProxyManager, exceptions
from urllib3.util import parse_url

from zoo.errors import OfflineError
from zoo.files.addresses import is_loopback
from zoo.files.deadlines import Watch

# OpenSSL's error numbers for a certificate chain whose root is unknown to this machine.
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)
_FORM = "http://HOST:PORT, with USER:PASSWORD@ before HOST if it wants a login"


@dataclass(frozen=True)
class Proxy:
    """A proxy of the environment: the variable that names it, its address without a login, and its login."""

    variable: str
    address: str
    login: str | None = field(repr=False)

    def __str__(self) -> str:
        """Name it for a message."""
        return f"the proxy {self.address.partition('://')[2]} of {self.variable}"


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy that the environment names for an address, None for an address that is reached directly.

    Raises OfflineError, with a predicate of the source as message, if the proxy cannot be used.
    """
    named = getproxies()
    scheme = urlsplit(url).scheme
    key = next((key for key in (scheme, "all") if named.get(key)), None)
    if key is None or is_loopback(url) or proxy_bypass(urlsplit(url).hostname or ""):
        return None
    variable = f"{key}_proxy".upper()
    value = named[key] if "://" in named[key] else f"http://{named[key]}"
    kind = value.partition("://")[0].lower()
    if kind not in ("http", "https"):
        known = "SOCKS, which is not supported" if kind.startswith("socks") else "not an HTTP proxy"
        raise OfflineError(f"cannot be reached: the proxy of {variable} is {known}; expected {_FORM}")
    try:
        parts = parse_url(value)
    except exceptions.LocationParseError:
        parts = parse_url("")
    # A proxy's address ends with the host: anything after it comes from an unescaped slash in a password.
    if not parts.host or "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise OfflineError(
            f"cannot be reached: the proxy of {variable} cannot be read; expected {_FORM}; "
            "write '/', '@', ':', '#' and '?' of a user or password as %2F, %40, %3A, %23 and %3F"
        )
    port = parts.port or (443 if kind == "https" else 80)
    return Proxy(variable, f"{kind}://{parts.host}:{port}", parts.auth)


def pool(proxy: Proxy | None) -> PoolManager:
    """Return a pool of connections, through the proxy if there is one."""
    if proxy is None:
        return PoolManager()
    login = None if proxy.login is None else base64.b64encode(unquote(proxy.login).encode()).decode()
    return ProxyManager(proxy.address, proxy_headers={"Proxy-Authorization": f"Basic {login}"} if login else None)


def watched(opened: PoolManager, url: str, watch: Watch) -> None:
    """Let the watch follow each connection that the pool opens to an address, from its first moment."""
    to_host = opened.connection_from_url(url)
    kind: Callable[..., Any] = to_host.ConnectionCls

    def connect(**settings: Any) -> Any:
        connection = kind(**settings)
        watch.follow(lambda: -1 if connection.sock is None else connection.sock.fileno())
        return connection

    to_host.ConnectionCls = connect  # type: ignore[assignment]


def cause(error: exceptions.HTTPError, proxy: Proxy | None) -> str:
    """Return, as a predicate, why no connection was made, with advice on proxies and certificates."""
    failure = error.original_error if isinstance(error, exceptions.ProxyError) else error
    told = _certificate(failure)
    if proxy is not None and isinstance(error, exceptions.ProxyError):
        return f"cannot be reached, since {proxy} {told or _refusal(failure, proxy)}"
    through = f" through {proxy}" if proxy is not None else ""
    return f"cannot be reached{through}, since it {told}" if told else f"cannot be reached{through} ({_plain(failure)})"


def _refusal(failure: Exception, proxy: Proxy) -> str:
    answered = re.search(r"Tunnel connection failed: (\d{3})", str(failure))
    if answered is None:
        return f"cannot be reached ({_plain(failure)})"
    if answered[1] != "407":
        return f"answered {answered[1]}"
    wants = "asks for a user and a password" if proxy.login is None else "does not take the user and the password given"
    return f"{wants} (407); put USER:PASSWORD@ before the host in {proxy.variable}"


def _certificate(failure: Exception) -> str:
    """Return, as a predicate, what is wrong with a certificate; empty if the cause is another."""
    found = next((part for part in failure.args if isinstance(part, ssl.SSLCertVerificationError)), None)
    if found is None:
        return ""
    told = f"shows a certificate that cannot be trusted ({found.verify_message})"
    if found.verify_code not in _UNKNOWN_ISSUER:
        return told
    given = os.environ.get("SSL_CERT_FILE")
    present = f", which is {given!r} at present" if given else ""
    return f"{told}; if your network or proxy has its own certificates, name their file in SSL_CERT_FILE{present}"


def _plain(failure: Exception) -> str:
    """Name a failure: by the system's own words if there are any, else by its class."""
    while not isinstance(failure, OSError) and isinstance(failure.__cause__, Exception):
        failure = failure.__cause__
    told = failure.strerror if isinstance(failure, OSError) else ""
    return told or type(failure).__name__
