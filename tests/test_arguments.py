"""A wrong argument of a public function is reported at once: which one, what it takes, and what came."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import zoo
from zoo import NotFoundError, Recipe, UsageError, Vectors, open_bundle
from zoo.recipes.arguments import checked

VERBS = sorted(
    name
    for name in zoo.__all__
    if inspect.isfunction(found := getattr(zoo, name)) and found.__module__.startswith("zoo.verbs.")
)
SERVING = ["open_bundle", "open_session", "report"]


class Nothing:
    def __repr__(self):
        return "nothing"


@pytest.mark.parametrize("name", [*VERBS, *SERVING])
def test_each_argument_of_a_verb_is_told_with_what_it_takes(name):
    function = getattr(zoo, name)
    parameters = inspect.signature(function).parameters
    free = {one for one, parameter in parameters.items() if parameter.annotation == "Any"}
    for one in set(parameters) - free:
        given = {name: None for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
        arguments = {one: Nothing(), **{other: None for other in given if other in free}}
        given = {**{other: Nothing() for other in given}, **arguments}
        with pytest.raises(UsageError, match=rf"^zoo\.{name}: `\w+`(: expected| takes) .+, got (one )?[Nn]othing"):
            function(**given)


@checked
def sort(
    path: str | PathLike[str],
    *,
    rows: int = 3,
    share: float = 0.5,
    by: Literal["name", "size"] = "name",
    graphs: Sequence[str] = (),
    settings: Mapping[str, object] | Sequence[str] = (),
    whole: bool = False,
    observe: Callable[[int], None] | None = None,
    model: "Checkpoint | None" = None,
    anything: Any = None,
) -> dict[str, Any]:
    """Return what was given."""
    return dict(locals())


class Checkpoint:
    pass


class Heavy(Checkpoint):
    pass


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"path": 3}, "`path` takes a text or a path, got 3"),
        ({"path": b"x"}, "`path` takes a text or a path, got b'x'"),
        ({"path": ""}, "`path` takes a text or a path, got '', which names no file and no folder"),
        ({"path": "a\0b"}, r"`path` takes a text or a path, got 'a\\x00b', which names no file and no folder"),
        ({"rows": "a"}, "`rows` takes a whole number, got 'a'"),
        ({"rows": 3.0}, "`rows` takes a whole number, got 3.0"),
        ({"rows": True}, "`rows` takes a whole number, got True"),
        ({"share": "0.5"}, "`share` takes a number, got '0.5'"),
        ({"by": "date"}, "`by` takes 'name' or 'size', got 'date'"),
        ({"graphs": "encode"}, r"`graphs`: expected a list of values, got one str; give \['encode'\]"),
        ({"graphs": (name for name in "ab")}, r"`graphs`: expected a list of values, got a generator; give list"),
        ({"graphs": [1]}, r"`graphs` takes a list of texts, got \[1\]"),
        ({"settings": "a=1"}, "`settings` takes values by name or a list of texts, got 'a=1'; give \\['a=1'\\]"),
        ({"settings": {1: 2}}, "`settings` takes values by name or a list of texts, got {1: 2}"),
        ({"whole": 1}, "`whole` takes True or False, got 1"),
        ({"observe": "print"}, "`observe` takes a function or None, got 'print'"),
        ({"model": "m"}, "`model` takes zoo.Checkpoint or None, got 'm'"),
    ],
)
def test_what_does_not_fit_is_told(given, message):
    with pytest.raises(UsageError, match=f"^zoo.sort: {message}"):
        sort(**{"path": "x", **given})


def test_what_fits_arrives_numbers_as_those_of_python():
    given = sort(
        Path("x"), rows=np.int64(2), share=np.float32(0.25), whole=np.bool_(True), model=Heavy(), graphs=("a",)
    )
    assert (given["path"], given["rows"], given["share"], given["whole"]) == (Path("x"), 2, 0.25, True)
    assert [type(given[name]) for name in ("rows", "share", "whole")] == [int, float, bool]
    assert [*given["graphs"]] == ["a"]
    assert sort("x", share=1, settings={"a": 1}, observe=print)["settings"] == {"a": 1}


def test_a_missing_or_unknown_argument_is_told_as_by_python():
    with pytest.raises(TypeError, match=r"^sort\(\) got an unexpected keyword argument 'row'"):
        sort("x", row=3)
    with pytest.raises(TypeError, match=r"^sort\(\) missing 1 required positional argument: 'path'"):
        sort()


def test_a_file_is_opened_by_a_text_too_and_nothing_else(recipe_file, tmp_path):
    path = recipe_file()
    assert Recipe.load(str(path)) == Recipe.load(path)
    np.save(tmp_path / "rows.npy", np.ones((2, 3), np.float32))
    assert Vectors.open(str(tmp_path / "rows.npy")).path == tmp_path / "rows.npy"
    for ask in (Recipe.load, Vectors.open):
        with pytest.raises(UsageError, match=rf"^zoo\.{ask.__qualname__}: `path` takes a path or a text, got None"):
            ask(None)


def test_vectors_in_the_place_of_a_bundle_are_told_from_one(tmp_path):
    (tmp_path / "manifest.json").write_text('{"schema": 1, "kind": "vectors", "shards": []}')
    expected = f"{tmp_path} is not a bundle, it holds vectors; name a folder that `zoo export` wrote"
    with pytest.raises(NotFoundError, match=f"^{re.escape(expected)}$"):
        open_bundle(tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [({"provider": "gpu"}, "no provider 'gpu'; available: cpu, cuda"), ({"threads": 0}, "at least 1 thread, got 0")],
)
def test_a_bundle_that_cannot_be_served_so_is_refused_as_it_is_opened(given, message, bundle):
    with pytest.raises(UsageError, match=message):
        open_bundle(bundle, **given)


def test_only_outputs_of_the_graph_are_written(site, bundle, tmp_path):
    with pytest.raises(UsageError, match=r"^the graph 'decode_left' has no output '\.\./x'; it gives decode_left\."):
        zoo.write_outputs(open_bundle(bundle), "decode_left", {"../x": np.ones(3)}, tmp_path / "out")
    with pytest.raises(NotFoundError, match=r"^no graph 'nope'"):
        zoo.write_outputs(open_bundle(bundle), "nope", {}, tmp_path / "out")
    assert not (tmp_path / "x.npy").exists()
    assert not (tmp_path / "out").exists()


def test_a_name_of_a_graph_that_is_a_list_is_told_as_an_unknown_one(bundle):
    for ask in (open_bundle(bundle).graph, open_bundle(bundle).described):
        with pytest.raises(NotFoundError, match=r"^no graph \['decode_left'\]; "):
            ask(["decode_left"])


def test_a_long_value_is_told_in_one_line():
    with pytest.raises(UsageError, match=r"^zoo.sort: `path` takes a text or a path, got array[^\n]{,220}$"):
        sort(np.ones((30, 30)))


def test_numbers_of_numpy_are_options_of_a_recipe(make_recipe):
    given = {"training.steps": np.int64(3), "training.learning_rate": np.float64(0.5)}
    training = make_recipe().with_options(given).training
    assert (training.steps, training.learning_rate) == (3, 0.5)


def test_a_checkpoint_in_the_place_of_a_recipe_is_told_from_one():
    with pytest.raises(
        UsageError, match=r"^m.safetensors is not a recipe; name an entry, or the file of a recipe, which"
    ):
        zoo.train("m.safetensors", "run")


@pytest.mark.parametrize("limit_s", [0, -1, float("nan")])
def test_a_limit_that_no_import_keeps_is_refused(limit_s):
    with pytest.raises(UsageError, match=r"^`limit_s` takes a number of seconds above 0, got"):
        zoo.doctor(limit_s=limit_s)


def test_a_size_below_nothing_is_refused():
    with pytest.raises(UsageError, match=r"^`max_size` takes a number of bytes from 0, got -1"):
        zoo.entries(max_size=-1)
