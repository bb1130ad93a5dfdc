"""The layers and habits that hold the repository together."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import zoo
from zoo import testing as zoo_testing

ROOT = Path(__file__).parent.parent
CORE = sorted((ROOT / "zoo").rglob("*.py"))
PLUGINS = sorted(path for kind in ("plugins", "exporters") for path in ROOT.glob(f"{kind}/*/zoo_*/**/*.py"))
PROJECTS = [
    ROOT / "pyproject.toml",
    *sorted(ROOT.glob("plugins/*/pyproject.toml")),
    *sorted(ROOT.glob("exporters/*/pyproject.toml")),
]
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
LARGEST_LINES = 400
MAJOR, MINOR = map(int, zoo.__version__.split(".")[:2])
# The versions of the core, and of each other, that distributions of this repository want.
RANGE = f">={MAJOR}.{MINOR},<{MAJOR}.{MINOR + 1}"
# The files at the top that a plugin's author reads.
SHELF = ["errors", "protocols", "offers", "modules", "hookspecs"]
# Arrays of NumPy by a name that only type checkers see; and the files of a bundle, which its own methods read.
NOT_TO_BE_NAMED = {"Array", "Contents"}
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("plugins/**/README.md"))]
PAGES += [ROOT / "exporters/README.md"]
# What code has after `zoo.` and is not a name to import: a module to run, a key of metadata, the list of names.
NO_NAMES = re.compile(r"-m zoo\.[\w.]+|`zoo\.spec`|\bzoo\.\w+\.test\b|\bzoo\.(?:testing\.)?__all__")
FOLDERS = sorted(path.parent.name for path in (ROOT / "zoo").glob("*/__init__.py"))


def shown(path):
    return str(path.relative_to(ROOT))


def nodes(path, *kinds):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]


def imported(path):
    """Return the modules that a file imports, with the names taken from each."""
    for node in nodes(path, ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        else:
            yield node.module or "", tuple(alias.name for alias in node.names)


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


def test_importing_the_zoo_does_not_read_its_names_yet():
    assert not modules_after("zoo") & {"ast", "inspect", "pluggy"}


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
    with_torch = {"MeasuresAnswers", "ScoresRepeatedly", "CountsByTerm"}
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


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=shown)
def test_a_module_says_what_it_is_and_is_not_too_long(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= LARGEST_LINES


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=shown)
def test_only_the_isolation_of_plugins_catches_everything(path):
    caught = [ast.unparse(handler.type) if handler.type else "" for handler in nodes(path, ast.ExceptHandler)]
    broad = [
        kinds for kinds in caught if not kinds or {"Exception", "BaseException"} & set(kinds.strip("()").split(", "))
    ]
    assert not broad or path == ROOT / "zoo/discovery/isolation.py"


@pytest.mark.parametrize("path", CORE + PLUGINS, ids=shown)
def test_no_code_from_strangers_is_run_and_no_archive_unpacked(path):
    forbidden = {"pickle", "dill", "joblib", "tarfile", "marshal", "shelve", "yaml", "tomllib"}
    assert not forbidden & {module.split(".")[0] for module, _ in imported(path)}
    called = {node.func.id for node in nodes(path, ast.Call) if isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("path", [path for path in CORE if "testing" not in path.parts], ids=shown)
def test_only_commands_print_and_nothing_is_asserted_of_users(path):
    called = {node.func.id for node in nodes(path, ast.Call) if isinstance(node.func, ast.Name)}
    assert "print" not in called or "quickstart" in path.parts
    assert not nodes(path, ast.Assert)


def test_commands_print_by_one_module_which_keeps_data_apart_and_strangers_text_plain():
    commands = [path for path in CORE if path.parent == ROOT / "zoo/cli" and path.name != "output.py"]
    found = {shown(path) for path in commands for node in nodes(path, ast.Attribute) if node.attr in ("echo", "secho")}
    assert not found, "print by note, print_lines, print_table, print_json or print_exactly of zoo.cli.output"


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


@pytest.mark.parametrize("project", PROJECTS[1:], ids=shown)
def test_a_plugin_pins_the_plugins_that_it_imports(project):
    paths = [path for path in PLUGINS if project.parent in path.parents]
    packages = {module.partition(".")[0] for path in paths for module, _ in imported(path)}
    own = next(part for part in paths[0].parts if part.startswith("zoo_"))
    wanted = {f"modalzoo-{name.removeprefix('zoo_')}{RANGE}" for name in packages - {own} if name.startswith("zoo_")}
    assert wanted <= set(tomllib.loads(project.read_text())["project"]["dependencies"])


def test_folders_of_distributions_and_tests_are_no_packages():
    for folder in ("plugins", "exporters", "tests"):
        assert not (ROOT / folder / "__init__.py").exists()
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"{folder}.__init__")


def test_test_files_have_names_of_their_own():
    names = Counter(
        path.name for kind in ("tests", "plugins", "exporters") for path in ROOT.glob(f"{kind}/**/test_*.py")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_every_distribution_has_one_version_and_wants_this_core():
    versions = {tomllib.loads(path.read_text())["project"]["version"] for path in PROJECTS}
    assert versions == {zoo.__version__}
    for path in PROJECTS[1:]:
        assert f"modalzoo{RANGE}" in tomllib.loads(path.read_text())["project"]["dependencies"], path


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_a_page_pins_this_core(path):
    assert set(re.findall(r"modalzoo[\w-]*(>=[\d.]+,<[\d.]+)", path.read_text())) <= {RANGE}


def test_the_entry_point_of_a_plugin_bears_its_package():
    for path in PROJECTS[1:]:
        project = tomllib.loads(path.read_text())["project"]
        (package,) = project["entry-points"]["modalzoo"].values()
        assert project["name"] == f"modalzoo-{package.removeprefix('zoo_')}"
        assert (path.parent / package / "__init__.py").exists()


# What joins names of tensors and graphs, so that a name could be taken apart by it.
VERBS = ("encode_", "decode_", "reconstruct_", "translate_", "_to_")
LEAVES = (".raw", ".present", ".utf8", ".latent", ".embedding")
APART = ("partition", "rpartition", "split", "rsplit")
ENDS = ("startswith", "endswith", "removeprefix", "removesuffix")
# Files in which a dot or an underscore separates something else, and what that is.
ELSEWHERE = {
    "zoo/discovery/entry_points.py": "modules of Python",
    "plugins/transformers/zoo_transformers/sentence.py": "classes of Python",
    "zoo/discovery/extras.py": "modules of Python",
    "zoo/discovery/registered.py": "modules of Python",
    "zoo/evaluation/metrics.py": "metrics, which objectives name as they like",
    "zoo/files/fetching.py": "names of unfinished files",
    "zoo/recipes/naming.py": "names of tensors and graphs: the one place for it",
    "zoo/models/parts.py": "places of modules in a module of torch",
    "zoo/recipes/spec.py": "keys of a recipe",
    "zoo/samples/decoded_cache.py": "modules of Python",
    "zoo/scaffolding/__init__.py": "versions",
    "zoo/testing/plugin.py": "modules of Python",
    "zoo/verbs/data.py": "keys of a recipe",
    "exporters/onnx/zoo_onnx/composing.py": "places of modules in a module of torch",
    "plugins/datasets/zoo_datasets/stamps.py": "keys of Tux Paint's descriptions",
}


def taken_apart(path):
    """Yield what takes names apart, or joins them, in a file: joiners as texts, and methods called with a joiner."""
    told = {id(node.value) for node in nodes(path, ast.Expr)}  # docstrings
    for node in nodes(path, ast.Constant, ast.JoinedStr, ast.Call):
        if isinstance(node, ast.Constant) and node.value in VERBS + LEAVES and id(node) not in told:
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            texts = [part.value if isinstance(part, ast.Constant) else "" for part in node.values]
            for text, following in zip(texts, [*texts[1:], "."], strict=True):
                yield from (verb for verb in VERBS if text.endswith(verb) and not following)
                yield from (leaf for leaf in LEAVES if re.match(rf"{re.escape(leaf)}\b", text))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            first = ast.unparse(node.args[0]).removeprefix("f").strip("'\"")
            if (node.func.attr in APART and first in (".", "_")) or (
                node.func.attr in ENDS and (first.startswith((".{", "_{")) or first.endswith(("}.", "}_")))
            ):
                yield ast.unparse(node)


@pytest.mark.parametrize("path", CORE + PLUGINS + sorted((ROOT / "benchmarks").glob("*.py")), ids=shown)
def test_no_name_of_a_tensor_or_a_graph_is_joined_or_taken_apart_by_hand(path):
    found = list(taken_apart(path))
    assert bool(found) == (shown(path) in ELSEWHERE), f"{found}: use zoo.recipes.naming, or Graph.kind, source, target"


def test_names_that_are_taken_apart_by_hand_are_found(tmp_path):
    lines = [
        'f"encode_{name}"',
        'f"{source}_to_{target}"',
        'f"{graph}.raw"',
        'name.partition(".")',
        'name.removeprefix(f"{graph}.")',
        'name.startswith("encode_")',
        'name.endswith(f".{leaf}")',
    ]
    path = tmp_path / "by_hand.py"
    for line in lines:
        path.write_text(line)
        assert list(taken_apart(path)), line
    path.write_text('"""What ``encode_`` is."""\nprint(f"a graph {name!r}.{guess}", "encode_picture", text.split("/"))')
    assert not list(taken_apart(path))


def test_the_page_in_the_browser_takes_no_name_apart():
    by_hand = re.compile(r"(?:en|de)code_\b|reconstruct_|translate_|\.(?:raw|utf8|present)\b")
    for path in sorted((ROOT / "exporters/web/zoo_web/page").glob("*.js")):
        assert not by_hand.findall(path.read_text()), path
