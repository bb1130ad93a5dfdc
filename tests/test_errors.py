"""Every error has an exit code, and the tree in the docstring is the tree of the classes."""

import re
import textwrap
from pathlib import Path

import pytest

from zoo import errors
from zoo.errors import UnknownNameError, ZooError

CLASSES = [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, ZooError)]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_the_drawn_tree_has_every_error_with_its_exit_code(error):
    assert re.search(rf"\b{error.__name__} +{error.exit_code} ", errors.__doc__)


def test_the_drawn_tree_has_no_error_that_is_not_there():
    assert set(re.findall(r"\w+Error(?= +\d)", errors.__doc__)) == {error.__name__ for error in CLASSES}


def test_the_page_of_errors_draws_the_same_tree():
    page = Path(__file__).parents[1] / "docs/reference/errors.md"
    drawn = errors.__doc__.split("\n\n")[1]
    assert f"```text\n{textwrap.dedent(drawn)}\n```" in page.read_text(encoding="utf-8")


def test_the_drawn_tree_nests_as_the_classes_do():
    lines = re.findall(r"^    ([│├└─ ]*)(\w+Error) ", errors.__doc__, re.MULTILINE)
    stack = []
    for indent, name in lines:
        del stack[len(indent) // 4 :]
        if stack:
            assert getattr(errors, name).__bases__[0].__name__ == stack[-1]
        stack.append(name)


def test_an_unknown_name_tells_the_nearest_and_where_to_look():
    error = UnknownNameError("modality", "imgae", ["text", "image"], hint="`zoo plugins` lists them.")
    assert str(error) == "no modality 'imgae'; available: image, text. Did you mean 'image'? `zoo plugins` lists them."
    assert (error.name, error.nearest) == ("imgae", "image")


@pytest.mark.parametrize("name", [None, 3, Path("text")])
def test_what_is_no_name_is_unknown_as_well(name):
    error = UnknownNameError("modality", name, ["text", "image"], hint="Look.")
    assert str(error).startswith(f"no modality {name!r}; available: image, text.")


def test_an_unknown_name_like_no_other_guesses_nothing():
    error = UnknownNameError("modality", "xyz", ["text"], hint="Look.")
    assert (str(error), error.nearest) == ("no modality 'xyz'; available: text. Look.", None)


def test_of_many_names_a_dozen_are_told():
    error = UnknownNameError("entry", "q", [f"e{number:02}" for number in range(20)], hint="")
    assert "e11 and 8 more." in str(error)
    assert "e12" not in str(error)
