"""The distributions of this repository agree on versions, pin each other, and bear the names of their packages."""

import importlib
import re
import tomllib
from collections import Counter

import pytest
from zoo_toy.sources import PAGES, PLUGINS, PROJECTS, ROOT, imported, shown

import zoo

MAJOR, MINOR = map(int, zoo.__version__.split(".")[:2])

# The versions of the core, and of each other, that distributions of this repository want.
RANGE = f">={MAJOR}.{MINOR},<{MAJOR}.{MINOR + 1}"


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
