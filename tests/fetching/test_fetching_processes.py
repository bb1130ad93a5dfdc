"""Several processes at once, and processes killed at any moment: one download, right bytes, nothing left behind."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

from zoo.files.deadlines import Patience
from zoo.files.owners import host

SIZE = 256 * 1024
HALF = SIZE // 2
HOST = host()
CHILD = """
import contextlib, filelock, resource, sys
from zoo.errors import ZooError
from zoo.files.fetching import Wanted, fetch
url, size_bytes, sha256, lock, limit = sys.argv[1:]
class Granted:
    def __init__(self, path): pass
    def acquire(self, timeout): return contextlib.nullcontext()
if lock == "stubbed": filelock.FileLock = Granted
if limit != "0": resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    print(fetch(Wanted("weights.bin", int(size_bytes), sha256, (url,))))
except ZooError as error:
    sys.exit(f"{error.exit_code} {error}")
"""


@pytest.fixture
def start(wanted):
    """Start a process that fetches the wanted file."""

    def start_it(url, *, lock="real", limit=0):
        arguments = [sys.executable, "-c", CHILD, url, str(SIZE), wanted().sha256, lock, str(limit)]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start_it


def kill_when(process, arrived):
    """Wait for a condition, then kill the process without warning."""
    deadline = time.monotonic() + 20
    while not arrived() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def partial_bytes(cache):
    return max((path.stat().st_size for path in cache.glob("partial/*/body")), default=0)


@pytest.mark.parametrize(("lock", "downloads"), [("real", {1}), ("stubbed", set(range(1, 9)))])
def test_eight_processes_at_once_get_the_right_bytes(lock, downloads, server, start, left_bytes, right):
    processes = [start(server.url + "slow", lock=lock) for _ in range(8)]
    paths = {Path(process.communicate()[0].strip()) for process in processes}
    assert {path.read_bytes() for path in paths} == {right}
    assert server.asked["slow"] in downloads
    assert left_bytes() == 0


def test_eight_threads_without_a_lock_get_the_right_bytes(server, monkeypatch, fetched, left_bytes, right):
    monkeypatch.setattr("filelock.FileLock", lambda _: SimpleNamespace(acquire=lambda timeout: nullcontext()))
    with ThreadPoolExecutor(8) as threads:
        paths = list(threads.map(fetched, [server.url + "slow"] * 8))
    assert {path.read_bytes() for path in paths} == {right}
    assert left_bytes() == 0


def test_a_lock_that_cannot_be_had_is_done_without(server, monkeypatch, fetched, right):
    def broken(_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("filelock.FileLock", broken)
    assert fetched(server.url + "right").read_bytes() == right


def test_a_run_killed_at_half_is_resumed(server, start, cache, fetched, left_bytes, right):
    kill_when(start(server.url + "hold_at_half"), lambda: partial_bytes(cache) == HALF)
    assert fetched(server.url + "hold_at_half").read_bytes() == right
    assert server.asked["hold_at_half"] == 2
    assert server.sent_bytes <= 1.05 * SIZE
    assert left_bytes() == 0


def test_five_killed_runs_leave_no_orphan_bytes_after_a_good_one(server, start, cache, fetched, left_bytes, right):
    for number in range(1, 6):
        kill_when(start(server.url + "dribble"), lambda size=number * SIZE // 16: partial_bytes(cache) == size)
    assert fetched(server.url + "dribble").read_bytes() == right
    assert server.sent_bytes <= 1.05 * SIZE
    assert left_bytes() == 0


@pytest.mark.verify
def test_a_hundred_runs_killed_at_random_leave_right_bytes_and_no_orphans(
    server, start, cache, fetched, left_bytes, right
):
    chance = random.Random(0)
    for _ in range(100):
        moment = time.monotonic() + chance.uniform(0.05, 0.6)
        kill_when(start(server.url + "pieces"), lambda moment=moment: time.monotonic() > moment)
        for path in cache.glob("files/*/*/*"):
            assert path.read_bytes() == right
            path.unlink()
    assert fetched(server.url + "pieces").read_bytes() == right
    assert left_bytes() == 0


@pytest.fixture
def left_behind(cache, wanted, right):
    """Make a partial of a process that is gone."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    def make(size_bytes, *, host=HOST, token="0" * 8):
        folder = cache / "partial" / f"{wanted().sha256}.{host}.{gone.pid}.{token}"
        folder.mkdir(parents=True)
        (folder / "body").write_bytes(right[:size_bytes])
        return folder

    return make


def test_the_largest_partial_is_taken_over_and_the_others_are_swept(server, left_behind, fetched, left_bytes, right):
    for number, size_bytes in enumerate((SIZE // 4, HALF, 1)):
        left_behind(size_bytes, token=f"{number:08}")
    assert fetched(server.url + "right").read_bytes() == right
    assert server.sent_bytes == SIZE - HALF
    assert left_bytes() == 0


def test_a_partial_is_swept_even_if_the_file_is_there(server, left_behind, fetched, left_bytes):
    fetched(server.url + "right")
    left_behind(HALF)
    fetched(server.url + "right")
    assert left_bytes() == 0


def test_a_partial_of_another_machine_is_left_alone_until_it_stands_still(server, left_behind, fetched, left_bytes):
    foreign = left_behind(HALF, host="f" * 8)
    fetched(server.url + "right").unlink()
    assert foreign.exists()
    for path in (foreign / "body", foreign):
        os.utime(path, (0, 0))
    fetched(server.url + "right")
    assert server.sent_bytes == SIZE + HALF
    assert left_bytes() == 0


def test_a_lock_that_nobody_lets_go_is_not_waited_for_long(server, cache, wanted, fetched, right):
    (cache / "locks").mkdir(parents=True)
    lock = FileLock(cache / "locks" / f"{wanted().sha256}.lock", thread_local=False)
    with ThreadPoolExecutor(1) as other:
        other.submit(lock.acquire).result()
        patience = Patience(read_timeout_s=0.2, longest_pause_s=0.01)
        assert fetched(server.url + "right", patience=patience).read_bytes() == right
        lock.release()


def test_a_file_that_may_not_grow_is_a_disk_error_and_the_next_run_ends_well(server, start, fetched, left_bytes, right):
    process = start(server.url + "right", limit=HALF)
    _, said = process.communicate()
    assert said.startswith("6 weights.bin: expected ")
    assert "body cannot be written or read: File too large; free some space. Then run the command again" in said
    assert fetched(server.url + "right").read_bytes() == right
    assert left_bytes() == 0
