"""Users of one group share a cache, whatever their umask is; others are told about permissions."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from zoo.errors import DiskError
from zoo.files import fetching

SIZE = 256 * 1024
HALF = SIZE // 2
GROUP, ONE, ANOTHER = 54300, 54321, 54322
# The modules are read before the user is taken, since Python may lie in the home of the one who tests.
USER = """
import os, sys
import contextlib, filelock, http.client, encodings.idna, platformdirs, urllib3, urllib3.util
import zoo.files.fetching, zoo.runtime
from zoo.errors import ZooError
uid, group, url, size_bytes, sha256 = sys.argv[1:]
wanted = zoo.files.fetching.Wanted("weights.bin", int(size_bytes), sha256, (url,))
with contextlib.suppress(ZooError):
    zoo.files.fetching.fetch(zoo.files.fetching.Wanted("absent.bin", 1, sha256, ("http://127.0.0.1:1/",)))
os.environ["ZOO_HOME"] = os.environ["SHARED"]
os.setgroups([]); os.setgid(int(group)); os.setuid(int(uid)); os.umask(0o022)
try:
    print(zoo.files.fetching.fetch(wanted))
except ZooError as error:
    sys.exit(f"{error.exit_code} {error}")
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="another user can be taken by root alone")


@pytest.fixture
def shared(monkeypatch):
    """A cache that the users of a group may write to; the folders of pytest are for its own user alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        cache = Path(folder) / "cache"
        cache.mkdir()
        os.chown(cache, 0, GROUP)
        cache.chmod(0o2770)
        monkeypatch.setenv("SHARED", str(cache))
        yield cache


@pytest.fixture
def start(wanted):
    """Start a process of a user of a group that fetches the wanted file."""

    def start_it(uid, url, group=GROUP):
        arguments = [sys.executable, "-c", USER, str(uid), str(group), url, str(SIZE), wanted().sha256]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start_it


@needs_root
def test_a_second_user_uses_mends_and_goes_on_with_what_the_first_one_left(server, start, shared, right):
    first = start(ONE, server.url + "hold_at_half")
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size == HALF for path in shared.glob("partial/*/body")):
        assert time.monotonic() < deadline
        assert first.poll() is None, first.communicate()
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    path, said = start(ANOTHER, server.url + "hold_at_half").communicate()
    assert Path(path.strip()).read_bytes() == right, said
    assert server.sent_bytes <= 1.05 * SIZE
    assert start(ONE, server.url + "missing").communicate()[0] == path
    Path(path.strip()).write_bytes(b"damaged")
    assert start(ONE, server.url + "right").communicate()[0] == path
    assert Path(path.strip()).read_bytes() == right


@needs_root
def test_a_user_of_another_group_is_told_about_permissions_and_not_about_space(server, start, shared):
    process = start(ONE, server.url + "right", group=54399)
    _, said = process.communicate()
    assert said.startswith("6 weights.bin: expected ")
    assert "Permission denied; ask its owner for the right to write there, or choose another folder. Then run" in said
    assert "the cached" in said
    assert "cannot be read" in said
    assert "space" not in said
    assert server.asked["right"] == 0


def test_a_folder_in_the_place_of_a_cached_file_is_told_before_anything_is_asked(server, wanted, cache, refused):
    path = fetching.decide(wanted(), cache).path
    (path / "mine").mkdir(parents=True)
    message = refused(DiskError, server.url + "right")
    assert f"{path} is a folder, expected a file; remove that folder. Then run the command again" in message
    assert "space" not in message
    assert server.asked["right"] == 0
    assert (path / "mine").is_dir()


def test_a_folder_in_the_place_of_a_cached_file_hinders_no_local_source(wanted, cache, fetched, right, tmp_path):
    fetching.decide(wanted(), cache).path.mkdir(parents=True)
    (tmp_path / "weights.bin").write_bytes(right)
    assert fetched("weights.bin", base=tmp_path) == tmp_path / "weights.bin"
