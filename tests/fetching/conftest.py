"""A real server on this machine that cuts, resets, lies and stalls, and a cache of each test's own."""

import gzip
import hashlib
import random
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from zoo.files.deadlines import Patience
from zoo.files.fetching import Wanted, fetch

SIZE = 256 * 1024
HALF = SIZE // 2
RIGHT = random.Random(0).randbytes(SIZE)
SHA256 = hashlib.sha256(RIGHT).hexdigest()
OLD = random.Random(1).randbytes(SIZE)
HASTE = Patience(connect_timeout_s=5, read_timeout_s=5, attempts=3, first_pause_s=0.01, longest_pause_s=2)


class Server(ThreadingHTTPServer):
    """Counts what it is asked for and sends; threads that hold a connection end with it."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked, self.sent_bytes, self.stopping = Counter(), 0, threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Answer(BaseHTTPRequestHandler):
    """Answers a GET of ``/<fault>`` with that fault; ``nth`` counts the earlier requests for it."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        fault = self.path.strip("/").partition("?")[0]
        nth = self.server.asked[fault]
        self.server.asked[fault] += 1
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if self.headers.get("If-Range", '"right"') != '"right"':
            start = 0
        with suppress(ConnectionError):
            getattr(self, fault)(nth, start)

    def reply(self, body, status=200, *, length=None, **headers):
        self.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"ETag": '"right"', "Content-Length": length or len(body), **named}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.send(body)

    def send(self, body):
        self.wfile.write(body)
        self.server.sent_bytes += len(body)

    def right(self, nth, start, end=SIZE):
        headers = {"Content_Range": f"bytes {start}-{SIZE - 1}/{SIZE}"} if start else {}
        self.reply(RIGHT[start:end], 206 if start else 200, length=SIZE - start, **headers)

    def slow(self, nth, start):
        time.sleep(0.5)
        self.right(nth, start)

    def dribble(self, nth, start):
        """A sixteenth more each time, then silence; everything from the sixth time on."""
        end = start + SIZE // 16 if nth < 5 else SIZE
        self.right(nth, start, end)
        if end < SIZE:
            self.server.stopping.wait(30)

    def hold_at_half(self, nth, start):
        self.right(nth, start, SIZE if nth else HALF)
        if nth == 0:
            self.server.stopping.wait(30)

    def pieces(self, nth, start):
        self.right(nth, start, start)
        for piece in range(start, SIZE, SIZE // 32):
            self.send(RIGHT[piece : min(piece + SIZE // 32, SIZE)])
            time.sleep(0.01)

    def byte_by_byte(self, nth, start, first=b"", byte=b"a"):
        """Send something, then a byte now and then for as long as the test lasts."""
        self.wfile.write(first)
        while not self.server.stopping.wait(0.02):
            self.wfile.write(byte)

    def slow_body(self, nth, start):
        self.right(nth, start, start)
        for place in range(start, SIZE):
            self.wfile.write(RIGHT[place : place + 1])
            if self.server.stopping.wait(0.02):
                break

    def slow_headers(self, nth, start):
        self.byte_by_byte(nth, start, b"HTTP/1.1 200 OK\r\nX-Name: ")

    def slow_chunk(self, nth, start):
        self.byte_by_byte(nth, start, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")

    def slow_gzip(self, nth, start):
        """The name of a file that never ends, in the header of the compressed bytes."""
        self.reply(b"", Content_Encoding="gzip", Content_Length=None)
        self.byte_by_byte(nth, start, b"\x1f\x8b\x08\x08" + bytes(6))

    def asks_to_go_on(self, nth, start):
        self.byte_by_byte(nth, start, byte=b"HTTP/1.1 100 Continue\r\n\r\n")

    def slow_redirects(self, nth, start):
        time.sleep(0.2)
        self.reply(b"", 302, Location="/slow_headers" if nth else "/slow_redirects")

    def a_sixteenth_each_time(self, nth, start):
        self.right(nth, start, start + SIZE // 16)

    def cut_with_length(self, nth, start):
        self.reply(RIGHT[:HALF], length=SIZE)

    def cut_chunked(self, nth, start, end=b"0\r\n\r\n"):
        self.protocol_version = "HTTP/1.1"
        self.reply(b"%x\r\n" % HALF + RIGHT[:HALF] + b"\r\n" + end, Content_Length=None, Transfer_Encoding="chunked")

    def cut_chunked_without_an_end(self, nth, start):
        self.cut_chunked(nth, start, end=b"") if nth == 0 else self.right(nth, start)

    def one_bit_flipped(self, nth, start):
        self.reply(bytes([RIGHT[0] ^ 1]) + RIGHT[1:])

    def html_page(self, nth, start):
        self.reply(b"<html>Please sign in</html>")

    def html_page_of_unknown_length(self, nth, start):
        self.reply(b"<html>Please sign in</html>", Content_Length=None)

    def closed_at_half(self, nth, start):
        self.right(nth, 0, HALF)

    def closed_once(self, nth, start):
        self.right(nth, start, SIZE if nth else HALF)

    def reset_once(self, nth, start):
        self.closed_once(nth, start)
        if nth == 0:
            time.sleep(0.05)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()

    def stalled_once(self, nth, start):
        self.closed_once(nth, start)
        if nth == 0:
            self.server.stopping.wait(30)

    def range_ignored(self, nth, start):
        self.right(nth, 0, SIZE if nth else HALF)

    def wrong_start(self, nth, start):
        if start:
            self.reply(RIGHT[7:], 206, Content_Range=f"bytes 7-{SIZE - 1}/{SIZE}")
        else:
            self.closed_once(nth, start)

    def changed_before_resume(self, nth, start):
        self.reply(OLD[:HALF], length=SIZE, ETag='"old"') if nth == 0 else self.right(nth, start)

    def changed_and_if_range_ignored(self, nth, start):
        self.reply(OLD[:HALF], length=SIZE, ETag="W/weak") if nth == 0 else self.right(nth, start)

    def unsatisfiable(self, nth, start):
        self.reply(b"", 416) if start else self.closed_once(nth, start)

    def too_many_requests_once(self, nth, start):
        self.right(nth, start) if nth else self.reply(b"", 429, Retry_After="1")

    def too_many_requests(self, nth, start):
        self.reply(b"", 429, Retry_After="3600")

    def busy_once(self, nth, start):
        self.right(nth, start) if nth else self.reply(b"", 503)

    def redirected(self, nth, start):
        self.reply(b"", 302, Location="/right")

    def redirect_to_a_file(self, nth, start):
        self.reply(b"", 302, Location="file:///etc/passwd")

    def redirect_to_plain_http(self, nth, start):
        self.reply(b"", 302, Location="http://example.org/weights.bin")

    def redirect_to_a_signed_address(self, nth, start):
        self.reply(b"", 302, Location="http://ada:lovelace@example.org/w?token=7b6e")

    def redirect_loop(self, nth, start):
        self.reply(b"", 302, Location="/redirect_loop")

    def gzipped(self, nth, start):
        self.reply(gzip.compress(RIGHT), Content_Encoding="gzip")

    def gzip_bomb(self, nth, start):
        self.reply(gzip.compress(bytes(64 << 20)), Content_Encoding="gzip")

    def unknown_encoding(self, nth, start):
        self.reply(RIGHT, Content_Encoding="rot13")

    def longer(self, nth, start):
        self.reply(RIGHT + b"more", Content_Length=None)

    def missing(self, nth, start):
        self.reply(b"", 404)

    def strange(self, nth, start):
        status, headers = self.server.strange
        self.reply(RIGHT[start:], status, **headers)


@pytest.fixture
def server():
    """Give a server of faults that stops by itself."""
    listening = Server()
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield listening
    listening.stopping.set()
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give an empty cache of the test's own."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ZOO_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def right():
    """Give the bytes that the registry promises."""
    return RIGHT


@pytest.fixture
def wanted():
    """Make the wanted file with the given sources."""

    def make(*sources, name="weights.bin", size_bytes=SIZE, sha256=SHA256):
        return Wanted(name, size_bytes, sha256, sources)

    return make


@pytest.fixture
def fetched(wanted):
    """Fetch the wanted file from the given sources, without long pauses."""

    def fetch_it(*sources, base=None, progress=None, patience=HASTE):
        return fetch(wanted(*sources), base=base, progress=progress, patience=patience)

    return fetch_it


@pytest.fixture
def refused(wanted, fetched):
    """Fetch in vain and return what the message says after what was expected."""

    def fetch_in_vain(kind, *sources, base=None):
        with pytest.raises(kind) as caught:
            fetched(*sources, base=base)
        assert type(caught.value) is kind
        expected = f"weights.bin: expected {SIZE} bytes with sha256 {wanted().sha256}, but "
        assert str(caught.value).startswith(expected)
        return str(caught.value).removeprefix(expected)

    return fetch_in_vain


@pytest.fixture
def left_bytes(cache):
    """Count the bytes in the cache besides the fetched file."""
    return lambda: sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) - SIZE
