"""Wherever a signal or a kill arrives, what was trained is not lost."""

import multiprocessing
import os
import random
import signal
import time

import pytest

from zoo.models.checkpoint import load
from zoo.training.runs import Run
from zoo.training.train import train

SIGNALS = pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])


@SIGNALS
def test_a_signal_in_a_step_leaves_a_checkpoint_and_its_exit_code(
    number, exit_code, zoo_process, recipe_file, plugins, tmp_path, make_recipe
):
    settings = {"steps": 1_000_000, "checkpoint_every": 1_000_000}
    log = tmp_path / "run/log.jsonl"
    process = zoo_process("train", recipe_file(**settings), "--out", tmp_path / "run")
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text().count("\n") > 1):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (exit_code, "")
    assert "Traceback" not in stderr
    (folder,) = (tmp_path / "run").glob("checkpoint-*")
    step = int(folder.name.removeprefix("checkpoint-"))
    resumed = train(make_recipe(**{**settings, "steps": step + 3}), tmp_path / "run", resume=True, plugins=plugins)
    assert load(resumed, plugins=plugins).recipe.training.steps == step + 3


@SIGNALS
def test_a_signal_in_the_first_step_of_the_warm_up_leaves_a_checkpoint(
    number, exit_code, make_recipe, plugins, tmp_path, monkeypatch
):
    import zoo_toy.objectives

    losses = zoo_toy.objectives.ToyAutoencoder.losses

    def interrupted(self, batch, noise, *, player):
        os.kill(os.getpid(), number)
        monkeypatch.setattr(zoo_toy.objectives.ToyAutoencoder, "losses", losses)
        return losses(self, batch, noise, player=player)

    monkeypatch.setattr(zoo_toy.objectives.ToyAutoencoder, "losses", interrupted)
    recipe = make_recipe(warmup_steps=5)
    with pytest.raises(SystemExit) as left:
        train(recipe, tmp_path, plugins=plugins)
    assert left.value.code == exit_code
    assert Run(tmp_path).newest().step == 1


@SIGNALS
def test_a_signal_while_validating_ends_at_once_with_a_checkpoint(
    number, exit_code, make_recipe, plugins, tmp_path, monkeypatch
):
    def endless(*arguments, **options):
        os.kill(os.getpid(), number)
        time.sleep(60)

    monkeypatch.setattr("zoo.training.validating.measure", endless)
    recipe, started = make_recipe(validate_every=6, checkpoint_every=100), time.monotonic()
    with pytest.raises(SystemExit) as left:
        train(recipe, tmp_path, plugins=plugins)
    assert left.value.code == exit_code
    assert Run(tmp_path).newest().step == 6
    assert time.monotonic() - started < 30


@SIGNALS
def test_a_signal_while_the_data_are_read_ends_at_once(
    number, exit_code, make_recipe, plugins, tmp_path, monkeypatch, trained
):
    import shutil

    import zoo_toy.dataset

    def endless(self, name):
        os.kill(os.getpid(), number)
        time.sleep(60)

    monkeypatch.setattr(zoo_toy.dataset.ToyDataset, "split", endless)
    shutil.copytree(trained.parent.parent, tmp_path / "begun")
    for run in ("fresh", "begun"):
        with pytest.raises(SystemExit) as left:
            train(make_recipe(steps=50), tmp_path / run, resume=True, plugins=plugins)
        assert left.value.code == exit_code
    assert Run(tmp_path / "begun").newest().step == 12


@SIGNALS
def test_a_signal_to_all_processes_that_read_ahead_leaves_a_checkpoint(
    number, exit_code, make_recipe, plugins, tmp_path, monkeypatch
):
    monkeypatch.setattr("zoo.models.batches._MEMORY_BYTES", 0)
    recipe = make_recipe(workers=2, steps=1000, checkpoint_every=1000)

    def interrupt(progress):
        if progress.step == 10:
            if number == signal.SIGINT:  # a terminal sends Ctrl-C to every process
                for worker in multiprocessing.active_children():
                    os.kill(worker.pid, number)
            os.kill(os.getpid(), number)

    with pytest.raises(SystemExit) as left:
        train(recipe, tmp_path / "run", observe=interrupt, plugins=plugins)
    assert left.value.code == exit_code
    assert Run(tmp_path / "run").newest().step == 10
    assert not multiprocessing.active_children()


def test_going_on_with_workers_gives_the_same_weights_bit_for_bit(make_recipe, plugins, tmp_path, monkeypatch, trained):
    monkeypatch.setattr("zoo.models.batches._MEMORY_BYTES", 0)
    train(make_recipe(workers=2, steps=5), tmp_path, plugins=plugins)
    parts = train(make_recipe(workers=1, steps=12), tmp_path, resume=True, plugins=plugins)
    parts, whole = (load(path, plugins=plugins).model.objective.state_dict() for path in (parts, trained))
    assert all(bool((parts[name] == tensor).all()) for name, tensor in whole.items())


@pytest.mark.verify
def test_two_hundred_kills_leave_a_valid_newest_checkpoint(make_recipe, plugins, tmp_path):
    """Each process continues from the last one's checkpoint, saves after every step, and is killed while it saves."""
    settings, generator, kills = {"steps": 1_000_000, "checkpoint_every": 1}, random.Random(0), 200
    recipe, run = make_recipe(**settings), Run(tmp_path / "run")
    train(make_recipe(steps=1), tmp_path / "first", plugins=plugins)  # what a step imports, no process imports again
    forked = multiprocessing.get_context("fork")
    reached = 0
    for _ in range(kills):
        process = forked.Process(
            target=train, args=(recipe, run.folder), kwargs={"resume": True, "plugins": plugins}, daemon=True
        )
        process.start()
        deadline = time.monotonic() + 60
        while max((int(path.name[-8:]) for path in run.folder.glob("checkpoint-*")), default=0) <= reached:
            assert process.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.03))
        process.kill()
        process.join()
        newest = run.newest()
        assert newest.step > reached
        assert load(newest.weights, plugins=plugins).recipe == recipe
        reached = newest.step
    last = train(make_recipe(**{**settings, "steps": reached + 1}), run.folder, resume=True, plugins=plugins)
    whole = train(make_recipe(steps=reached + 1, checkpoint_every=10**6), tmp_path / "whole", plugins=plugins)
    parts, uninterrupted = (load(path, plugins=plugins).model.objective.state_dict() for path in (last, whole))
    assert all(bool((parts[name] == tensor).all()) for name, tensor in uninterrupted.items())
