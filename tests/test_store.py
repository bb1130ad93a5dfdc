"""A process killed at any moment leaves the old content or the new one, whole."""

import errno
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from zoo import store
from zoo.errors import DiskError
from zoo.store import digest, owner_is_alive, staged_file, staged_folder

# Writes one version after another over the same place; `die` ends it at the n-th call of a system function.
WRITER = """
import os, sys
from pathlib import Path
from zoo import store
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
        with store.staged_folder(place) as staging:
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
        with staged_folder(place) as staging:
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
    for kind, writer in (("file", staged_file), ("folder", staged_folder)):
        place = tmp_path / kind / "content"
        put(kind, place, "8")
        with pytest.raises(RuntimeError), writer(place):
            raise RuntimeError
        assert versions(place) == {"8"}
        assert not leftovers(place)


def test_a_new_folder_takes_the_place_of_the_old_as_a_whole(tmp_path):
    for version in ("one", "two"):
        with staged_folder(tmp_path / "deep" / "bundle") as staging:
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
    stale = tmp_path / f".content.staging-{gone.pid}-00000000"
    stale.mkdir()
    other = tmp_path / f".another.staging-{gone.pid}-00000000"
    other.touch()
    put("file", tmp_path / "content", "7")
    assert not stale.exists()
    assert other.exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full while writing .*content; free some space and run the command again"),
        (errno.EDQUOT, "the disk is full while writing"),
        (errno.EROFS, "may not be written; choose another folder or change its permissions"),
        (errno.EACCES, "may not be written; choose another folder"),
    ],
)
def test_a_full_or_locked_disk_is_told_and_leaves_the_old(number, message, kind, tmp_path, monkeypatch):
    place = tmp_path / "content"
    put(kind, place, "8")

    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(DiskError, match=message) as caught:
            put(kind, place, "7")
    assert caught.value.exit_code == 6
    assert versions(place) == {"8"}
    assert not leftovers(place)


def test_other_errors_of_the_system_are_not_taken_for_a_full_disk(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError), staged_file(tmp_path / "file" / "content"):
        pass


def test_a_digest_is_the_size_and_the_sha256(tmp_path):
    (tmp_path / "empty").touch()
    found = digest(tmp_path / "empty")
    assert found.size_bytes == 0
    assert found.sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_this_process_is_alive_and_one_that_ended_is_not():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert owner_is_alive(os.getpid())
    assert not owner_is_alive(gone.pid)
