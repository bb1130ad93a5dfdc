"""One rule for all that is not finished: whose it is, and when it may be taken or swept."""

import os
import subprocess
import sys

import pytest

from zoo.files.owners import UNTOUCHED_S, host, is_abandoned, owner_mark, untouched_s


@pytest.fixture
def gone():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_mark_is_held_by_its_process_until_it_leaves(tmp_path):
    with owner_mark() as mark:
        assert not is_abandoned(tmp_path, mark)
    assert is_abandoned(tmp_path, mark)


def test_what_a_living_process_owns_is_left_alone_and_what_a_dead_one_left_is_not(tmp_path, gone):
    assert not is_abandoned(tmp_path, f"{host()}.{os.getppid()}.00000000")
    assert is_abandoned(tmp_path, f"{host()}.{gone}.00000000")


@pytest.mark.parametrize("owner", ["0123abcd.{gone}", "{host}.{alive}"])
def test_an_owner_that_cannot_be_asked_is_gone_after_an_hour_of_silence(owner, tmp_path, gone):
    mark = f"{owner.format(gone=gone, host=host(), alive=os.getppid())}.00000000"
    (tmp_path / "body").touch()
    os.utime(tmp_path, (0, 0))
    assert not is_abandoned(tmp_path, mark)
    os.utime(tmp_path / "body", (0, 0))
    assert untouched_s(tmp_path) > UNTOUCHED_S
    assert is_abandoned(tmp_path, mark)


@pytest.mark.parametrize("mark", ["", "4711-0123abcd", "mine", "0123abcd.4711.00000000.txt"])
def test_what_bears_no_mark_is_never_abandoned(mark, tmp_path):
    os.utime(tmp_path, (0, 0))
    assert not is_abandoned(tmp_path, mark)


def test_containers_of_one_name_are_told_apart(monkeypatch):
    before = host()
    monkeypatch.setattr(os, "readlink", lambda path: "pid:[1]")
    assert host() != before
