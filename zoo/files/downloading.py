"""Downloads an address into a partial file, and copes with an unreliable network.

A partial is a folder that holds the bytes so far and their origin. No server is trusted: ``download`` returns once the
bytes on the disk have the promised size and sha256, and raises otherwise.
"""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from zoo.errors import IntegrityError, NotFoundError, OfflineError, safe_address
from zoo.files.addresses import may_be_asked
from zoo.files.deadlines import PATIENCE, Patience, TooSlow, Watch
from zoo.files.home import share
from zoo.files.store import Digest, digest, disk_errors

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

Arrived = Callable[[int, int], None]

_CHUNK_BYTES = 1 << 20
_REDIRECTS = 5
_RETRIED = (408, 425, 429, 500, 502, 503, 504)
_VALIDATOR = re.compile(r'"[\x21\x23-\x7e]{0,256}"|\w{3}, [\w: ]{10,40}', re.ASCII)
_log = logging.getLogger(__name__)


class _Cut(Exception):
    """The server or the connection failed; the next attempt continues from here."""

    def __init__(self, reason: str, *, pause_s: float | None = None, reached: bool = True) -> None:
        super().__init__(reason)
        self.pause_s = pause_s
        self.reached = reached


class _Stale(Exception):
    """The bytes so far cannot be continued; the next attempt starts anew."""


class Partial:
    """The bytes of one file that have arrived so far, and the validator that a server gave for them."""

    def __init__(self, folder: Path) -> None:
        """Continue with the bytes in the folder."""
        self.body = folder / "body"
        self._origin = folder / "origin"
        for file in (self.body, self._origin):
            file.touch()
            share(file)  # another user may continue it
        self.from_one_answer = self.size_bytes() == 0

    def size_bytes(self) -> int:
        """Return how many bytes have arrived."""
        with disk_errors(self.body):
            return self.body.stat().st_size

    def validator(self, url: str) -> str | None:
        """Return the ETag or date that ``url`` gave for these bytes."""
        with suppress(OSError, UnicodeDecodeError):
            origin, _, validator = self._origin.read_text(encoding="utf-8").partition("\n")
            if origin == _named(url) and _VALIDATOR.fullmatch(validator):
                return validator
        return None

    def restart(self, url: str = "", validator: str = "") -> None:
        """Drop the bytes; those that follow come from ``url``."""
        with disk_errors(self.body):
            self.body.write_bytes(b"")
            self._origin.write_text(f"{_named(url)}\n{validator}", encoding="utf-8")
        self.from_one_answer = True

    def append(self, chunk: bytes) -> None:
        """Add bytes at the end."""
        with disk_errors(self.body), self.body.open("ab") as stream:
            stream.write(chunk)


def download(
    url: str, promised: Digest, *, into: Partial, patience: Patience = PATIENCE, progress: Arrived | None = None
) -> None:
    """Fill a partial from ``url`` until it holds the promised bytes; an interrupted download is resumed.

    Raises IntegrityError for other bytes, NotFoundError if the server does not have them, OfflineError if the server
    cannot be reached or keeps breaking off, DiskError if the bytes cannot be written. The message is a predicate that
    says what came.
    """
    ends_at_s = time.monotonic() + patience.longest_s(promised.size_bytes)
    tries, furthest = 0, into.size_bytes()
    while True:
        try:
            if into.size_bytes() != promised.size_bytes:
                with Watch(patience, ends_at_s) as watch:
                    _receive(url, promised.size_bytes, into, patience, watch, progress)
            with disk_errors(into.body):
                found = digest(into.body)
            if found == promised:
                return
            raise IntegrityError(f"sent {found.size_bytes} bytes with sha256 {found.sha256}")
        except IntegrityError:
            # The bytes were joined from several answers, one of which may be outdated: download the whole once more.
            joined = not into.from_one_answer
            into.restart()
            if not joined:
                raise
        except TooSlow as slow:
            raise OfflineError(f"{slow}, with {into.size_bytes()} of {promised.size_bytes} bytes here") from None
        except _Stale as stale:
            _log.info("%s %s; starting anew", safe_address(url), stale)
            into.restart()
        except _Cut as cut:
            arrived = into.size_bytes()
            further = arrived >= furthest + max(1, promised.size_bytes // 20)
            tries = 1 if further else tries + 1
            furthest = max(arrived, furthest)
            if tries >= patience.attempts or not (cut.reached or arrived):
                raise OfflineError(f"{cut}, with {arrived} of {promised.size_bytes} bytes here") from cut
            pause_s = min(patience.first_pause_s * 2 ** (tries - 1), patience.longest_pause_s)
            if cut.pause_s is not None:
                pause_s = cut.pause_s
            if pause_s > patience.longest_pause_s:
                raise OfflineError(f"{cut} and asks to wait {pause_s:.0f} s") from cut
            if time.monotonic() + pause_s > ends_at_s:
                raise OfflineError(f"{cut} until all the time was used up that a source may take") from cut
            _log.info("%s %s; continuing in %.1f s", safe_address(url), cut, pause_s)
            time.sleep(pause_s)


def _receive(
    url: str, size_bytes: int, into: Partial, patience: Patience, watch: Watch, progress: Arrived | None
) -> None:
    offset = into.size_bytes()
    headers = {"Accept-Encoding": "identity", "User-Agent": "modalzoo"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator := into.validator(url):
            headers["If-Range"] = validator
    with _answer(url, headers, patience, watch) as response:
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if response.status == 206 and offset:
            if _first_byte(response) != offset or encoding != "identity":
                raise _Stale(f"sent another part than asked for: {response.headers.get('Content-Range')!r:.80}")
            into.from_one_answer = False
        elif response.status == 200:
            into.restart(url, _validator(response))
            offset = 0
            announced = response.headers.get("Content-Length", "")
            if encoding == "identity" and announced.isdecimal() and announced != str(size_bytes):
                raise IntegrityError(f"announces {announced:.20} bytes")
        else:
            _refuse(response, resuming=bool(offset))
        if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
            raise IntegrityError(f"sent the content encoding {encoding!r:.80}")
        # One byte more than promised is asked for, to notice a body that is longer.
        while chunk := response.read1(min(_CHUNK_BYTES, size_bytes - offset + 1), decode_content=True):
            offset += len(chunk)
            watch.arrived(len(chunk))
            if offset > size_bytes:
                raise IntegrityError(f"sent more than {size_bytes} bytes")
            into.append(chunk)
            if progress is not None:
                progress(offset, size_bytes)
    if offset < size_bytes:
        raise IntegrityError(f"ended after {offset} bytes")


def _named(url: str) -> str:
    """Return a stand-in for an address, for a cache that others may read: the address itself may hold a token."""
    return hashlib.sha256(url.encode()).hexdigest()


def _refuse(response: "BaseHTTPResponse", *, resuming: bool) -> None:
    reason = f"answered {response.status}"
    if response.status == 416 and resuming:
        raise _Stale(reason)
    if response.status in _RETRIED:
        raise _Cut(reason, pause_s=_retry_after_s(response.headers.get("Retry-After", "")))
    raise NotFoundError(reason)


@contextmanager
def _answer(url: str, headers: dict[str, str], patience: Patience, watch: Watch) -> Iterator["BaseHTTPResponse"]:
    """Request an address, follow redirects, and turn the network's errors into ours, also while the body is read."""
    from urllib3 import Timeout, exceptions

    from zoo.files.proxies import cause, pool, proxy_for, watched

    timeout = Timeout(connect=patience.connect_timeout_s, read=patience.read_timeout_s)
    proxy = None
    try:
        for _ in range(_REDIRECTS + 1):
            proxy = proxy_for(url)
            with pool(proxy) as opened:
                watched(opened, url, watch)
                response = opened.request(
                    "GET", url, headers=headers, timeout=timeout, preload_content=False, redirect=False, retries=False
                )
                try:
                    location = response.get_redirect_location()
                    if not location:
                        watch.follow(response.fileno)
                        yield response
                        return
                    url = _redirected(url, location)
                finally:
                    response.close()
        raise NotFoundError(f"redirects more than {_REDIRECTS} times")
    except exceptions.LocationValueError:
        raise NotFoundError("leads to an address that cannot be read") from None
    except (exceptions.ConnectTimeoutError, exceptions.ProxyError, exceptions.SSLError) as error:
        raise _Cut(cause(error, proxy), reached=False) from error
    except exceptions.HTTPError as error:
        raise _Cut(f"broke off ({type(error).__name__})") from error


def _redirected(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
    except ValueError:
        target = location
    if not may_be_asked(target) or (urlsplit(url).scheme == "https" != urlsplit(target).scheme):
        raise NotFoundError(f"redirects to {safe_address(target)!r:.300}, but only https may be followed")
    return target


def _first_byte(response: "BaseHTTPResponse") -> int | None:
    matched = re.match(r"bytes (\d{1,19})-", response.headers.get("Content-Range", ""), re.ASCII)
    return int(matched[1]) if matched else None


def _validator(response: "BaseHTTPResponse") -> str:
    """Return the validator to send as ``If-Range``: a strong ETag, else the date."""
    for name in ("ETag", "Last-Modified"):
        if _VALIDATOR.fullmatch(value := response.headers.get(name, "")):
            return value
    return ""


def _retry_after_s(value: str) -> float | None:
    from email.utils import parsedate_to_datetime

    if re.fullmatch(r"\d{1,9}", value.strip(), re.ASCII):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
