"""A run takes the same steps however often it is interrupted, and ends with a whole checkpoint."""

import datetime
import errno
import struct
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zoo.errors import DataError, DiskError, PluginError, SpecError, TrainingError, UsageError
from zoo.models.checkpoint import load
from zoo.training.runs import Run, read_log
from zoo.training.train import train


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


def test_a_folder_that_holds_checkpoints_is_not_trained_over(make_recipe, plugins, tmp_path):
    train(make_recipe(), tmp_path, plugins=plugins)
    with pytest.raises(UsageError, match=r"already holds checkpoints up to step 12; continue from them with `resume"):
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
    newest = Run(tmp_path).newest()
    assert newest is not None
    assert newest.step == 10


def test_a_nan_in_a_gap_changes_nothing(make_recipe, plugins, tmp_path, monkeypatch):
    from zoo.models.batches import RowsInMemory

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


def test_samples_that_cannot_be_read_may_be_skipped_and_are_counted(zoo, recipe_file, make_recipe, plugins, tmp_path):
    result = zoo("train", recipe_file(data={"broken_at": 5}), "--out", tmp_path / "run", "--on-bad-sample", "skip")
    assert result.exit_code == 0, result.stderr
    assert Run(tmp_path / "run").skipped() == {
        "train-5": "sample 'train-5', input 'left': value 0 is 'nonsense'; expected up to 6 vectors of 3"
    }
    assert (
        f"samples that cannot be read: 1, skipped; {tmp_path / 'run' / 'skipped.jsonl'} lists them, " in result.stderr
    )
    assert "the first: sample 'train-5', input 'left': value 0 is 'nonsense'" in result.stderr


def test_the_folder_of_a_run_in_the_place_of_an_entry_tells_how_to_go_on(zoo, recipe_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    zoo("train", recipe_file(steps=1), "--out", "run")
    told = zoo("train", "run")
    assert told.exit_code == 2
    assert told.error == (
        "no entry 'run', but a folder of this name with a recipe: train it by `zoo train run/recipe.toml`, and add "
        "--out run and --resume to continue a run"
    )
    assert zoo("train", "run/recipe.toml", "--out", "run", "--resume").exit_code == 0


def test_who_watches_is_told_how_far_the_data_are_read(make_recipe, plugins, tmp_path):
    told = []
    train(make_recipe(validate_every=6), tmp_path, plugins=plugins, observe_reading=lambda *far: told.append(far))
    assert told == [(32, 64), (64, 64)] * 2


def test_skipping_trains_on_what_is_left(make_recipe, plugins, tmp_path):
    rows = []
    recipe = make_recipe(data={"broken_at": 5}, batch_size=1000)
    train(recipe, tmp_path, skip_bad_samples=True, plugins=plugins, observe=lambda progress: rows.append(progress.rows))
    assert set(rows) == {31}


def test_validation_is_logged_and_changes_no_weight(trained, make_recipe, plugins, tmp_path):
    path = train(make_recipe(validate_every=5), tmp_path, plugins=plugins)
    before, after = (load(each, plugins=plugins).model.objective.state_dict() for each in (trained, path))
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
    validated = [line for line in read_log(tmp_path / "log.jsonl") if any("validation." in name for name in line)]
    assert [line["step"] for line in validated] == [5, 10, 12]
    assert validated[-1].keys() == {"step", "validation.error", "validation.rows"}


def events(path):
    """Read the events of TensorBoard: records of a length, its checksum, the event and its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    content = path.read_bytes()
    while content:
        (size,) = struct.unpack_from("<Q", content)
        yield Event.FromString(content[12 : 12 + size])
        content = content[16 + size :]


def test_a_tracker_is_told_what_the_log_is_told(make_recipe, plugins, tmp_path):
    train(make_recipe(trackers=["tensorboard"]), tmp_path / "run", plugins=plugins)
    told: dict[int, dict[str, float]] = {}
    for path in (tmp_path / "run").rglob("events.out.tfevents.*"):
        for event in events(path):
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    told.setdefault(event.step, {})[value.tag] = value.simple_value
    logged = {line.pop("step"): line for line in read_log(tmp_path / "run/log.jsonl")}
    assert told.keys() == logged.keys()
    for step, terms in logged.items():
        assert told[step] == pytest.approx(terms, rel=1e-6)


def test_an_unknown_tracker_is_refused(make_recipe, plugins, tmp_path):
    with pytest.raises(
        UsageError, match=r"training.trackers: 'abacus' cannot be used here, available are .*tensorboard"
    ):
        train(make_recipe(trackers=["abacus"]), tmp_path, plugins=plugins)


def test_a_batch_is_never_larger_than_the_data(make_recipe, plugins, tmp_path):
    rows = []
    train(make_recipe(batch_size=1000), tmp_path, observe=lambda progress: rows.append(progress.rows), plugins=plugins)
    assert rows == [32, 32, 32]


@pytest.fixture
def no_step(monkeypatch):
    """Fail if a step is taken."""

    def step(*arguments):
        raise AssertionError("a step was taken")

    monkeypatch.setattr("zoo.training.loop.Loop.step", step)


def test_a_state_that_no_checkpoint_can_hold_is_refused_before_the_first_step(
    no_step, make_recipe, plugins, tmp_path, monkeypatch
):
    from zoo_toy.modality import VectorsModality

    monkeypatch.setattr(VectorsModality, "state", lambda modality: {"words": np.array(["a", "b"])})
    with pytest.raises(PluginError) as caught:
        train(make_recipe(), tmp_path, plugins=plugins)
    assert str(caught.value) == (
        "the modality of 'right', VectorsModality, cannot be saved: its state 'words' is an array of <U1; a state is "
        "NumPy arrays of numbers or booleans, and a text its UTF-8 bytes: np.frombuffer(text.encode(), np.uint8)"
    )


def test_a_recipe_that_no_checkpoint_can_hold_is_refused_before_the_first_step(
    no_step, make_recipe, plugins, tmp_path, monkeypatch
):
    monkeypatch.setattr("zoo.discovery.components.checked_options", lambda component, kind, part, where: {})
    recipe = make_recipe(data={"since": datetime.date(2026, 1, 1)})
    with pytest.raises(SpecError, match=r"the recipe holds a value that no checkpoint can hold: .* date .*write dates"):
        train(recipe, tmp_path, plugins=plugins)


def test_a_disk_without_room_for_a_checkpoint_is_told_before_the_first_step(
    no_step, make_recipe, plugins, tmp_path, monkeypatch
):
    asked = []

    def full(descriptor, offset, size_bytes):
        asked.append(size_bytes)
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(DiskError, match=r"/run/checkpoint-00000004 cannot be .*: no space left; free some space"):
        train(make_recipe(), tmp_path / "run", plugins=plugins)
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    written = train(make_recipe(), tmp_path / "whole", plugins=plugins).parent
    whole = sum((written / name).stat().st_size for name in ("model.safetensors", "optimisers.safetensors"))
    assert 0.5 * whole < asked[0] < 1.5 * whole


def test_a_folder_that_may_not_be_written_is_told_before_the_first_step(
    no_step, make_recipe, plugins, tmp_path, monkeypatch
):
    def locked(path, *arguments, **options):
        raise PermissionError(errno.EACCES, "permission denied")

    monkeypatch.setattr("pathlib.Path.open", locked)
    with pytest.raises(DiskError, match=r"/run/checkpoint-00000004 cannot be .*: permission denied; .* choose another"):
        train(make_recipe(), tmp_path / "run", plugins=plugins)


def test_a_file_system_that_reserves_nothing_is_written_all_the_same(make_recipe, plugins, tmp_path, monkeypatch):
    def unknown(*arguments):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr("os.posix_fallocate", unknown)
    assert train(make_recipe(steps=1), tmp_path, plugins=plugins).is_file()
