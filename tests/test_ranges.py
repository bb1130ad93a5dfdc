"""An option declares its range beside its type: told in words, kept to by every component that is installed."""

import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Interval, IsFinite, Le, Len, Lt, MaxLen, MinLen, MultipleOf, Predicate

import zoo
from zoo.discovery.components import checked_options, options_of, settable_options
from zoo.discovery.plugins import Component, Plugin, Plugins, installed
from zoo.errors import PluginError, SpecError
from zoo.recipes.options import Option, fields_of
from zoo.recipes.ranges import converted, schema, told
from zoo.recipes.spec import Part, Recipe
from zoo.recipes.training import Training
from zoo.testing.plugin import PluginContract

SIZES = Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)]
DECLARED = [
    (Annotated[float, Gt(0)], "a number above 0", {"type": "number", "exclusiveMinimum": 0}),
    (Annotated[float, Lt(0.5)], "a number below 0.5", {"type": "number", "exclusiveMaximum": 0.5}),
    (Annotated[int, Ge(1)], "a whole number from 1", {"type": "integer", "minimum": 1}),
    (Annotated[int, Le(7)], "a whole number of at most 7", {"type": "integer", "maximum": 7}),
    (Annotated[float, Interval(ge=0, le=1)], "a number from 0 to 1", {"type": "number", "minimum": 0, "maximum": 1}),
    (
        Annotated[float, Interval(ge=0, lt=1)],
        "a number from 0 and below 1",
        {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
    ),
    (
        Annotated[float, Interval(gt=0, le=2.0)],
        "a number above 0 and at most 2",
        {"type": "number", "exclusiveMinimum": 0, "maximum": 2.0},
    ),
    (
        Annotated[float, Interval(gt=1e-14, lt=1e14)],
        "a number above 1e-14 and below 1e+14",
        {"type": "number", "exclusiveMinimum": 1e-14, "exclusiveMaximum": 1e14},
    ),
    (
        Annotated[int, Ge(8), MultipleOf(8)],
        "a whole number from 8 that is a multiple of 8",
        {"type": "integer", "minimum": 8, "multipleOf": 8},
    ),
    (IsFinite[float], "a finite number", {"type": "number"}),
    (Annotated[str, Predicate(str.islower)], "a text for which str.islower holds", {"type": "string"}),
    (Annotated[str, MinLen(1)], "a text of 1 or more characters", {"type": "string", "minLength": 1}),
    (
        SIZES,
        "a list of 1 or more whole numbers from 1",
        {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1},
    ),
    (
        Annotated[tuple[str, ...], MaxLen(2)],
        "a list of at most 2 texts",
        {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    ),
    (
        Annotated[tuple[float, ...], Len(2, 3)],
        "a list of 2 to 3 numbers",
        {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3},
    ),
    (
        Annotated[tuple[float, ...], Len(2, 2)],
        "a list of 2 numbers",
        {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    ),
    (
        tuple[int, str],
        "a list of a whole number and a text",
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
    ),
    (
        Annotated[float, Gt(0)] | None,
        "a number above 0, or none",
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]},
    ),
    (
        dict[str, Annotated[float, Ge(0)]],
        "a table of numbers from 0",
        {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}},
    ),
    (tuple[tuple[int, ...], ...], "a list of lists of whole numbers", None),
    (Literal["mean", "sum", "max"], "'mean', 'sum' or 'max'", {"enum": ["mean", "sum", "max"]}),
    (Literal[1], "1", {"enum": [1]}),
    (Annotated[int, "in pixels"], "a whole number", {"type": "integer"}),
    (Any, "anything", {}),
    (Option, "Option", {}),
]


@pytest.mark.parametrize(("kind", "words", "json_schema"), DECLARED, ids=[words for _, words, _ in DECLARED])
def test_a_range_is_told_in_words_and_as_json_schema(kind, words, json_schema):
    assert told(kind) == words
    assert json_schema is None or schema(kind) == json_schema


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [
        (Annotated[float, Gt(0)], [5e-324, 1], [0, -0.0, -1]),
        (Annotated[int, Interval(ge=-1, lt=2)], [-1, 1], [-2, 2]),
        (Annotated[float, Le(1)], [1, -1e300], [1.0000001, math.inf, -math.inf, math.nan]),
        (IsFinite[float], [-1e300, 0], [math.inf, -math.inf, math.nan]),
        (Annotated[float, MultipleOf(0.5)], [1.5, 0], [0.3, math.inf]),
        (Annotated[int, "no range"], [0], ["0", True]),
        (SIZES, [[1], [2, 3]], [[], [0], [1, 0], [1.0]]),
        (Annotated[str, MinLen(1)], ["a"], ["", 1]),
        (Annotated[float | None, Gt(0)], [None, 1], [0]),
        (Literal[1, 3], [1, 3], [2, True, 1.0, "1", [1]]),
        (dict[str, Annotated[float, Ge(0)]], [{}, {"a": 0}], [{"a": -1}, {1: 0}, []]),
    ],
)
def test_what_is_outside_of_a_range_does_not_fit(kind, inside, outside):
    assert [converted(value, kind)[0] for value in inside] == [True] * len(inside)
    assert [converted(value, kind)[0] for value in outside] == [False] * len(outside)


def test_a_number_without_a_range_may_be_infinite():
    assert converted(math.inf, float) == (True, math.inf)


@pytest.mark.parametrize("kind", [float, float | None, Annotated[float, Gt(0)]])
def test_a_whole_number_that_no_float_holds_does_not_fit(kind):
    assert converted(10**400, kind) == (False, 10**400)


@pytest.mark.parametrize("kind", [list[int], set[int] | None, Iterator[int]])
def test_a_declaration_that_no_option_may_have_says_what_to_declare(kind):
    class Listed:
        def __init__(self, sizes: kind = ()) -> None:
            pass

    with pytest.raises(TypeError, match=r"^an option is declared as .*\[int\]; declare a list as tuple\[…, ...\], a"):
        checked_options(Listed, "dataset", Part("listed", {"sizes": [1]}), "data")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Annotated[float, Gt("a")], "the bound gt = 'a' takes a finite number"),
        (Annotated[float | None, Le(math.nan)], "the bound le = nan takes a finite number"),
        (tuple[Annotated[int, MultipleOf(0)], ...], "the bound multiple_of = 0 takes a number above 0"),
        (Annotated[str, MinLen(-1)], "the bound min_length = -1 takes a whole number from 0"),
        (Annotated[str, Gt(3)], "the bound gt = 3 is not one of texts"),
        (dict[str, Annotated[int, MaxLen(2)]], "the bound max_length = 2 is not one of whole numbers"),
        (Annotated[int, Predicate("even")], "the bound func = 'even' takes a function"),
        (Annotated[float, Interval(gt=1, le=1)], "no value is within the bounds gt = 1 and le = 1"),
        (Annotated[tuple[int, ...], Len(3, 2)], "no value is within the bounds min_length = 3 and max_length = 2"),
    ],
)
def test_bounds_without_sense_name_the_plugin_the_component_and_the_option(kind, reason, monkeypatch):
    class Sky:
        def __init__(self, clouds: kind = None) -> None:
            pass

    monkeypatch.setitem(sys.modules, "zoo_sky", SimpleNamespace(Sky=Sky))
    component = Component("dataset", "sky", "zoo_sky:Sky", "modalzoo-sky")
    plugin = Plugin("sky", "zoo_sky", "modalzoo-sky", "1.0", (component,))
    expected = (
        f"the dataset 'sky' of modalzoo-sky cannot be built: TypeError: the option 'clouds' is declared with bounds "
        f"without sense: {reason}; change its options, or tell the authors of modalzoo-sky"
    )
    for ask in (
        lambda: zoo.options("sky", plugins=Plugins((plugin,))),
        lambda: PluginContract().test_defaults_are_what_their_options_take(plugin),
    ):
        with pytest.raises(PluginError, match=f"^{re.escape(expected)}$"):
            ask()


@dataclass(frozen=True)
class Made:
    sizes: SIZES
    rates: Annotated[tuple[float, ...], MinLen(1)] = field(default_factory=lambda: (0.5, 1))
    tied: bool = False
    name: str | None = None


def test_an_option_is_told_with_its_default():
    options = options_of(Made, "modality")
    assert list(map(str, options.values())) == [
        "sizes (a list of 1 or more whole numbers from 1)",
        "rates = [0.5, 1] (a list of 1 or more numbers)",
        "tied = false (true or false)",
        "name = none (a text, or none)",
    ]
    assert options["rates"].written() == {
        "name": "rates",
        "required": False,
        "takes": "a list of 1 or more numbers",
        "schema": {"type": "array", "items": {"type": "number"}, "minItems": 1, "default": [0.5, 1]},
    }
    assert options["sizes"].default_told == "must be given"
    assert "default" not in options["sizes"].written()["schema"]


def limits(kind: Any) -> Iterator[tuple[Any, bool]]:
    """Yield values at and beside the bounds that an annotation declares, each with whether it is within them."""
    if get_origin(kind) in (Union, UnionType):
        for option in get_args(kind):
            yield from limits(option)
        yield None, NoneType in get_args(kind)
    elif get_origin(kind) is Literal:
        yield from ((choice, True) for choice in get_args(kind))
        yield "none of them", False
    elif get_origin(kind) is Annotated:
        inner, *declared = get_args(kind)
        if get_origin(inner) is tuple:
            fewest = next(one.min_length for one in declared if isinstance(one, MinLen))
            items = [value for value, within in limits(get_args(inner)[0]) if within] or ["a"]
            yield items[:1] * fewest, True
            yield items[:1] * (fewest - 1), False
            yield from limits(inner)
            return
        if inner is float:
            yield from ((value, False) for value in (math.nan, math.inf, -math.inf))
        for one in (bound for entry in declared for bound in ([entry] if not isinstance(entry, Interval) else entry)):
            down, up = isinstance(one, Ge | Gt), isinstance(one, Le | Lt)
            if not (down or up):
                yield 0.0, True  # what is finite
                continue
            bound = inner(getattr(one, type(one).__name__.lower()))
            outward = -1 if down else 1
            step = outward if inner is int else math.nextafter(bound, outward * math.inf) - bound
            yield bound, isinstance(one, Ge | Le)
            yield bound + step, False
            yield (bound - step if isinstance(one, Ge | Le) else math.nextafter(bound, -outward * math.inf)), True
    elif get_origin(kind) is tuple:
        yield from (([value], within) for value, within in limits(get_args(kind)[0]))


RANGED = [
    pytest.param(kind, name, option, value, within, id=f"{kind} {name} {option.name}={value!r}")
    for kind, name in installed().table
    for option in settable_options(installed(), kind, name).values()
    for value, within in limits(option.kind)
]


def test_most_options_of_the_components_here_declare_a_range():
    assert len(RANGED) > 300


@pytest.mark.parametrize(("kind", "name", "option", "value", "within"), RANGED)
def test_every_bound_of_every_component_is_kept_to(kind, name, option, value, within):
    component = installed().load(kind, name)
    others = {other.name: "x" for other in options_of(component, kind).values() if other.required}
    part = Part(name, {**others, option.name: value})
    if within:
        checked_options(component, kind, part, "here")
        return
    with pytest.raises(SpecError) as caught:
        checked_options(component, kind, part, "here")
    assert str(caught.value) == f"here.{option.name} takes {told(option.kind)}, got {value!r}"


@pytest.mark.parametrize(
    ("component", "option", "value", "takes"),
    [
        ("modality audio", "sample_rate_hz", 500, "a whole number from 1000 to 768000"),
        ("modality audio", "seconds", 0.0, "a number above 0 and at most 600"),
        ("modality audio", "seconds", math.nan, "a number above 0 and at most 600"),
        ("modality audio", "hop_ms", 0.5, "a number from 1 to 1000"),
        ("modality graph", "max_nodes", 0, "a whole number from 1"),
        ("modality image", "size", 0, "a whole number from 1"),
        ("modality image", "channels", 4, "1 or 3"),
        ("modality text", "tokenizer", "letters", "'words', 'wordpiece', 'bpe', 'bytes' or 'pretrained'"),
        ("modality text", "vocabulary_size", 2, "a whole number from 3"),
        ("encoder audio/convolutional", "strides", [0], "a list of 1 or more whole numbers from 1"),
        ("encoder graph/gin", "dropout", 1.0, "a number from 0 and below 1"),
        ("encoder image/mlp", "hidden", [], "a list of 1 or more whole numbers from 1"),
        ("encoder image/vit", "patch", 0, "a whole number from 1"),
        ("encoder text/bag-of-embeddings", "depth", -1, "a whole number from 0"),
        ("encoder text/lstm", "hidden", [8, 0], "a list of whole numbers from 1"),
        ("decoder audio/mel", "scale", 0.0, "a number from 1e-14 to 1e+14, or none"),
        ("decoder image/mlp", "scale", math.inf, "a number from 1e-14 to 1e+14, or none"),
        ("decoder text/recurrent", "word_dropout", 1.0, "a number from 0 and below 1"),
        ("objective alignment", "guard_weight", -1.0, "a number from 0"),
        ("objective contrastive", "margin", 2.5, "a number above 0 and at most 2"),
        ("objective denoising", "share", 1.0, "a number above 0 and below 1, or none"),
        ("objective denoising", "scale", math.nan, "a number above 0, or none"),
        ("objective dmvae", "private_dim", 0, "a whole number from 1"),
        ("objective infonce", "temperature", 0.001, "a number from 0.01"),
        ("objective jmvae", "alpha", 0.0, "a number above 0"),
        ("objective mmvae", "samples", 0, "a whole number from 1"),
        ("objective mvae", "importance_samples", -1, "a whole number from 0"),
        ("objective mvae", "beta", -1.0, "a number from 0"),
        ("objective mvtcae", "alpha", 1.5, "a number from 0 to 1"),
        ("objective sigmoid", "scale", 101.0, "a number above 0 and at most 100"),
        ("objective sigmoid", "bias", math.inf, "a finite number"),
        ("objective triplet", "margin", 0.0, "a number above 0 and at most 4"),
        ("objective vae", "beta", math.nan, "a number from 0"),
        ("dataset five-digits", "passes", 11, "a whole number from 1 to 10"),
        ("dataset molecules", "size", 15, "a whole number from 16 to 512"),
        ("dataset openmoji", "languages", [], "a list of 1 or more texts"),
        ("dataset spoken-emoji", "size", 4, "a whole number from 8 to 512"),
    ],
)
def test_an_option_out_of_its_range_is_refused_by_its_key(component, option, value, takes):
    kind, name = component.split()
    with pytest.raises(SpecError) as caught:
        checked_options(installed().load(kind, name), kind, Part(name, {option: value}), "spec.here")
    assert str(caught.value) == f"spec.here.{option} takes {takes}, got {value!r}"


@pytest.mark.parametrize(
    ("key", "value", "within"),
    [(name, *limit) for name, option in fields_of(Training).items() for limit in limits(option.kind)],
)
def test_every_bound_of_a_training_setting_is_kept_to(key, value, within, make_recipe):
    if within:
        needs_a_metric = key in ("schedule", "best_is", "stop_after")
        watching = {"best": "error", "validate_every": 1} if needs_a_metric else {}
        assert getattr(make_recipe(**{**watching, key: value}).training, key) == value
    else:
        with pytest.raises(SpecError, match=rf"^toy\.toml: training: '{key}' takes {fields_of(Training)[key].takes}, "):
            make_recipe(**{key: value})


def test_a_listing_reads_recipes_without_asking_for_ranges(make_recipe):
    tables = make_recipe().written()
    tables["training"]["steps"] = 0
    assert Recipe.listed(tables, "here").training.steps == 0
    listing = "from zoo.catalogue.registry import read_registry, own_registry; assert read_registry(own_registry())"
    code = f"{listing}; import sys; print('annotated_types' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr
