"""The sections of the page about each component's options: what values each takes, and its default."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

from zoo.discovery.components import IN_RECIPES, options_of
from zoo.discovery.plugins import Plugins
from zoo.discovery.registered import Component
from zoo.recipes.options import Option, fields_of
from zoo.recipes.spec import Evaluation, ModelSpec
from zoo.recipes.training import Training

_TABLES = {"[spec]": ModelSpec, "[training]": Training, "[evaluation]": Evaluation}
_PARTS = ("objective", "inputs")  # keys of [spec] that hold components


def sections(plugins: Plugins) -> Iterator[tuple[Component, str]]:
    """Yield each component that a recipe can name, with its section: its docstring and its options."""
    for component in plugins.table.values():
        if component.kind in IN_RECIPES:
            found = plugins.load(component.kind, component.name)
            about = (inspect.getdoc(found) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
            options = options_of(found, component.kind)
            told = _table("option", options.values()) if options else "No options."
            yield component, f"{about}\n\n{told}"


def keys() -> Iterator[str]:
    """Yield a section for each table of a recipe that has its own keys."""
    for name, table in _TABLES.items():
        own = [option for key, option in fields_of(table).items() if key not in _PARTS]
        yield f"## The keys of `{name}`\n\n{_table('key', own)}"


def _table(what: str, options: Iterable[Option]) -> str:
    rows = [(f"`{option.name}`", option.takes, _default(option)) for option in options]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [(what, "takes", "default"), ("---",) * 3, *rows])


def _default(option: Option) -> str:
    return option.default_told if option.required or option.default is None else f"`{option.default_told}`"
