"""What is public: each name is there, once, and whatever a page or a signature names is public, too."""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from zoo_toy.sources import CORE, PAGES, PLUGINS, ROOT, nodes, shown

import zoo
from zoo import testing as zoo_testing

# The files at the top that a plugin's author reads.
SHELF = ["errors", "protocols", "offers", "modules", "abilities", "hookspecs"]

# Arrays of NumPy by a name that only type checkers see; and the files of a bundle, which its own methods read.
NOT_TO_BE_NAMED = {"Array", "Contents"}

# What code has after `zoo.` and is not a name to import: a module to run, a key of metadata, the list of names.
NO_NAMES = re.compile(r"-m zoo\.[\w.]+|`zoo\.spec`|\bzoo\.\w+\.test\b|\bzoo\.(?:testing\.)?__all__")


@pytest.mark.parametrize("name", sorted(zoo.__all__))
def test_a_public_name_is_there(name):
    assert getattr(zoo, name)
    assert name in dir(zoo)


def test_each_public_name_stands_in_one_list_and_once():
    text = (ROOT / "zoo/__init__.py").read_text()
    listed = [alias.asname for node in nodes(ROOT / "zoo/__init__.py", ast.ImportFrom) for alias in node.names]
    assert Counter(name for name in listed if name) == Counter(zoo.__all__)
    assert not [name for name in zoo.__all__ if f'"{name}"' in text]
    assert len(zoo.__all__) > 70


def test_no_public_name_is_also_a_module():
    assert not {path.stem for path in (ROOT / "zoo").iterdir()} & set(zoo.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'trian'"):
        _ = zoo.trian


@pytest.mark.parametrize("name", SHELF)
def test_what_the_files_at_the_top_define_is_public_or_begins_with_an_underscore(name):
    body = ast.parse((ROOT / f"zoo/{name}.py").read_text()).body
    defined = {node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    defined |= {target.id for node in body if isinstance(node, ast.Assign) for target in node.targets}
    assert len(defined) > 4
    hooks = {one for one in defined if one.startswith("zoo_")}
    assert {one for one in defined if not one.startswith("_")} - hooks <= set(zoo.__all__)


def annotated(node):
    """Return the names in the annotations of a function, or of the public functions and fields of a class."""
    functions = [node] if isinstance(node, ast.FunctionDef) else [one for one in node.body if is_public(one)]
    found = [one.annotation for one in ast.walk(node) if isinstance(one, ast.AnnAssign)]
    for function in (one for one in functions if isinstance(one, ast.FunctionDef)):
        found += [function.returns, *(one.annotation for one in ast.walk(function.args) if isinstance(one, ast.arg))]
    return {one.id for part in found if part is not None for one in ast.walk(part) if isinstance(one, ast.Name)}


def is_public(node):
    return not getattr(node, "name", "_").startswith("_")


@pytest.mark.parametrize("name", sorted(zoo.__all__))
def test_what_a_public_name_takes_and_returns_is_public(name):
    found = getattr(zoo, name)
    module = sys.modules.get(getattr(found, "__module__", ""))
    if module is None or not module.__name__.startswith("zoo."):
        return
    tree = ast.parse(Path(module.__file__).read_text())
    of_the_zoo = {one.name: one.name for one in tree.body if isinstance(one, ast.ClassDef)}
    for node in (one for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)):
        if (node.module or "").startswith("zoo"):
            of_the_zoo |= {alias.asname or alias.name: alias.name for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == found.__name__:
            taken = {of_the_zoo[one] for one in annotated(node) if one in of_the_zoo and is_kind(one)}
            assert taken - set(zoo.__all__) <= NOT_TO_BE_NAMED


def is_kind(name):
    return name[0].isupper() and not name.isupper()


def test_every_contract_that_is_asked_for_by_isinstance_is_public():
    asked_for = {
        node.name
        for path in CORE
        for node in nodes(path, ast.ClassDef)
        if any(ast.unparse(decorator).endswith("runtime_checkable") for decorator in node.decorator_list)
    }
    assert asked_for >= {"Modality", "SharesWeights", "Reduces", "FindsFault", "MeasuresAnswers", "ScoresRepeatedly"}
    assert asked_for <= set(zoo.__all__)


def test_what_components_may_offer_stands_together():
    offers = {node.name for node in nodes(ROOT / "zoo/offers.py", ast.ClassDef)}
    assert offers >= {"TakesRaw", "Truncates", "SharesWeights", "Reduces", "FindsFault", "Stamps"}
    named = (ROOT / "plugins/README.md").read_text() + (ROOT / "exporters/README.md").read_text()
    with_torch = {node.name for node in nodes(ROOT / "zoo/abilities.py", ast.ClassDef)}
    assert with_torch >= {"MeasuresAnswers", "ScoresRepeatedly", "CountsByTerm", "ComparesEmbeddings"}
    assert [name for name in sorted(offers | with_torch) if f"`zoo.{name}`" not in named] == []


def mentioned(text):
    """Return the dotted names that a text in code style says one may import from the zoo."""
    code = re.findall(r"`+([^`\n]*)`+", text) + re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    spelt = "\n".join(f"`{part}`" for part in code)
    return set(re.findall(r"(?<![\w.@/-])zoo\.([a-zA-Z_]\w*(?:\.\w+)?)", NO_NAMES.sub("", spelt)))


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_a_page_names_nothing_of_the_zoo_that_is_not_public(path):
    check_public(mentioned(path.read_text()))


@pytest.mark.parametrize("path", [*(ROOT / f"zoo/{name}.py" for name in SHELF), *PLUGINS], ids=shown)
def test_a_docstring_for_plugins_names_nothing_of_the_zoo_that_is_not_public(path):
    written = [ast.get_docstring(node) or "" for node in nodes(path, ast.Module, ast.ClassDef, ast.FunctionDef)]
    check_public(mentioned("\n".join(written)))


def test_a_docstring_of_what_is_public_names_nothing_of_the_zoo_that_is_not():
    for name in zoo.__all__:
        written = getattr(zoo, name).__doc__ if callable(getattr(zoo, name)) else ""
        check_public(mentioned(written or ""))


def check_public(names):
    testing = {f"testing.{name}" for name in zoo_testing.__all__} | {"testing"}
    assert [name for name in sorted(names) if name.split(".")[0] not in zoo.__all__ and name not in testing] == []
