"""A run takes the same steps however often it is interrupted, and ends with a whole checkpoint."""

import itertools
import random
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zoo.checkpoint import load
from zoo.errors import DataError, IntegrityError, TrainingError, UsageError
from zoo.runs import Run, read_log
from zoo.spec import Training
from zoo.training import learning_rate, train


@pytest.fixture
def stop_after(monkeypatch):
    """End a training in the place of a signal, or as a kill would, after a step was saved."""

    class Killed(Exception):
        pass

    def at(step):
        def observe(progress):
            if progress.step == step:
                raise Killed

        return SimpleNamespace(observe=observe, error=Killed)

    return at


@pytest.mark.parametrize("objective", ["toy-autoencoder", "toy-alignment"])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_going_on_gives_the_same_weights_bit_for_bit(
    objective, gaps, schedule, make_recipe, plugins, tmp_path, stop_after
):
    settings = {"schedule": schedule, "warmup_steps": 3, "weight_decay": 0.01, "checkpoint_every": 7, "steps": 23}
    recipe = make_recipe(objective, {"gaps": gaps}, **settings)
    whole = train(recipe, tmp_path / "whole", plugins=plugins)
    kill = stop_after(20)
    with pytest.raises(kill.error):
        train(recipe, tmp_path / "parts", observe=kill.observe, plugins=plugins)
    parts = train(recipe, tmp_path / "parts", resume=True, plugins=plugins)
    assert parts.read_bytes() == whole.read_bytes()
    assert (tmp_path / "parts/log.jsonl").read_bytes() == (tmp_path / "whole/log.jsonl").read_bytes()


def test_the_same_recipe_gives_the_same_bytes(trained, make_recipe, plugins, tmp_path):
    torch.manual_seed(3)  # what happened before in the process counts for nothing
    assert train(make_recipe(), tmp_path / "run", plugins=plugins).read_bytes() == trained.read_bytes()


def test_another_seed_gives_other_weights(trained, make_recipe, plugins, tmp_path):
    assert train(make_recipe(seed=1), tmp_path / "run", plugins=plugins).read_bytes() != trained.read_bytes()


def test_the_loss_goes_down(make_recipe, plugins, tmp_path):
    train(make_recipe(steps=100), tmp_path, plugins=plugins)
    losses = [line["loss"] for line in read_log(tmp_path / "log.jsonl")]
    assert losses[-1] < 0.5 * losses[0]


def test_the_log_holds_a_line_a_logged_step_with_every_term(trained):
    lines = read_log(trained.parent.parent / "log.jsonl")
    assert [line["step"] for line in lines] == [1, 10, 12]
    assert all(set(line) == {"step", "loss", "error_left", "error_right", "size"} for line in lines)
    assert lines[0]["loss"] == pytest.approx(sum(lines[0][term] for term in ("error_left", "error_right", "size")))


def test_going_on_from_the_end_trains_nothing(make_recipe, plugins, tmp_path):
    path = train(make_recipe(), tmp_path, plugins=plugins)
    assert train(make_recipe(), tmp_path, resume=True, plugins=plugins) == path


def test_more_steps_go_on_where_fewer_ended(make_recipe, plugins, tmp_path):
    train(make_recipe(steps=12), tmp_path / "parts", plugins=plugins)
    parts = train(make_recipe(steps=20), tmp_path / "parts", resume=True, plugins=plugins)
    assert load(parts, plugins=plugins).recipe.training.steps == 20
    whole = train(make_recipe(steps=20), tmp_path / "whole", plugins=plugins)
    assert parts.read_bytes() == whole.read_bytes()


def test_going_on_with_another_spec_is_refused(make_recipe, plugins, tmp_path):
    train(make_recipe(), tmp_path, plugins=plugins)
    with pytest.raises(IntegrityError, match=r"checkpoint-00000012 is a checkpoint of another spec: expected .*'toy-"):
        train(make_recipe("toy-alignment", steps=20), tmp_path, resume=True, plugins=plugins)


def test_going_on_with_other_data_is_refused(make_recipe, plugins, tmp_path):
    train(make_recipe(), tmp_path, plugins=plugins)
    with pytest.raises(IntegrityError, match=r"another data: expected .*'gaps': True.*use its own recipe, or choose"):
        train(make_recipe(data={"gaps": True}, steps=20), tmp_path, resume=True, plugins=plugins)


def test_a_folder_that_holds_checkpoints_is_not_trained_over(make_recipe, plugins, tmp_path):
    train(make_recipe(), tmp_path, plugins=plugins)
    with pytest.raises(UsageError, match=r"already holds checkpoints up to step 12; go on from them with --resume"):
        train(make_recipe(), tmp_path, plugins=plugins)


def test_a_nan_in_the_loss_names_term_and_step_and_keeps_the_last_good_checkpoint(make_recipe, plugins, tmp_path):
    recipe = make_recipe(data={"nan_at": 9}, checkpoint_every=1, steps=8, seed=2)
    with pytest.raises(TrainingError) as caught:
        train(recipe, tmp_path, plugins=plugins)
    step = next(int(word.strip(",")) for word in str(caught.value).split() if word.strip(",").isdigit())
    assert step > 1
    assert str(caught.value).startswith(f"the term 'error_right' is nan at step {step}, expected a finite number; ")
    assert "Lower training.learning_rate (it is 0.01)" in str(caught.value)
    kept = load(tmp_path / f"checkpoint-{step - 1:08d}/model.safetensors", plugins=plugins).model.objective
    assert all(bool(torch.isfinite(parameter).all()) for parameter in kept.parameters())


def test_weights_that_are_no_numbers_replace_no_good_checkpoint(make_recipe, plugins, tmp_path):
    def spoil(progress):
        if progress.step == 20:
            next(progress.model.objective.parameters()).data[0] = np.nan

    recipe = make_recipe(steps=20, checkpoint_every=10)
    with pytest.raises(
        TrainingError, match="are not finite after step 20, though its loss was; the last good checkpoint"
    ):
        train(recipe, tmp_path, observe=spoil, plugins=plugins)
    newest = Run(tmp_path).newest(recipe)
    assert newest is not None
    assert newest.step == 10


def test_a_launcher_of_several_processes_is_refused(make_recipe, plugins, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.training.Accelerator.num_processes", 2)
    with pytest.raises(
        UsageError, match="training runs in one process, this is one of 2; start it by `zoo train` alone"
    ):
        train(make_recipe(), tmp_path, plugins=plugins)


def test_a_nan_in_a_gap_changes_nothing(make_recipe, plugins, tmp_path, monkeypatch):
    from zoo.loading import RowsInMemory

    recipe = make_recipe(data={"gaps": True})
    clean = train(recipe, tmp_path / "clean", plugins=plugins).read_bytes()
    take = RowsInMemory.take

    def with_nan(rows, index):
        batch = take(rows, index)
        batch.inputs["right"]["values"][~batch.present["right"]] = np.nan
        return batch

    monkeypatch.setattr(RowsInMemory, "take", with_nan)
    assert train(recipe, tmp_path / "nan", plugins=plugins).read_bytes() == clean


def test_a_sample_that_cannot_be_read_is_named(make_recipe, plugins, tmp_path):
    expected = "sample 'train-5', input 'left': value 0 is 'nonsense'; expected up to 6 vectors of 3"
    with pytest.raises(DataError, match=f"^{expected}$"):
        train(make_recipe(data={"broken_at": 5}), tmp_path, plugins=plugins)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_a_checkpoint_and_its_exit_code(
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


@pytest.mark.verify
def test_a_kill_at_any_moment_leaves_a_checkpoint_to_go_on_from(
    zoo_process, recipe_file, plugins, tmp_path, make_recipe
):
    settings, generator = {"steps": 1_000_000, "checkpoint_every": 1}, random.Random(0)
    recipe, run, reached = make_recipe(**settings), Run(tmp_path / "run"), 0
    for _ in range(10):
        process = zoo_process("train", recipe_file(**settings), "--out", run.folder, "--resume")
        while max((int(path.name[-8:]) for path in run.folder.glob("checkpoint-*")), default=0) <= reached:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        time.sleep(generator.uniform(0, 0.1))
        process.kill()
        process.communicate()
        newest = run.newest(recipe)
        assert newest.step > reached
        assert load(newest.weights, plugins=plugins).recipe == recipe
        reached = newest.step
    last = train(make_recipe(**{**settings, "steps": reached + 1}), run.folder, resume=True, plugins=plugins)
    whole = train(make_recipe(steps=reached + 1), tmp_path / "whole", plugins=plugins)
    parts, uninterrupted = (load(path, plugins=plugins).model.objective.state_dict() for path in (last, whole))
    assert all(torch.equal(parts[name], tensor) for name, tensor in uninterrupted.items())


def test_a_batch_is_never_larger_than_the_data(make_recipe, plugins, tmp_path):
    rows = []
    train(make_recipe(batch_size=1000), tmp_path, observe=lambda progress: rows.append(progress.rows), plugins=plugins)
    assert rows == [32, 32, 32]


def test_the_learning_rate_warms_up_and_falls_to_zero():
    settings = Training(steps=100, learning_rate=1.0, warmup_steps=10, schedule="cosine")
    rates = [learning_rate(settings, step) for step in range(101)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert rates[10] == 1.0
    assert rates[100] == pytest.approx(0)
    assert all(later <= sooner for sooner, later in itertools.pairwise(rates[10:]))


def test_a_constant_learning_rate_stays():
    assert {learning_rate(Training(learning_rate=0.5), step) for step in (0, 10, 999)} == {0.5}
