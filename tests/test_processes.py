"""Several processes train the model that one would have trained, and stop together."""

import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from zoo.models.checkpoint import load
from zoo.training.choosing import chosen
from zoo.training.runs import Run, read_log
from zoo.training.train import train

TORCHRUN = Path(sys.executable).with_name("torchrun")


@pytest.fixture
def two_processes(zoo_process):
    """Start ``zoo train`` in two processes that talk through gloo."""
    started = []

    def start(*arguments):
        launcher = [TORCHRUN, "--standalone", "--nproc-per-node=2", "--no-python"]
        cpu = {"ACCELERATE_USE_CPU": "1"} if torch.accelerator.is_available() else {}
        started.append(zoo_process("train", *arguments, launcher=launcher, **cpu))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize(("objective", "gaps"), [("toy-autoencoder", False), ("toy-by-term", True)])
def test_two_processes_train_the_model_of_one(
    objective, gaps, two_processes, recipe_file, make_recipe, plugins, tmp_path
):
    data = {"gaps": gaps}
    process = two_processes(recipe_file(objective, data=data), "--out", tmp_path / "two")
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    alone = train(make_recipe(objective, data=data), tmp_path / "one", plugins=plugins)
    assert stdout.split() == [str(tmp_path / "two/checkpoint-00000012/model.safetensors")]
    one, two = (load(path, plugins=plugins).model.objective.state_dict() for path in (alone, stdout.split()[0]))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5
    logs = [read_log(tmp_path / run / "log.jsonl") for run in ("one", "two")]
    for line, other in zip(*logs, strict=True):
        assert line == pytest.approx(other, rel=1e-4)


@pytest.mark.verify
def test_two_processes_watch_average_and_freeze_as_one(two_processes, recipe_file, make_recipe, plugins, tmp_path):
    settings = {"validate_every": 4, "best": "error", "ema": 0.9, "freeze": ["left.encoder"], "clip_norm": 1.0}
    process = two_processes(recipe_file(**settings), "--out", tmp_path / "two")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    train(make_recipe(**settings), tmp_path / "one", plugins=plugins)
    found = [chosen(tmp_path / run).weights for run in ("one", "two")]
    assert found[0].parent.name == found[1].parent.name
    one, two = (load(path, plugins=plugins).model.objective.state_dict() for path in found)
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5


@pytest.mark.verify
def test_two_processes_compare_the_rows_of_both(two_processes, recipe_file, make_recipe, plugins, tmp_path):
    settings = {"data": {"gaps": True}, "accumulate": 2}
    process = two_processes(recipe_file("toy-alignment", **settings), "--out", tmp_path / "two")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    train(make_recipe("toy-alignment", data={"gaps": True}), tmp_path / "one", plugins=plugins)
    logs = [read_log(tmp_path / run / "log.jsonl") for run in ("one", "two")]
    for line, other in zip(*logs, strict=True):
        assert line == pytest.approx(other, rel=1e-5)


@pytest.mark.verify
def test_more_processes_than_before_are_a_change(two_processes, recipe_file, make_recipe, plugins, tmp_path):
    train(make_recipe(), tmp_path / "run", plugins=plugins)
    arguments = (recipe_file(steps=14), "--out", tmp_path / "run", "--resume")
    _, stderr = two_processes(*arguments).communicate(timeout=120)
    assert "was trained with other settings: processes was 1 and is 2; use its own recipe, continue with the" in stderr
    stdout, stderr = two_processes(*arguments, "--accept-changes").communicate(timeout=120)
    assert stdout.split() == [str(tmp_path / "run/checkpoint-00000014/model.safetensors")], stderr


@pytest.mark.verify
def test_two_processes_stop_together_and_leave_a_checkpoint(two_processes, recipe_file, make_recipe, plugins, tmp_path):
    run, settings = Run(tmp_path / "two"), {"steps": 1_000_000, "checkpoint_every": 1_000_000}
    process = two_processes(recipe_file(**settings), "--out", run.folder)
    log, deadline = run.folder / "log.jsonl", time.monotonic() + 60
    while not (log.exists() and log.read_text().count("\n") > 1):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    newest = run.newest()
    assert newest is not None
    weights = load(newest.weights, plugins=plugins).model.objective.state_dict()
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())
