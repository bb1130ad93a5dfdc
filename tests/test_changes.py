"""A run continues with its own recipe; what changed is named by its key, and taken only when asked."""

import json

import pytest
import torch
from safetensors.torch import load_file

from zoo.errors import IntegrityError
from zoo.models.checkpoint import load
from zoo.models.parts import Parts
from zoo.training.optimisers import grouped
from zoo.training.runs import Run, read_log
from zoo.training.train import train


@pytest.fixture
def begun(make_recipe, plugins, tmp_path):
    """The folder of a run of 12 steps."""
    train(make_recipe(), tmp_path / "run", plugins=plugins)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("key", "was", "now"),
    [
        ("learning_rate", 0.01, 0.02),
        ("batch_size", 8, 4),
        ("seed", 0, 1),
        ("weight_decay", 0.0, 0.1),
        ("warmup_steps", 0, 3),
        ("schedule", "constant", "cosine"),
        ("accumulate", 1, 2),
        ("precision", "fp32", "bf16"),
    ],
)
def test_a_changed_setting_is_refused_with_both_values(key, was, now, make_recipe, plugins, begun):
    with pytest.raises(IntegrityError) as caught:
        train(make_recipe(steps=20, **{key: now}), begun, resume=True, plugins=plugins)
    assert str(caught.value) == (
        f"{begun}/checkpoint-00000012 was trained with other settings: training.{key} was {json.dumps(was)} and is "
        f"{json.dumps(now)}; use its own recipe, continue with the new one by `accept_changes=True`, or choose another "
        "`out`"
    )


def test_every_changed_key_is_named(make_recipe, plugins, begun):
    recipe = make_recipe(data={"gaps": True}, steps=20, seed=3, drop={"left": 0.5})
    expected = (
        "data.gaps was missing and is true, training.drop.left was missing and is 0.5, training.seed was 0 and is 3;"
    )
    with pytest.raises(IntegrityError, match=expected):
        train(recipe, begun, resume=True, plugins=plugins)


def test_settings_on_which_no_step_depends_change_freely(make_recipe, plugins, begun, tmp_path):
    free = {"steps": 16, "checkpoint_every": 3, "validate_every": 5, "workers": 1, "trackers": ["tensorboard"]}
    parts = train(make_recipe(**free), begun, resume=True, plugins=plugins)
    whole = train(make_recipe(steps=16), tmp_path / "whole", plugins=plugins)
    one, other = (load(path, plugins=plugins).model.objective.state_dict() for path in (parts, whole))
    assert all(torch.equal(one[name], tensor) for name, tensor in other.items())


def test_the_number_of_steps_is_a_change_where_the_schedule_ends_with_them(make_recipe, plugins, tmp_path):
    train(make_recipe(schedule="cosine"), tmp_path, plugins=plugins)
    with pytest.raises(IntegrityError, match=r"training.steps was 12 and is 20; .* by `accept_changes=True`"):
        train(make_recipe(schedule="cosine", steps=20), tmp_path, resume=True, plugins=plugins)


def test_another_spec_is_refused_by_its_keys_even_if_changes_are_accepted(make_recipe, plugins, begun):
    with pytest.raises(IntegrityError) as caught:
        train(make_recipe("toy-alignment", steps=20), begun, resume=True, accept_changes=True, plugins=plugins)
    assert str(caught.value) == (
        f'{begun}/checkpoint-00000012 is a checkpoint of another spec: spec.objective was "toy-autoencoder" and is '
        '"toy-alignment"; its weights do not fit: use its own recipe, or choose another `out`'
    )


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("spec.inputs.left.encoder.features=7", "spec.inputs.left.encoder.features was 5 and is 7;"),
        ("spec.latent_dim=3", "spec.latent_dim was 2 and is 3;"),
        ("spec.objective.beta=0.5", "spec.objective.beta was missing and is 0.5;"),
    ],
)
def test_a_changed_spec_names_the_key_as_an_option_takes_it(option, expected, make_recipe, plugins, begun):
    with pytest.raises(IntegrityError, match=f"another spec: {expected}"):
        train(make_recipe(steps=20).with_options((option,)), begun, resume=True, plugins=plugins)


def test_inputs_in_another_order_are_another_spec(make_recipe, plugins, begun):
    from zoo.recipes.spec import Recipe

    tables = make_recipe(steps=20).written()
    tables["spec"]["inputs"] = dict(reversed(tables["spec"]["inputs"].items()))
    expected = r'spec.inputs was \["right", "left"\] and is \["left", "right"\]'
    with pytest.raises(IntegrityError, match=expected):
        train(Recipe.read(tables, "toy.toml"), begun, resume=True, plugins=plugins)


def test_an_accepted_change_is_taken_from_the_next_step_on(make_recipe, plugins, begun, tmp_path, caplog):
    recipe = make_recipe(steps=20, learning_rate=1e-9)
    before = load(Run(begun).newest().weights, plugins=plugins).model.objective.state_dict()
    path = train(recipe, begun, resume=True, accept_changes=True, plugins=plugins)
    after = load(path, plugins=plugins)
    assert after.recipe == recipe
    assert all(
        torch.allclose(before[name], tensor, atol=1e-6) for name, tensor in after.model.objective.state_dict().items()
    )
    assert caplog.messages == ["from step 13 on, training.learning_rate was 0.01 and is 1e-09"]


def test_the_log_and_the_report_tell_from_which_step_on_something_changed(make_recipe, plugins, begun):
    from zoo.reporting.page import report

    train(make_recipe(steps=20, seed=1), begun, resume=True, accept_changes=True, plugins=plugins)
    lines = read_log(begun / "log.jsonl")
    assert [line["step"] for line in lines] == [1, 10, 12, 12, 20]
    assert lines[3] == {"step": 12, "changed": {"training.seed": {"was": 0, "now": 1}}}
    assert "after step 12 training.seed was 0 and is 1" in report(begun, plugins=plugins).read_text()


def test_a_change_that_no_step_was_taken_by_leaves_the_log(make_recipe, plugins, begun):
    run = Run(begun)
    run.start(make_recipe(seed=1), step=12, changed={"training.seed": (0, 1)})
    train(make_recipe(steps=20), begun, resume=True, plugins=plugins)
    assert not [line for line in read_log(begun / "log.jsonl") if "changed" in line]


@pytest.mark.parametrize("decays", [(0.0, 0.1), (0.1, 0.0)])
def test_an_optimiser_keeps_the_state_of_each_parameter_as_weight_decay_comes_or_goes(
    decays, make_recipe, plugins, tmp_path
):
    was, now = (make_recipe(steps=12 if n == 0 else 13, weight_decay=decay) for n, decay in enumerate(decays))
    train(was, tmp_path, plugins=plugins)
    path = train(now, tmp_path, resume=True, accept_changes=True, plugins=plugins)
    model = load(path, plugins=plugins).model
    groups = grouped(list(model.objective.parameters()), Parts.of(model), now.training)[""]
    order = [parameter for group in groups for parameter in group["params"]]
    saved = load_file(path.parent / "optimisers.safetensors")
    assert [saved[f"model/{place}/exp_avg"].shape for place in range(len(order))] == [each.shape for each in order]
    assert {int(saved[f"model/{place}/step"]) for place in range(len(order))} == {13}


def test_more_rows_than_before_are_a_change(make_recipe, plugins, begun, monkeypatch):
    from zoo_toy.dataset import ToyDataset

    split = ToyDataset.split
    monkeypatch.setattr(ToyDataset, "split", lambda data, name: split(data, name)[:-2])
    with pytest.raises(IntegrityError, match=r"was trained with other settings: rows was 32 and is 30; "):
        train(make_recipe(steps=20), begun, resume=True, plugins=plugins)
    train(make_recipe(steps=20), begun, resume=True, accept_changes=True, plugins=plugins)
    assert {"rows": {"was": 32, "now": 30}} in [line.get("changed") for line in read_log(begun / "log.jsonl")]


def test_another_number_of_processes_is_a_change(make_recipe, plugins, begun):
    newest = Run(begun).newest()
    assert newest.launched == {"rows": 32, "processes": 1}
    assert newest.changes(make_recipe(), processes=2) == {"processes": (1, 2)}


def test_a_checkpoint_that_does_not_tell_its_rows_and_processes_goes_on(make_recipe, plugins, begun):
    path = begun / "checkpoint-00000012/state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({key: state[key] for key in ("step", "recipe", "files")}))
    assert train(make_recipe(steps=20), begun, resume=True, plugins=plugins).parent.name == "checkpoint-00000020"


def test_the_command_takes_a_change_only_if_it_is_asked_to(zoo, recipe_file, make_recipe, plugins, begun):
    told = "training.seed was 0 and is 1"
    arguments = ("train", recipe_file(steps=14, seed=1), "--out", begun, "--resume")
    refused = zoo(*arguments)
    assert refused.exit_code == 4
    advice = "use its own recipe, continue with the new one by --accept-changes"
    assert f"was trained with other settings: {told}; {advice}" in refused.error
    accepted = zoo(*arguments, "--accept-changes")
    assert accepted.exit_code == 0
    assert accepted.stdout == f"{begun}/checkpoint-00000014/model.safetensors\n"


def test_accepting_changes_without_going_on_is_refused(zoo, recipe_file):
    result = zoo("train", recipe_file(), "--accept-changes")
    assert result.exit_code == 2
    assert result.error == "--accept-changes is for --resume, which is not given; add it, or leave this out"
