"""Writes into a page the components that the distributions of a repository register.

``python -m zoo.discovery.enumerating plugins/README.md`` writes the list of components,
``python -m zoo.discovery.enumerating docs/components.md`` the options of each.

The page has two marks. The table or the sections between them are written for the distributions whose folders lie
beside the page or beside its folder. They need not be installed; for options, the packages that their components
import must be installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import tomli

from zoo.discovery.components import IN_RECIPES
from zoo.discovery.entry_points import EntryPoint
from zoo.discovery.options_page import keys, sections
from zoo.discovery.plugins import KINDS, Plugin, Plugins, load_plugin
from zoo.errors import PluginError, UsageError
from zoo.files.store import staged_file
from zoo.hookspecs import ENTRY_POINT_GROUP

_PLURAL = {"modality": "modalities", "dataset": "data sets"}
_SINGULAR = {"dataset": "data set"}


def enumerated(page: str, folder: Path) -> str:
    """Return the page with its table or its sections rewritten; ``folder`` is the folder of the page.

    Raises UsageError if the page lacks the marks, PluginError if a plugin of a distribution cannot be registered or a
    component cannot be imported.
    """
    for (start, end), lines in _CONTENTS.items():
        before, found, rest = page.partition(start)
        _, closed, after = rest.partition(end)
        if found and closed:
            return "\n".join([f"{before}{start}", "", *lines(folder), "", f"{end}{after}"])
    marks = " or ".join(f"{start!r} and {end!r}" for start, end in _CONTENTS)
    raise UsageError(f"the page has no lines {marks}; write them where the table should stand")


def _table(folder: Path) -> Iterator[str]:
    yield from ("| folder | distribution | registers |", "|---|---|---|")
    for where, name, plugins in _distributions(folder):
        yield f"| `{where}/` | `{name}` | {'; '.join(_parts(plugins))} |"


def _options(folder: Path) -> Iterator[str]:
    found = [
        (component, f"Of `{name}`. {section}")
        for _, name, plugins in _distributions(folder)
        for component, section in sections(Plugins(tuple(plugins)))
    ]
    for kind in IN_RECIPES:
        yield f"## {_plural(kind).capitalize()}\n"
        for component, section in sorted(found, key=lambda pair: pair[0].name):
            if component.kind == kind:
                yield f"### {_SINGULAR.get(kind, kind).capitalize()} `{component.name}`\n\n{section}\n"
    yield "\n\n".join(keys())


def _plural(kind: str) -> str:
    return _PLURAL.get(kind, f"{kind}s")


# The marks of a page, by the text that is written between them.
START, END = "<!-- components: python -m zoo.discovery.enumerating plugins/README.md -->", "<!-- end of components -->"
_OPTIONS = "<!-- options: python -m zoo.discovery.enumerating docs/components.md -->", "<!-- end of options -->"
_CONTENTS: Mapping[tuple[str, str], Callable[[Path], Iterable[str]]] = {(START, END): _table, _OPTIONS: _options}


def _distributions(folder: Path) -> Iterator[tuple[str, str, list[Plugin]]]:
    """Yield the folder, the name and the plugins of each distribution, importable until the next one."""
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
            yield path.parent.relative_to(root).as_posix(), project["name"], plugins


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
            label = _SINGULAR.get(kind, kind) if len(names) == 1 else _plural(kind)
            yield f"{label} {', '.join(f'`{name}`' for name in names)}"
    registries = [registry for plugin in plugins for registry in plugin.registries]
    if registries:
        yield f"registry {', '.join(f'`{registry}`' for registry in registries)}"


@click.command("enumerating")
@click.argument("page", type=click.Path(path_type=Path, exists=True))
def command(page: Path) -> None:
    """Write the components, or their options, into PAGE."""
    content = enumerated(page.read_text(encoding="utf-8"), page.parent)
    with staged_file(page) as staging:
        staging.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    command()
