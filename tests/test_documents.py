"""The pages are tied to the code: headings to hooks, commands to the command line, examples to what they claim."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from zoo import hookspecs
from zoo.cli import COMMANDS, LazyGroup

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "zoo/README.md", "plugins/README.md", "exporters/README.md")]
METADATA = "Metadata-Version: 2.1\nName: modalzoo-birds\nVersion: 1.0.0\n"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example plugin of plugins/README.md, as an installed distribution on a path."""
    folder = tmp_path_factory.mktemp("birds")
    entry, histogram, contract = blocks(ROOT / "plugins/README.md", "python")
    package, info = folder / "zoo_birds", folder / "modalzoo_birds-1.0.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text(entry)
    (package / "histogram.py").write_text(histogram)
    (folder / "test_histogram.py").write_text(contract)
    (info / "METADATA").write_text(METADATA)
    point = re.search(r"\[project.entry-points.modalzoo\]\n(.*)\n", blocks(ROOT / "plugins/README.md", "toml")[0])
    assert point is not None
    (info / "entry_points.txt").write_text(f"[modalzoo]\n{point.group(1).replace(chr(34), '')}\n")
    return folder


def test_every_hook_has_a_heading_with_its_arguments():
    headings = re.findall(r"^### `(.*)`$", (ROOT / "plugins/README.md").read_text(), re.MULTILINE)
    hooks = [f"{name}()" for name in vars(hookspecs) if name.startswith("zoo_")]
    assert sorted(headings) == sorted(hooks)


def test_the_example_plugin_is_found_by_its_entry_point(birds):
    code = "from zoo.plugins import installed; print(installed().find('encoder', 'image/histogram'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=birds, capture_output=True, text=True, check=False)
    assert "modalzoo-birds" in done.stdout, done.stderr


def test_the_example_plugin_passes_its_contract(birds):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_histogram.py"]
    done = subprocess.run(command, cwd=birds, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_in_the_pages_exist(page):
    group = LazyGroup()
    for line in re.findall(r"^(?:\$ )?zoo ([^\n]*)$", "\n".join(blocks(page, "sh") + blocks(page, "console")), re.M):
        name = line.split()[0]
        if name.startswith("-"):
            continue
        assert name in COMMANDS, line
        command = group.get_command(None, name)
        options = {option for parameter in command.params for option in parameter.opts}
        for option in re.findall(r"\s(--?[a-z][a-z-]*)", line):
            assert option in {*options, "--help"}, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_the_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_architecture_page_names_every_module():
    page = (ROOT / "zoo/README.md").read_text()
    for path in (ROOT / "zoo").iterdir():
        if path.suffix == ".py" and path.name != "__init__.py":
            assert f"`{path.name}`" in page, path.name
        elif path.is_dir() and (path / "__init__.py").exists():
            assert f"`{path.name}/`" in page, path.name
