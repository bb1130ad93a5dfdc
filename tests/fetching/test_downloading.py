"""The way of the bytes: what networks and servers do to a download ends in right bytes or a clean error."""

import time
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from zoo.errors import IntegrityError, NotFoundError, OfflineError, ZooError
from zoo.files import downloading
from zoo.files.addresses import may_be_asked
from zoo.files.deadlines import Patience

SIZE = 256 * 1024
HALF = SIZE // 2


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        ("right", 1),
        ("closed_once", 2),
        ("reset_once", 2),
        ("cut_chunked_without_an_end", 2),
        ("range_ignored", 2),
        ("wrong_start", 3),
        ("changed_before_resume", 2),
        ("changed_and_if_range_ignored", 3),
        ("unsatisfiable", 3),
        ("busy_once", 2),
        ("redirected", 1),
        ("gzipped", 1),
    ],
)
def test_a_survivable_fault_ends_in_the_right_bytes(fault, requests, server, fetched, left_bytes, right):
    assert fetched(server.url + fault).read_bytes() == right
    assert server.asked[fault] == requests
    assert left_bytes() == 0


@pytest.mark.parametrize("fault", ["closed_once", "reset_once"])
def test_a_broken_download_goes_on_where_it_ended(fault, server, fetched):
    seen = []
    fetched(server.url + fault, progress=lambda done, total: seen.append((done, total)))
    assert server.sent_bytes <= 1.05 * SIZE
    assert seen == sorted(seen)
    assert seen[-1] == (SIZE, SIZE)


def test_a_part_that_starts_elsewhere_is_not_joined(server, fetched, caplog):
    caplog.set_level("INFO", "zoo.files.downloading")
    fetched(server.url + "wrong_start")
    assert f"sent another part than asked for: 'bytes 7-{SIZE - 1}/{SIZE}'; starting anew" in caplog.text


def test_a_server_that_falls_silent_is_left_after_the_timeout(server, fetched, right):
    patience = Patience(read_timeout_s=0.3, first_pause_s=0.01)
    assert fetched(server.url + "stalled_once", patience=patience).read_bytes() == right
    assert server.asked["stalled_once"] == 2


def test_retry_after_is_honoured(server, fetched, right):
    began = time.monotonic()
    assert fetched(server.url + "too_many_requests_once").read_bytes() == right
    assert time.monotonic() - began >= 1


def test_retry_after_may_be_a_date():
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 10))
    assert 8 < downloading._retry_after_s(later) <= 10
    assert downloading._retry_after_s("soon") is None


@pytest.mark.parametrize(
    ("fault", "kind", "came", "to_do"),
    [
        ("cut_with_length", OfflineError, f"broke off (ProtocolError), with {HALF} of {SIZE} bytes here", "continues"),
        ("cut_chunked", IntegrityError, f"ended after {HALF} bytes", "Do not use those bytes"),
        ("one_bit_flipped", IntegrityError, f"sent {SIZE} bytes with sha256 ", "Do not use those bytes"),
        ("html_page", IntegrityError, "announces 27 bytes", "Do not use those bytes"),
        ("html_page_of_unknown_length", IntegrityError, "ended after 27 bytes", "Do not use those bytes"),
        ("longer", IntegrityError, f"sent more than {SIZE} bytes", "Do not use those bytes"),
        ("gzip_bomb", IntegrityError, f"sent more than {SIZE} bytes", "Do not use those bytes"),
        ("unknown_encoding", IntegrityError, "sent the content encoding 'rot13'", "Do not use those bytes"),
        ("redirect_to_a_file", NotFoundError, "redirects to 'file:///etc/passwd', but only https", "registry"),
        ("redirect_to_plain_http", NotFoundError, "redirects to 'http://example.org/weights.bin'", "registry"),
        ("redirect_loop", NotFoundError, "redirects more than 5 times", "Update the registry"),
        ("missing", NotFoundError, "answered 404", "Update the registry"),
        ("too_many_requests", OfflineError, "answered 429 and asks to wait 3600 s", "Run the command again"),
    ],
)
def test_a_deadly_fault_ends_in_a_clean_error(fault, kind, came, to_do, server, cache, refused):
    message = refused(kind, server.url + fault)
    assert message.startswith(f"{server.url}{fault} {came}")
    assert to_do in message
    assert not list(cache.glob("files/**/*"))


STRANGE = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
USUAL = st.sampled_from(
    ["0", "-1", "9" * 30, f"bytes 0-{SIZE - 1}/{SIZE}", "bytes 5-3/*", "²", "gzip", "nan", "//[::1"]
)
NAMES = ["Content_Length", "Content_Range", "Content_Encoding", "Retry_After", "ETag", "Location", "Last_Modified"]


@settings(derandomize=True, max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    status=st.sampled_from([200, 204, 206, 301, 307, 304, 403, 416, 429, 503, 999]),
    headers=st.dictionaries(st.sampled_from(NAMES), USUAL | STRANGE),
)
def test_strange_headers_end_in_the_right_bytes_or_a_clean_error(status, headers, server, fetched, right):
    server.strange = status, headers
    patience = Patience(read_timeout_s=0.2, attempts=2, first_pause_s=0, longest_pause_s=0.01)
    with suppress(ZooError):
        path = fetched(server.url + "strange", patience=patience)
        assert path.read_bytes() == right
        path.unlink()


@pytest.mark.parametrize("url", ["http://example.org", "https://", "https://[", "https://a:99999999", "ftp://a", ""])
def test_only_https_and_this_machine_may_be_asked(url):
    assert may_be_asked("https://example.org/a")
    assert may_be_asked("http://localhost:1/a")
    assert not may_be_asked(url)


def test_a_redirect_from_https_to_this_machine_is_refused():
    with pytest.raises(NotFoundError, match=r"redirects to 'http://127\.0\.0\.1/', but only https may be followed"):
        downloading._redirected("https://example.org/", "http://127.0.0.1/")
