"""A server that sends a byte now and then is given up: the next source is tried, and the lock is free again."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from filelock import FileLock

from zoo.errors import OfflineError
from zoo.files.deadlines import Patience, _shut

HURRY = Patience(read_timeout_s=5, attempts=3, first_pause_s=0.01, least_bytes_per_s=1000, window_s=0.5)
SLOW = ["slow_body", "slow_headers", "slow_chunk", "slow_gzip", "asks_to_go_on", "slow_redirects"]


@pytest.mark.parametrize("fault", SLOW)
def test_the_next_source_is_tried_once_one_is_too_slow(fault, server, fetched, left_bytes, right):
    began = time.monotonic()
    assert fetched(server.url + fault, server.url + "right", patience=HURRY).read_bytes() == right
    assert time.monotonic() - began < 4
    assert server.asked["right"] == 1
    assert left_bytes() == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "watch of a download"]


def test_a_source_that_is_too_slow_is_told_with_its_rate(server, fetched):
    with pytest.raises(OfflineError) as caught:
        fetched(server.url + "slow_headers", patience=HURRY)
    assert "slow_headers sent less than 1000 bytes a second, with 0 of 262144 bytes here. Run the" in str(caught.value)


def test_who_waits_for_the_lock_of_a_slow_download_gets_it(server, cache, wanted, fetched, right):
    slow = [server.url + "slow_body"]
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(fetched, *slow, patience=HURRY)
        while not server.asked["slow_body"]:
            time.sleep(0.01)
        second = threads.submit(fetched, server.url + "right", patience=HURRY)
        assert second.result(timeout=5).read_bytes() == right
        with pytest.raises(OfflineError):
            first.result(timeout=5)
    FileLock(cache / "locks" / f"{wanted().sha256}.lock").acquire(timeout=0).lock.release()


@pytest.mark.parametrize(
    ("fault", "patience", "reason"),
    [
        ("slow", replace(HURRY, allowance_s=0.1), "took all the time that a source may take, with 0 of"),
        (
            "a_sixteenth_each_time",
            replace(HURRY, allowance_s=0.6, first_pause_s=0.25, window_s=9),
            "broke off (ProtocolError) until all the time was used up that a source may take. Run the",
        ),
    ],
)
def test_a_source_has_a_deadline_whatever_it_brings(fault, patience, reason, server, fetched):
    with pytest.raises(OfflineError) as caught:
        fetched(server.url + fault, patience=replace(patience, least_bytes_per_s=1e9))
    assert reason in str(caught.value)


def test_the_deadline_grows_with_the_file():
    assert Patience(allowance_s=600, least_bytes_per_s=1000).longest_s(3_000_000) == 3600


def test_a_file_that_comes_at_more_than_the_least_rate_is_taken(server, fetched, right):
    assert fetched(server.url + "pieces", patience=replace(HURRY, window_s=0.3)).read_bytes() == right


def test_a_connection_that_is_closed_meanwhile_is_shut_already():
    class Closed:
        sock = None

    _shut(lambda: Closed.sock.fileno())
