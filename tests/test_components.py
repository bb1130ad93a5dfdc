"""Options are read off a component's signature: a wrong one is named with what is taken."""

import re
import sys
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Predicate
from hypothesis import given, settings, strategies as st

from zoo.discovery.components import (
    checked_options,
    make_dataset,
    make_exporter,
    make_modalities,
    make_modality,
    options_of,
)
from zoo.discovery.plugins import Component, Plugin, Plugins, discovered
from zoo.errors import PluginError, SpecError, UnknownNameError
from zoo.models.build import build, parts_of
from zoo.protocols import Modality
from zoo.recipes.spec import InputSpec, ModelSpec, Part


class Network:
    def __init__(
        self,
        modality: Any,
        *,
        width: int,
        rate: float = 0.1,
        sizes: tuple[int, ...] = (1, 2),
        pair: tuple[int, str] = (1, "a"),
        kind: Literal["one", "two"] = "one",
        depth: int | None = None,
        tied: bool = False,
        shares: dict[str, float] | None = None,
        free: Any = None,
    ) -> None:
        """Take every type that an option may have."""


class Plain:
    pass


@dataclass(frozen=True)
class Record:
    size: int = 3
    _learnt: Any = None


TAKES = (
    "it takes width (a whole number), rate = 0.1 (a number), sizes = [1, 2] (a list of whole numbers), pair = [1, 'a'] "
    "(a list of a whole number and a text), kind = 'one' ('one' or 'two'), depth = none (a whole number, or none), "
    "tied = false (true or false), shares = none (a table of numbers, or none), free = none (anything)"
)


def checked(**options):
    return checked_options(Network, "encoder", Part("net", options), "spec.inputs.a.encoder")


def checked_by(component, options):
    return checked_options(component, "modality", Part("it", options), "here")


@pytest.mark.parametrize(
    ("name", "value", "made"),
    [
        ("rate", 1, 1.0),
        ("sizes", [3, 4, 5], (3, 4, 5)),
        ("sizes", [], ()),
        ("pair", [2, "b"], (2, "b")),
        ("kind", "two", "two"),
        ("depth", 3, 3),
        ("tied", True, True),
        ("shares", {"a": 1, "b": 0.5}, {"a": 1.0, "b": 0.5}),
        ("free", {"a": [1]}, {"a": [1]}),
    ],
)
def test_a_right_option_becomes_what_the_constructor_takes(name, value, made):
    found = checked(**{"width": 1, name: value})[name]
    assert (found, type(found)) == (made, type(made))


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("width", "wide", "a whole number"),
        ("width", 1.0, "a whole number"),
        ("width", True, "a whole number"),
        ("rate", "fast", "a number"),
        ("sizes", 3, "a list of whole numbers"),
        ("sizes", ["a"], "a list of whole numbers"),
        ("pair", [1, "a", 2], "a list of a whole number and a text"),
        ("kind", "three", "'one' or 'two'"),
        ("depth", "deep", "a whole number, or none"),
        ("tied", 1, "true or false"),
        ("shares", {"a": "half"}, "a table of numbers, or none"),
        ("shares", [0.5], "a table of numbers, or none"),
    ],
)
def test_a_wrong_option_is_named_by_its_key_with_what_it_takes(name, value, takes):
    with pytest.raises(SpecError) as caught:
        checked(**{"width": 1, name: value})
    assert str(caught.value) == f"spec.inputs.a.encoder.{name} takes {takes}, got {value!r}"


def test_an_unknown_option_is_named_with_all_that_are_taken():
    with pytest.raises(SpecError) as caught:
        checked(width=1, widht=2)
    assert str(caught.value) == f"spec.inputs.a.encoder: 'net' has no option 'widht'; {TAKES}"


def test_what_the_zoo_gives_is_no_option():
    assert "modality" not in options_of(Network, "encoder")
    with pytest.raises(SpecError, match="'net' has no option 'modality'"):
        checked(width=1, modality="text")


def test_an_option_without_a_default_must_be_given():
    with pytest.raises(SpecError, match=r"^spec\.inputs\.a\.encoder\.width must be given; 'net' takes a whole number$"):
        checked()


def test_a_component_without_a_constructor_takes_no_options():
    assert checked_by(Plain, {}) == {}
    with pytest.raises(SpecError, match=r"^here: 'it' has no option 'a'; it takes none$"):
        checked_by(Plain, {"a": 1})


def test_the_private_fields_of_a_dataclass_are_no_options():
    assert list(options_of(Record, "modality")) == ["size"]
    with pytest.raises(SpecError, match=r"'it' has no option '_learnt'; it takes size = 3 \(a whole number\)"):
        checked_by(Record, {"_learnt": 1})


VALUES = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()), st.lists)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(["width", "rate", "sizes", "pair", "kind", "depth", "tied", "shares"]), VALUES))
def test_any_options_are_right_or_an_error_of_the_zoo(options):
    try:
        Network(None, **checked(**options))
    except SpecError as error:
        (message,) = error.args
        assert re.match(r"spec\.inputs\.a\.encoder\.(\w+) (takes|must be given; 'net' takes) ", message)


def test_modalities_come_with_their_options_in_the_order_of_the_spec(make_recipe, plugins):
    recipe = make_recipe().with_options(("spec.inputs.left.modality.longest=2",))
    made = make_modalities(recipe.spec, plugins)
    assert list(made) == ["right", "left"]
    assert (made["left"].longest, made["right"].longest) == (2, 6)
    assert all(isinstance(modality, Modality) for modality in made.values())


def test_a_data_set_and_an_exporter_are_made_by_name(plugins):
    assert make_dataset(Part("toy", {"rows": 5}), plugins).rows == 5
    assert make_exporter("toy", plugins).suffix == ".onnx"
    with pytest.raises(UnknownNameError, match=r"no exporter 'toi'; available: toy, toy-wrong\. Did you mean 'toy'\?"):
        make_exporter("toi", plugins)
    with pytest.raises(SpecError, match=r"^data\.rows takes a whole number, got 'many'$"):
        make_dataset(Part("toy", {"rows": "many"}), plugins)


def test_a_data_set_in_the_place_of_a_modality_names_its_distribution(make_recipe):
    component = Component("modality", "vectors", "zoo_toy.dataset:ToyDataset", "modalzoo-liar")
    liar = Plugins((Plugin("liar", "zoo_liar", "modalzoo-liar", "1.0", (component,)),))
    with pytest.raises(
        PluginError, match=r"'vectors' of modalzoo-liar is ToyDataset.*expected a zoo.Modality with axes"
    ):
        make_modalities(make_recipe().spec, liar)


def test_options_of_encoders_and_objectives_are_checked(make_recipe, plugins):
    recipe = make_recipe()
    modalities = make_modalities(recipe.spec, plugins)
    wrong = recipe.with_options(("spec.inputs.left.encoder.features=wide",)).spec
    expected = r"spec\.inputs\.left\.encoder\.features takes a whole number, got 'wide'"
    with pytest.raises(SpecError, match=f"^{expected}$"):
        build(wrong, modalities, plugins=plugins)
    with pytest.raises(
        SpecError, match=r"^spec\.objective: 'toy-autoencoder' has no option 'gamma'; it takes beta = .* \(a number\)"
    ):
        build(replace(recipe.spec, objective=Part("toy-autoencoder", {"gamma": 1})), modalities, plugins=plugins)


def test_what_a_component_refuses_by_itself_is_told_with_its_place_in_the_recipe():
    part = Part("text", {"tokenizer": "bpe", "vocabulary_size": 20})
    expected = "'vocabulary_size' is at least 258 for this 'tokenizer', got vocabulary_size 20 and tokenizer 'bpe'"
    with pytest.raises(SpecError, match=f"^spec.inputs.a.modality: the option {expected}$"):
        make_modality(part, "spec.inputs.a.modality", discovered())
    modality = make_modality(Part("image", {"size": 8}), "here", discovered())
    entry = InputSpec("a", Part("image"), Part("vit", {"patch": 3}), None)
    (place,) = parts_of(ModelSpec(Part("vae"), 2, (entry,)), {"a": modality}, discovered()).values()
    with pytest.raises(SpecError, match=r"^spec\.inputs\.a\.encoder: the option 'patch' divides the picture's 's"):
        place.make_encoder()


def quarrel(value):
    raise RuntimeError(f"no {value} here")


@dataclass(frozen=True)
class Quarrelsome:
    size: Annotated[int, Predicate(quarrel)] = 3


def test_a_range_that_fails_to_be_asked_names_its_distribution(monkeypatch):
    module = ModuleType("zoo_cross")
    module.Quarrelsome = Quarrelsome
    monkeypatch.setitem(sys.modules, "zoo_cross", module)
    component = Component("dataset", "cross", "zoo_cross:Quarrelsome", "modalzoo-cross")
    cross = Plugins((Plugin("cross", "zoo_cross", "modalzoo-cross", "1.0", (component,)),))
    with pytest.raises(PluginError, match=r"the dataset 'cross' of modalzoo-cross cannot be built: .*no 4 here"):
        make_dataset(Part("cross", {"size": 4}), cross)
