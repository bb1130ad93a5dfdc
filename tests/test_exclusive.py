"""Two commands that got the same place: one writes, the other is refused or waits."""

import os
import subprocess
import sys
import threading

import pytest

from zoo.errors import UsageError
from zoo.files.exclusive import sole_writer
from zoo.training.train import train

HOLDING = """
import sys
from pathlib import Path
from zoo.files.exclusive import sole_writer
with sole_writer(Path(sys.argv[1]), "zoo train"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_that_another_process_holds_is_refused_until_that_is_killed(tmp_path):
    place = tmp_path / "runs/one"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDING, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"
        expected = r"^another `zoo train` is writing to .*runs/one right now; wait .*, or choose another `out`$"
        with pytest.raises(UsageError, match=expected), sole_writer(place, "zoo train"):
            pass
    finally:
        other.kill()
        other.communicate()
    with sole_writer(place, "zoo train"):
        assert place.is_dir()


def test_a_folder_that_stays_empty_goes_again(tmp_path):
    with sole_writer(tmp_path / "new", "zoo train"):
        pass
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with sole_writer(tmp_path / "old", "zoo train"):
        pass
    assert (tmp_path / "old").exists()


def test_who_waits_gets_the_folder_that_was_put_there_meanwhile(tmp_path):
    place, entered = tmp_path / "place", []

    def wait():
        with sole_writer(place, "zoo run", waits=True):
            entered.append([path.name for path in place.iterdir()])

    other = threading.Thread(target=wait)
    with sole_writer(place, "zoo run", waits=True):
        other.start()
        other.join(0.1)
        assert not entered
        new = tmp_path / "new"
        new.mkdir()
        (new / "file").touch()
        os.rename(new, place)
    other.join(10)
    assert entered == [["file"]]


def test_a_folder_that_cannot_be_locked_is_written_all_the_same(tmp_path, monkeypatch):
    def unknown(*arguments):
        raise OSError("no locks here")

    monkeypatch.setattr("fcntl.flock", unknown)
    with sole_writer(tmp_path, "zoo train"), sole_writer(tmp_path, "zoo train"):
        pass


def test_a_second_training_in_the_same_folder_is_refused_before_the_first_step(make_recipe, plugins, tmp_path):
    with (
        sole_writer(tmp_path / "run", "zoo train"),
        pytest.raises(UsageError, match=r"^another `zoo train` is writing to .*/run right now"),
    ):
        train(make_recipe(), tmp_path / "run", plugins=plugins)


def test_a_training_that_began_before_another_ended_does_not_write_over_it(make_recipe, plugins, tmp_path, monkeypatch):
    train(make_recipe(), tmp_path, plugins=plugins)
    monkeypatch.setattr("zoo.training.runs.Run.nothing_yet", lambda run: None)  # as it was when this one began
    with pytest.raises(
        UsageError, match=r"^another `zoo train` wrote checkpoints to .* while this one began; continue"
    ):
        train(make_recipe(), tmp_path, plugins=plugins)
