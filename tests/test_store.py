"""A process killed at any moment leaves the old content or the new one, whole."""

import errno
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from zoo.errors import DiskError
from zoo.files import store
from zoo.files.owners import host
from zoo.files.replacing import CHECKPOINT, Kind
from zoo.files.store import digest, remove_folder, staged_file, staged_folder

PAIR = Kind("a pair", "pairing", lambda folder: {"one", "two"}.__contains__)

# Writes one version after another over the same place; `die` ends it at the n-th call of a system function.
WRITER = """
import os, sys
from pathlib import Path
from zoo.files import store
from zoo.files.replacing import Kind
pair = Kind("a pair", "pairing", lambda folder: {"one", "two"}.__contains__)
kind, place, die = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
calls = 0
def deadly(function):
    def call(*arguments, **keywords):
        global calls
        calls += 1
        if calls == die:
            os._exit(9)
        return function(*arguments, **keywords)
    return call
for module, name in ((os, "replace"), (os, "rename"), (os, "fsync"), (store, "_exchange"), (store.shutil, "rmtree")):
    setattr(module, name, deadly(getattr(module, name)))
if die == 0:
    print("ready", flush=True)
version = 1
while True:
    if kind == "file":
        with store.staged_file(place) as staging:
            staging.write_text(str(version) * 100_000)
    else:
        with store.staged_folder(place, replaces=pair) as staging:
            for name in ("one", "two"):
                (staging / name).write_text(str(version) * 50_000)
    if die:
        break
    version = version % 9 + 1
"""


def write(kind, place, die):
    arguments = [sys.executable, "-c", WRITER, kind, str(place), str(die)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def versions(place):
    """Return the versions that a place holds, which must be one, in full length."""
    files = [place] if place.is_file() else [place / "one", place / "two"]
    texts = [path.read_text() for path in files]
    assert sum(map(len, texts)) == 100_000
    return set("".join(texts))


def leftovers(place):
    return [path for path in place.parent.iterdir() if path != place]


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("die", range(1, 8))
def test_a_kill_at_any_step_leaves_the_old_or_the_new(kind, die, tmp_path):
    place = tmp_path / "content"
    put(kind, place, "8")
    process = write(kind, place, die)
    process.communicate()
    assert process.returncode in (0, 9)
    assert versions(place) in ({"8"}, {"1"})
    put(kind, place, "7")
    assert versions(place) == {"7"}
    assert not leftovers(place)


def put(kind, place, version):
    if kind == "file":
        with staged_file(place) as staging:
            staging.write_text(version * 100_000)
    else:
        with staged_folder(place, replaces=PAIR) as staging:
            for name in ("one", "two"):
                (staging / name).write_text(version * 50_000)


@pytest.mark.verify
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_hundred_kills_leave_whole_content(kind, tmp_path):
    place, generator = tmp_path / "content", random.Random(0)
    put(kind, place, "8")
    for _ in range(100):
        process = write(kind, place, 0)
        assert process.stdout.readline() == "ready\n"
        time.sleep(generator.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert len(versions(place)) == 1
    put(kind, place, "7")
    assert not leftovers(place)


def test_an_error_while_writing_leaves_the_old(tmp_path):
    for kind in ("file", "folder"):
        place = tmp_path / kind / "content"
        put(kind, place, "8")
        writer = staged_file(place) if kind == "file" else staged_folder(place, replaces=PAIR)
        with pytest.raises(RuntimeError), writer:
            raise RuntimeError
        assert versions(place) == {"8"}
        assert not leftovers(place)


def test_a_new_folder_takes_the_place_of_the_old_as_a_whole(tmp_path):
    for version in ("one", "two"):
        with staged_folder(tmp_path / "deep" / "bundle", replaces=PAIR) as staging:
            (staging / version).touch()
    assert [path.name for path in (tmp_path / "deep" / "bundle").iterdir()] == ["two"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["bundle"]


def test_where_names_cannot_be_exchanged_two_renames_do(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_exchange", lambda one, other: False)
    for version in ("8", "7"):
        put("folder", tmp_path / "content", version)
    assert versions(tmp_path / "content") == {"7"}
    assert not leftovers(tmp_path / "content")


def test_the_staging_place_of_a_living_process_is_left_alone(tmp_path):
    with staged_file(tmp_path / "content") as staging:
        staging.touch()
        put("file", tmp_path / "content", "7")
        assert staging.exists()
        staging.write_text("8" * 100_000)
    assert versions(tmp_path / "content") == {"8"}


def test_the_staging_place_of_a_dead_process_is_swept(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    stale = tmp_path / f".content.staging-{host()}.{gone.pid}.00000000"
    stale.mkdir()
    other = tmp_path / f".another.staging-{host()}.{gone.pid}.00000000"
    other.touch()
    put("file", tmp_path / "content", "7")
    assert not stale.exists()
    assert other.exists()


def test_the_staging_place_of_another_machine_is_left_alone_until_it_stands_still(tmp_path):
    stale = tmp_path / ".content.staging-0123abcd.4711.00000000"
    stale.mkdir()
    put("folder", tmp_path / "content", "7")
    assert stale.exists()
    os.utime(stale, (0, 0))
    put("folder", tmp_path / "content", "8")
    assert not stale.exists()


def test_what_a_killed_process_left_stays_while_there_is_nothing_else(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f".content.staging-{host()}.{gone.pid}.00000000"
    left.mkdir()
    with pytest.raises(RuntimeError), staged_folder(tmp_path / "content"):
        raise RuntimeError
    assert left.exists()
    put("folder", tmp_path / "content", "7")
    assert not left.exists()


def test_a_name_with_the_signs_of_a_pattern_sweeps_its_own_alone(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    own, other = (tmp_path / f".{name}.staging-{host()}.{gone.pid}.00000000" for name in ("a[1]", "a1"))
    for path in (own, other):
        path.mkdir()
    put("file", tmp_path / "a[1]", "7")
    assert not own.exists()
    assert other.exists()


def test_a_file_is_written_through_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "content")
    put("file", tmp_path / "link", "7")
    assert (tmp_path / "link").is_symlink()
    assert versions(tmp_path / "deep" / "content") == {"7"}


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "No space left on device; free some space"),
        (errno.EDQUOT, "Disk quota exceeded; free some space"),
        (errno.EFBIG, "File too large; free some space"),
        (errno.EROFS, "Read-only file system; its file system is read-only: choose another folder"),
        (errno.EACCES, "Permission denied; ask its owner for the right to write there, or choose another folder"),
        (errno.EPERM, "Operation not permitted; ask its owner for the right to write there, or choose another folder"),
        (
            errno.ENAMETOOLONG,
            "File name too long; choose a shorter name: it gets some 30 characters more while it is written",
        ),
        (errno.EIO, "Input/output error; check that path"),
    ],
)
def test_what_the_disk_refuses_is_told_with_what_helps_and_leaves_the_old(number, advice, kind, tmp_path, monkeypatch):
    place = tmp_path / "content"
    put(kind, place, "8")

    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(DiskError) as caught:
            put(kind, place, "7")
    assert str(caught.value) == f"{place} cannot be written or read: {advice}"
    assert caught.value.exit_code == 6
    assert versions(place) == {"8"}
    assert not leftovers(place)


def test_a_file_in_the_place_of_a_folder_is_told_with_what_helps(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        DiskError, match=r"file cannot be .*: File exists; remove the file or folder in its way, or choose"
    ):
        put("file", tmp_path / "file" / "content", "7")


@pytest.mark.parametrize("error", [BrokenPipeError, ConnectionResetError, TimeoutError])
def test_a_closed_pipe_and_the_network_are_no_fault_of_the_disk(error, tmp_path):
    with pytest.raises(error), staged_file(tmp_path / "content"):
        raise error(errno.EPIPE, "not of the disk")


def test_a_digest_is_the_size_and_the_sha256(tmp_path):
    (tmp_path / "empty").touch()
    found = digest(tmp_path / "empty")
    assert found.size_bytes == 0
    assert found.sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_removal_that_was_killed_leaves_the_whole_folder_or_none_and_is_swept(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").write_text("{}")

    def killed(folder, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_folder(tmp_path / "first", CHECKPOINT)
    monkeypatch.undo()
    assert not (tmp_path / "first").exists()
    (left,) = tmp_path.glob(".*")
    assert (left / "state.json").exists()
    remove_folder(tmp_path / "second", CHECKPOINT)
    assert not list(tmp_path.iterdir())
