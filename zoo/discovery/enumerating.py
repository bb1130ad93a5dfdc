"""Writes into a page what the distributions of a repository register, component by component.

``python -m zoo.discovery.enumerating plugins/README.md``

The page has a table between two marks. Its rows are the distributions whose folders lie beside the page or beside its
folder; they need not be installed, for the module of an entry point imports nothing but the zoo.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import tomli

from zoo.discovery.entry_points import EntryPoint
from zoo.discovery.plugins import KINDS, Plugin, load_plugin
from zoo.errors import PluginError, UsageError
from zoo.files.store import staged_file
from zoo.hookspecs import ENTRY_POINT_GROUP

START, END = "<!-- components: python -m zoo.discovery.enumerating plugins/README.md -->", "<!-- end of components -->"
_PLURAL = {"modality": "modalities", "dataset": "data sets"}
_SINGULAR = {"dataset": "data set"}


def enumerated(page: str, folder: Path) -> str:
    """Return the page with its table written again; ``folder`` is where the page lies.

    Raises UsageError for a page without the marks, PluginError for a distribution whose plugin cannot be registered.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise UsageError(f"the page has no lines {START!r} and {END!r}; write them where the table should stand")
    lines = ["| folder | distribution | registers |", "|---|---|---|", *_rows(folder)]
    return "\n".join([f"{before}{START}", "", *lines, "", f"{END}{after}"])


def _rows(folder: Path) -> Iterator[str]:
    root = folder.resolve().parent
    for path in sorted(root.glob("*/*/pyproject.toml")):
        project = tomli.loads(path.read_text(encoding="utf-8"))["project"]
        with _importable(path.parent):
            points = [
                EntryPoint(name, module, project["name"], project.get("version", "unknown"))
                for name, module in project["entry-points"][ENTRY_POINT_GROUP].items()
            ]
            plugins = list(map(load_plugin, points))
        for plugin in plugins:
            if plugin.fault:
                raise PluginError(f"{project['name']} cannot be registered: {plugin.fault}")
        where = path.parent.relative_to(root).as_posix()
        yield f"| `{where}/` | `{project['name']}` | {'; '.join(_parts(plugins))} |"


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _parts(plugins: Sequence[Plugin]) -> Iterator[str]:
    components = [component for plugin in plugins for component in plugin.components]
    for kind in KINDS:
        names = sorted(component.name for component in components if component.kind == kind)
        if names:
            label = _SINGULAR.get(kind, kind) if len(names) == 1 else _PLURAL.get(kind, f"{kind}s")
            yield f"{label} {', '.join(f'`{name}`' for name in names)}"
    registries = [registry for plugin in plugins for registry in plugin.registries]
    if registries:
        yield f"registry {', '.join(f'`{registry}`' for registry in registries)}"


@click.command("enumerating")
@click.argument("page", type=click.Path(path_type=Path, exists=True))
def command(page: Path) -> None:
    """Write the table of components into PAGE."""
    content = enumerated(page.read_text(encoding="utf-8"), page.parent)
    with staged_file(page) as staging:
        staging.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    command()
