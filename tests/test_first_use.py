"""The public names of a package are listed once, and are loaded when they are used."""

import importlib
import sys

import pytest

from zoo.discovery.first_use import on_first_use

PACKAGE = '''"""A package of birds."""

from typing import TYPE_CHECKING

from zoo import on_first_use

if TYPE_CHECKING:
    from zoo_wrens.heavy import Nest as Nest, eggs as eggs
    from zoo_wrens.light import song as song
else:
    __getattr__ = on_first_use(__name__)
'''


@pytest.fixture
def wrens(tmp_path, monkeypatch):
    """A package with three public names in two modules."""
    folder = tmp_path / "zoo_wrens"
    folder.mkdir()
    (folder / "__init__.py").write_text(PACKAGE)
    (folder / "heavy.py").write_text("class Nest: pass\n\neggs = 5\nhidden = 1\n")
    (folder / "light.py").write_text("song = 'trill'\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("zoo_wrens")
    for name in [name for name in sys.modules if name.split(".")[0] == "zoo_wrens"]:
        del sys.modules[name]


def test_a_name_loads_its_own_module_and_no_other(wrens):
    assert wrens.song == "trill"
    assert "zoo_wrens.light" in sys.modules
    assert "zoo_wrens.heavy" not in sys.modules


def test_all_names_of_the_block_are_public_and_no_others(wrens):
    everything = {}
    exec("from zoo_wrens import *", everything)
    assert wrens.__all__ == ["Nest", "eggs", "song"]
    assert set(wrens.__all__) < set(everything)
    assert "hidden" not in everything


def test_another_name_is_an_attribute_error(wrens):
    with pytest.raises(AttributeError, match="module 'zoo_wrens' has no attribute 'hidden'"):
        _ = wrens.hidden


def test_listing_the_names_of_a_plugin_loads_none_of_them(wrens):
    assert not [name for name in dir(wrens) if name in ("Nest", "eggs", "song")]
    assert not {"zoo_wrens.heavy", "zoo_wrens.light"} & set(sys.modules)


def test_a_package_without_its_source_says_so(wrens, monkeypatch):
    monkeypatch.setattr(wrens.__spec__, "loader", object())
    with pytest.raises(ImportError) as caught:
        on_first_use("zoo_wrens")("song")
    assert str(caught.value) == (
        "the public names of zoo_wrens are listed in its __init__.py, whose source is missing; install zoo_wrens with "
        "its .py files"
    )
