"""The layers: the direction of imports, the modules that stay light, and the page on the architecture."""

import importlib
import re
import subprocess
import sys
import tomllib

import pytest
from zoo_toy.sources import PLUGINS, ROOT, imported, shown

import zoo

LIGHT = [
    "zoo.cli",
    "zoo.catalogue.registry",
    "zoo.discovery.plugins",
    "zoo.hookspecs",
    "zoo.recipes.spec",
    "zoo.recipes.tables",
    "zoo.errors",
    "zoo.files.store",
    "zoo.catalogue.targets",
    "zoo.verbs.entries",
    "zoo.verbs.fetch",
    "zoo.verbs.train",
    "zoo.verbs.export",
]

WITHOUT_TORCH = [
    "zoo.protocols",
    "zoo.offers",
    "zoo.discovery.components",
    "zoo.parity.tolerance",
    "zoo.runtime",
    "zoo.files.fetching",
    "zoo.files.downloading",
]

FOLDERS = sorted(path.parent.name for path in (ROOT / "zoo").glob("*/__init__.py"))


def modules_after(*names):
    code = f"import sys, {', '.join(names)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_light_modules_import_nothing_heavy():
    heavy = {"torch", "numpy", "jaxtyping", "rich", "urllib3", "onnxruntime", "safetensors", "accelerate", "tomlkit"}
    assert not modules_after("zoo", *LIGHT) & heavy


def test_a_folder_of_the_core_can_be_named_without_importing_anything_heavy():
    heavy = {"torch", "numpy", "jaxtyping", "rich", "urllib3", "onnxruntime", "safetensors", "accelerate", "tomlkit"}
    named = [f"zoo.{folder}" for folder in FOLDERS if folder != "testing"]  # which is a list of the contracts
    assert len(named) > 15
    assert not modules_after(*named) & heavy


def test_the_page_on_the_architecture_tells_of_each_folder_in_the_order_that_imports_go():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    depths = {name: depth for depth, layer in enumerate(layers) for name in layer.split(" : ")}
    told = re.findall(r"^\| `(\w+)/` \|", (ROOT / "zoo/README.md").read_text(), re.MULTILINE)
    assert sorted(told) == FOLDERS
    assert told == sorted(told, key=depths.get)


def test_the_runtime_imports_neither_torch_nor_onnxruntime():
    assert not modules_after(*WITHOUT_TORCH) & {"torch", "jaxtyping", "accelerate", "onnxruntime", "onnx"}


def test_importing_the_zoo_does_not_read_its_names_yet():
    assert not modules_after("zoo") & {"ast", "inspect", "pluggy"}


@pytest.mark.parametrize("path", PLUGINS, ids=shown)
def test_a_plugin_imports_only_public_names_of_the_zoo(path):
    for module, names in imported(path):
        assert not module.startswith("zoo."), f"{module} is not public"
        if module == "zoo":
            assert set(names) <= set(zoo.__all__)


def inner_of_others(own, source):
    """Yield what a file of the package ``own`` imports of another plugin, except for names that this one offers."""
    for module, names in source:
        package = module.partition(".")[0]
        if package.startswith("zoo_") and package != own:
            offered = () if module != package else getattr(importlib.import_module(package), "__all__", ())
            yield from (f"{module}: {name}" for name in names or ("itself",) if name not in offered)


@pytest.mark.parametrize("path", PLUGINS, ids=shown)
def test_a_plugin_imports_of_another_only_what_this_one_offers(path):
    own = next(part for part in path.parts if part.startswith("zoo_"))
    assert list(inner_of_others(own, imported(path))) == []


def test_a_scaffold_imports_of_the_plugins_here_only_what_they_offer():
    found = []
    for path in (ROOT / "zoo/scaffolding/templates").rglob("*.py.template"):
        source = re.findall(r"^from (zoo_\w[\w.]*) import (.+)$", path.read_text(), re.MULTILINE)
        found += inner_of_others("", [(module, names.split(", ")) for module, names in source])
    assert found == []


@pytest.mark.parametrize("package", ["zoo_autoencoding", "zoo_image", "zoo_onnx"])
def test_what_a_plugin_offers_is_there(package):
    plugin = importlib.import_module(package)
    assert plugin.__all__
    assert all(getattr(plugin, name) for name in plugin.__all__)
