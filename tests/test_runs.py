"""The folder of a run holds two whole checkpoints at most, and says so when one is not whole."""

import json

import pytest

from zoo.errors import DataError, IntegrityError, UsageError
from zoo.protocols import Sample
from zoo.training.choosing import chosen
from zoo.training.runs import Run, read_log
from zoo.training.train import train


@pytest.fixture
def run(make_recipe, plugins, tmp_path):
    """A run of 12 steps, with checkpoints every 4."""
    train(make_recipe(), tmp_path / "run", plugins=plugins)
    return Run(tmp_path / "run")


def test_the_newest_two_checkpoints_are_kept(run):
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "checkpoint-00000008",
        "checkpoint-00000012",
        "log.jsonl",
        "recipe.toml",
    ]


def test_a_sample_is_listed_once_whoever_skips_it(tmp_path):
    first, second = Run(tmp_path), Run(tmp_path)
    for key in ("a", "\udcff", "a"):
        first.skip(Sample(key, {}), DataError(f"no {key}"))
    for key in ("\udcff", "c"):
        second.skip(Sample(key, {}), DataError(f"no {key}"))
    first.skip(Sample("c", {}), DataError("no c"))
    assert read_log(tmp_path / "skipped.jsonl") == [{"sample": key, "error": f"no {key}"} for key in "a\udcffc"]


def test_a_line_that_was_never_finished_spoils_no_other(tmp_path):
    (tmp_path / "skipped.jsonl").write_text('{"sample": "a", "error": "no a"}\n{"samp')
    Run(tmp_path).skip(Sample("b", {}), DataError("no b"))
    assert Run(tmp_path).skipped() == {"a": "no a", "b": "no b"}


def test_a_list_of_skipped_samples_may_be_begun_anew(tmp_path):
    run = Run(tmp_path)
    for _ in range(2):
        run.skip(Sample("a", {}), DataError("no a"))
        assert run.skipped() == {"a": "no a"}
        (tmp_path / "skipped.jsonl").unlink()


def test_the_recipe_lies_beside_the_checkpoints(run, make_recipe):
    from zoo.recipes.spec import Recipe

    assert Recipe.load(run.folder / "recipe.toml") == make_recipe()


def test_a_run_that_was_never_started_has_nothing(tmp_path):
    assert Run(tmp_path).newest() is None
    assert Run(tmp_path / "absent").nothing_yet() is None


@pytest.mark.parametrize("name", ["model.safetensors", "optimisers.safetensors"])
def test_a_changed_byte_in_a_checkpoint_is_refused(name, run):
    path = run.folder / "checkpoint-00000012" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=f"{name} is not what its manifest promised: expected"):
        run.newest()


def test_a_checkpoint_that_lacks_a_file_is_refused(run):
    (run.folder / "checkpoint-00000012/optimisers.safetensors").unlink()
    with pytest.raises(IntegrityError, match=r"lacks the file 'optimisers.safetensors' that its manifest lists"):
        run.newest()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"recipe": {}}', '{"recipe": 3, "files": 4}'])
def test_a_damaged_training_state_says_how_to_go_on(text, run, make_recipe, plugins):
    path = run.folder / "checkpoint-00000012/state.json"
    path.write_text(text)
    with pytest.raises(IntegrityError, match=r"is missing or damaged .*; delete .*00012 and `resume=True` continues"):
        run.newest()
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    assert train(make_recipe(), run.folder, resume=True, plugins=plugins).parent == path.parent


@pytest.mark.parametrize("name", ["checkpoint-best", "checkpoint-2024-old"])
def test_a_folder_of_the_users_own_is_no_checkpoint(name, run):
    (run.folder / name).mkdir()
    (run.folder / name / "model.safetensors").touch()
    assert run.newest().step == 12
    assert chosen(run.folder).weights.parent.name == "checkpoint-00000012"


def test_the_weights_of_a_folder_are_its_newest(run):
    assert chosen(run.folder).weights == run.folder / "checkpoint-00000012/model.safetensors"
    assert chosen(chosen(run.folder).weights.parent).weights == chosen(run.folder).weights


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no checkpoint; name a .safetensors file or a folder that `zoo train`"):
        chosen(tmp_path)


def test_a_folder_of_transformers_is_to_be_imported_first(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    expected = rf"that `zoo train` left, or make it a run first: `zoo import {tmp_path} --out RUN`$"
    with pytest.raises(UsageError, match=expected):
        chosen(tmp_path)


def test_a_torn_last_line_of_the_log_is_left_out(run):
    with (run.folder / "log.jsonl").open("a") as stream:
        stream.write('{"step": 13, "lo')
    assert [line["step"] for line in read_log(run.folder / "log.jsonl")] == [1, 10, 12]


def test_steps_that_come_again_are_logged_once(run, make_recipe):
    with (run.folder / "log.jsonl").open("a") as stream:
        stream.write(json.dumps({"step": 20, "loss": 1.0}) + "\n" + '{"st')
    run.start(make_recipe(), step=12, changed={})
    assert [line["step"] for line in read_log(run.folder / "log.jsonl")] == [1, 10, 12]


@pytest.mark.parametrize("line", ["9" * 5000, "[" * 100_000, "{step"])
def test_a_line_of_a_log_that_cannot_be_read_is_named(line, tmp_path):
    (tmp_path / "log.jsonl").write_text(f'{{"step": 1}}\n{line}\n{{"step"')
    with pytest.raises(IntegrityError, match=r"log\.jsonl: line 2 is damaged \(.*\); remove it$"):
        read_log(tmp_path / "log.jsonl")
