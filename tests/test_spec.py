"""Recipes come back from what they write, keep the order of their inputs, and refuse what they do not know."""

import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
import tomli
from hypothesis import given, settings, strategies as st

from zoo.errors import SpecError
from zoo.models.checkpoint import recipe_json
from zoo.recipes.spec import Part, Recipe

KEYS = st.sampled_from(
    ["spec", "data", "training", "evaluation", "inputs", "objective", "latent_dim", "name", "modality", "seed"]
)
HEAD = "[spec]\nobjective = 'x'\nlatent_dim = 2\n"
SLUGS = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,10}[a-z0-9])?", fullmatch=True)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=10),
)
OPTIONS = st.dictionaries(SLUGS.filter(lambda key: key != "name"), st.one_of(SCALARS, st.lists(SCALARS)), max_size=3)
PARTS = st.builds(lambda name, options: {"name": name, **options}, SLUGS, OPTIONS)
INPUTS = st.dictionaries(
    SLUGS.filter(lambda name: "." not in name),
    st.fixed_dictionaries({"modality": PARTS}, optional={"encoder": PARTS, "decoder": PARTS}),
    min_size=1,
    max_size=4,
)
RECIPES = st.builds(
    lambda objective, latent_dim, inputs, data: Recipe.read(
        {"spec": {"objective": objective, "latent_dim": latent_dim, "inputs": inputs}, "data": data}, "drawn"
    ),
    PARTS,
    st.integers(1, 512),
    INPUTS,
    PARTS,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(RECIPES)
def test_a_recipe_comes_back_from_toml(recipe):
    assert Recipe.read(tomli.loads(recipe.toml()), "again") == recipe


@settings(max_examples=100, deadline=None, derandomize=True)
@given(RECIPES)
def test_the_order_of_the_inputs_survives_json_with_sorted_keys(recipe):
    again = Recipe.read(json.loads(json.dumps(recipe_json(recipe), sort_keys=True)), "again")
    assert again == recipe
    assert [entry.name for entry in again.spec.inputs] == [entry.name for entry in recipe.spec.inputs]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner), st.dictionaries(KEYS, inner)), max_leaves=12))
def test_any_table_is_a_recipe_or_an_error_of_the_zoo(value):
    with suppress(SpecError):
        assert isinstance(Recipe.read(value, "drawn"), Recipe)


def test_a_part_without_options_is_written_by_its_name():
    assert Part.read("text", "here").written() == "text"
    assert Part.read({"name": "text"}, "here").written() == "text"
    assert Part.read({"name": "text", "max_length": 3}, "here").written() == {"name": "text", "max_length": 3}


@pytest.mark.parametrize(
    ("assignments", "path", "value"),
    [
        (("training.steps=100",), ("training", "steps"), 100),
        (("training.learning_rate=1",), ("training", "learning_rate"), 1.0),
        (("training.schedule=cosine",), ("training", "schedule"), "cosine"),
        (("training.steps=1", "training.steps=2"), ("training", "steps"), 2),
        (("spec.objective.beta=0.5",), ("spec", "objective"), {"name": "toy-autoencoder", "beta": 0.5}),
        (("spec.latent_dim = 7",), ("spec", "latent_dim"), 7),
        (("data.gaps=true",), ("data", "gaps"), True),
        (
            ("spec.inputs.left.encoder.features=9",),
            ("spec", "inputs", "left", "encoder"),
            {"name": "linear", "features": 9},
        ),
        (
            ("spec.inputs.left.modality={name='image', size=[3, 4]}",),
            ("spec", "inputs", "left", "modality"),
            {"name": "image", "size": [3, 4]},
        ),
        (("data.folder=/tmp/a=b",), ("data", "folder"), "/tmp/a=b"),
    ],
)
def test_an_option_sets_a_key(assignments, path, value, make_recipe):
    found = make_recipe().with_options(assignments).written()
    for key in path:
        found = found[key]
    assert found == value


def test_options_by_key_are_values_of_python(make_recipe):
    recipe = make_recipe(seed=3)
    given = {"training.steps": 9, "data": {"name": "folder", "path": Path("photos")}, "evaluation": {}}
    found = recipe.with_options({**given, "training.trackers": ("tensorboard",)})
    assert (found.training.steps, found.training.seed, found.training.trackers) == (9, 3, ("tensorboard",))
    assert found.data == Part("folder", {"path": "photos"})
    assert Recipe.read(tomli.loads(found.toml()), "again") == found
    with pytest.raises(
        SpecError, match=r"`options` training.steps.more: 'steps' is not a table; `zoo info NAME --recipe` shows"
    ):
        recipe.with_options({"training.steps.more": 1})


def test_an_option_leaves_the_recipe_as_it_was(make_recipe):
    recipe = make_recipe()
    recipe.with_options(("spec.inputs.left.encoder.features=9", "training.steps=1"))
    assert recipe == make_recipe()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.steps", "`options` training.steps: expected key=value, as in training.steps=100"),
        ("training.stpes=3", "`options`: training: unknown key 'stpes'; it takes steps, .* Did you mean 'steps'?"),
        ("training.steps=many", "`options`: training: 'steps' takes a whole number, got 'many'"),
        ("training.steps=1.5", "'steps' takes a whole number, got 1.5"),
        (
            "training.steps.more=1",
            "`options` training.steps.more=1: 'steps' is not a table; `zoo info NAME --recipe` shows",
        ),
        ("spec.latent_dim=0", "^`options`: spec: 'latent_dim' takes a whole number from 1, got 0$"),
        ("data.name=../data", "data.name: '../data' is not a valid name"),
        ("=3", "unknown key ''"),
        (
            "spec.inputs.lefft.encoder.features=3",
            "^`options`: spec.inputs.lefft.modality is missing; give a name, or a table with a name and options; "
            r"inputs with a modality are right, left. Did you mean 'left'\?$",
        ),
        ("spec.inputs.rigth.modality.size=3", r"'name' is missing; .* inputs with .* right, left. .* 'right'\?$"),
        ("spec.inputs.caption.decoder=3", r"modality is missing; .* inputs with a modality are right, left\.$"),
        ("spec.inputs={}", "a model needs at least one input; add a table \\[spec.inputs.NAME\\]"),
    ],
)
def test_a_wrong_option_says_what_is_taken(assignment, message, make_recipe, zoo, recipe_file):
    with pytest.raises(SpecError, match=message):
        make_recipe().with_options((assignment,))
    result = zoo("train", recipe_file(), "-o", assignment)
    assert result.exit_code == 2
    assert re.search(message.replace("`options`", "-o"), result.error)


def test_an_option_out_of_its_range_ends_training_before_it_begins(zoo, recipe_file):
    result = zoo("train", recipe_file(), "-o", "spec.inputs.left.modality.longest=0")
    assert result.exit_code == 2
    assert "spec.inputs.left.modality.longest takes a whole number from 1, got 0" in result.error


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "'steps' takes a whole number from 1, got 0"),
        ({"batch_size": -1}, "'batch_size' takes a whole number from 1, got -1"),
        ({"learning_rate": 0.0}, "'learning_rate' takes a number above 0, got 0.0"),
        ({"learning_rate": float("nan")}, "'learning_rate' takes a number above 0, got nan"),
        ({"weight_decay": float("nan")}, "'weight_decay' takes a number from 0, got nan"),
        ({"warmup_steps": -1}, "'warmup_steps' takes a whole number from 0, got -1"),
        ({"seed": -1}, "'seed' takes a whole number from 0, got -1"),
        ({"weight_decay": float("inf")}, "'weight_decay' takes a number from 0, got inf"),
        ({"schedule": "flat"}, "'schedule' takes 'constant', 'linear', 'cosine', 'one-cycle' or 'plateau', got 'flat'"),
    ],
)
def test_a_setting_out_of_range_is_refused(changes, message, make_recipe):
    with pytest.raises(SpecError, match=f"^toy.toml: training: {message}$"):
        make_recipe(**changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"the table \[spec\] is missing; `zoo info NAME --recipe` prints a recipe to start from"),
        ("schema = 2", r"schema 2 is newer than this modalzoo reads \(up to 1\); upgrade modalzoo"),
        (HEAD, r"a model needs at least one input; add a table"),
        ("[spec]\nlatent_dim = 2", r"spec.objective is missing; give a name, or a table with a name and options"),
        ("[spec]\nobjective = 'os:system'", r"spec.objective: 'os:system' is not a valid name"),
        (
            HEAD + "[spec.inputs.'a.b']\nmodality = 'x'",
            r"'a.b' is not a name for an input",
        ),
        (HEAD + "[spec.inputs.a]\nencoder = 'x'", r"inputs.a.modality is missing"),
        (
            HEAD + "[spec.inputs.caption]\nmodality = 'x'\n[spec.inputs.captoin]\nencoder = 'x'",
            r"inputs.captoin.modality is missing; .*; inputs with a modality are caption. Did you mean 'caption'\?",
        ),
        (
            HEAD + "[spec.inputs.caption]\nmodality = 'x'\n[spec.inputs.captoin]\nmodalty = 'x'",
            r"inputs.captoin: unknown key 'modalty'; it takes [^;]* Did you mean 'modality'\?$",
        ),
        (HEAD + "[spec.inputs.a]\nmodality = 'x'", r"data is missing; give a name"),
        ("[spce]", r"unknown key 'spce'; it takes schema, spec, .* Did you mean 'spec'\?"),
        (
            "training = 3\n" + HEAD + "[spec.inputs.a]\nmodality = 'x'\n[data]\nname = 'x'",
            r"training: expected a table, got 3",
        ),
    ],
)
def test_a_wrong_recipe_says_which_file_and_what(text, message, tmp_path):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(SpecError, match=rf"mine.toml: .*{message}"):
        Recipe.load(tmp_path / "mine.toml")


def test_the_modalities_of_a_spec_are_told_once(make_recipe):
    assert make_recipe().spec.modalities == ("vectors",)


DIGITS, HEX = "9" * 5000, "0x" + "f" * 5000


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        (f"training.steps={DIGITS}", "'steps' takes a whole number, got '999999"),
        (f"training.steps={HEX}", "-o training.steps: a whole number has at most 64 bits, got a value of the type int"),
        (f"data.rows={HEX}", "-o data.rows: a whole number has at most 64 bits"),
        ("data.rows=" + "[" * 100 + "]" * 100, "-o data.rows: tables and lists are nested at most 63 deep"),
        ("data" + ".a" * 5000 + "=1", "-o: tables and lists are nested at most 63 deep"),
    ],
)
def test_a_value_of_a_command_line_that_is_too_large_is_refused_in_few_words(assignment, reason, zoo, recipe_file):
    result = zoo("train", recipe_file(), "-o", assignment)
    assert result.exit_code == 2
    assert reason in result.error
    assert len(result.error) < 1000


@pytest.mark.parametrize("line", [f"steps = {DIGITS}", f"steps = {HEX}", "steps = " + "[" * 99 + "]" * 99])
@pytest.mark.parametrize("command", ["train", "data"])
def test_a_recipe_with_a_value_that_is_too_large_names_its_file(line, command, zoo, recipe_file):
    path = recipe_file()
    path.write_text(path.read_text().replace("steps = 12", line))
    result = zoo(command, path)
    assert result.exit_code == 2
    assert str(path) in result.error
    assert len(result.error) < 1000


def test_a_recipe_in_json_is_held_to_the_same_bounds(make_recipe):
    written = make_recipe().written()
    written["data"]["rows"] = json.loads("1" * 400)
    with pytest.raises(SpecError, match=r"^spec\.json: a whole number has at most 64 bits, got 1111"):
        Recipe.read(written, "spec.json")
    written["data"]["rows"] = json.loads("[" * 500 + "]" * 500)
    with pytest.raises(SpecError, match=r"^spec\.json: tables and lists are nested at most 63 deep"):
        Recipe.read(written, "spec.json")
