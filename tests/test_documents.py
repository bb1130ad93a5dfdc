"""The pages are tied to the code: headings to hooks, commands to the command line, examples to what they claim."""

import re
from pathlib import Path

import click
import pytest

from zoo import hookspecs
from zoo.cli import COMMANDS, LazyGroup

ROOT = Path(__file__).parent.parent
FOLDERS = ("plugins", "exporters")
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("plugins/*/README.md")),
    *(ROOT / folder / "README.md" for folder in ("zoo", "benchmarks", *FOLDERS)),
    *sorted(ROOT.glob(".github/*.md")),
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def test_every_hook_has_a_heading_with_its_arguments_and_what_it_returns():
    hooks = re.findall(r"^def (zoo_\w+\(.*\) -> .*):$", Path(hookspecs.__file__).read_text(), re.MULTILINE)
    assert len(hooks) == sum(name.startswith("zoo_") for name in vars(hookspecs))
    headings = {
        page: re.findall(r"^### `(zoo_.*)`$", (ROOT / page / "README.md").read_text(), re.M) for page in FOLDERS
    }
    assert sorted(headings["plugins"]) == sorted(hooks)
    theirs = ("zoo_exporters", "zoo_translations", "zoo_layouts")
    assert headings["exporters"] == [hook for hook in hooks if hook.startswith(theirs)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_in_the_pages_exist(page):
    group = LazyGroup()
    for line in re.findall(r"^(?:\$ )?zoo ([^\n]*)$", "\n".join(blocks(page, "sh") + blocks(page, "console")), re.M):
        name = line.split()[0]
        if name.startswith("-"):
            continue
        assert name in COMMANDS, line
        command = group.get_command(None, name)
        if isinstance(command, click.Group):
            assert line.split()[1] in {*command.commands, "--help"}, line
            command = command.commands.get(line.split()[1], command)
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


def test_every_test_that_the_page_of_faults_names_exists():
    named = re.findall(r"`((?:[\w/]+/)?test_\w+\.py)::(test_\w+)(\*?)`", (ROOT / "docs/faults.md").read_text())
    assert len(named) > 50
    for file, name, rest in named:
        path = ROOT / (file if file.startswith(("plugins/", "exporters/")) else f"tests/{file}")
        defined = re.findall(r"def (test_\w+)\(", path.read_text())
        assert any(one.startswith(name) if rest else one == name for one in defined), f"{file}::{name}"
