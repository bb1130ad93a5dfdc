"""The components of the installed plugins, and the options of each component."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.discovery.plugins import KINDS, Plugins, installed
from zoo.errors import UnknownNameError
from zoo.recipes.arguments import checked
from zoo.verbs.texts import table

if TYPE_CHECKING:
    from zoo.discovery.registered import Component
    from zoo.recipes.options import Option

HEADER = ("KIND", "NAME", "DISTRIBUTION", "VERSION")
OPTIONS = ("KIND", "NAME", "OPTION", "TAKES", "DEFAULT")


@dataclass(frozen=True, repr=False)
class ComponentOptions:
    """The options of some components, shown as ``zoo plugins NAME`` prints them."""

    found: tuple[tuple[Component, Mapping[str, Option]], ...]

    def __iter__(self) -> Iterator[tuple[Component, Mapping[str, Option]]]:
        return iter(self.found)

    def __repr__(self) -> str:
        return "\n".join(table(OPTIONS, self.rows()))

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row of texts per option, below the header ``OPTIONS``; one for a component without any."""
        return [
            (one.kind, one.name, *cells)
            for one, options in self
            for cells in [(option.name, option.takes, option.default_told) for option in options.values()]
            or [("", "no options", "")]
        ]

    def written(self) -> list[dict[str, Any]]:
        """Return the components for JSON."""
        return [
            {
                "kind": one.kind,
                "name": one.name,
                "distribution": one.distribution,
                "options": [option.written() for option in options.values()],
            }
            for one, options in self
        ]


@checked
def plugins() -> Plugins:
    """Return the installed plugins, with their components, and the reason for each that fails."""
    return installed()


def rows(found: Plugins) -> list[tuple[str, str, str, str]]:
    """Return a row of texts per component, below ``HEADER``, by kind."""
    return [
        (kind, component.name, plugin.distribution, plugin.version)
        for kind in KINDS
        for plugin in found.plugins
        for component in plugin.components
        if component.kind == kind
    ]


@checked
def options(name: str, *, plugins: Plugins | None = None) -> ComponentOptions:
    """Return the options of all components with a name, of any kind, or of a distribution.

    Raises UnknownNameError with the nearest name.
    """
    from zoo.discovery.components import settable_options

    found = plugins or installed()
    return ComponentOptions(tuple((one, settable_options(found, one.kind, one.name)) for one in _named(found, name)))


def _named(found: Plugins, name: str) -> list[Component]:
    """Return the components of a distribution, or those named ``name``, of any modality."""
    distributions = {plugin.distribution for plugin in found.plugins}
    names = {one: (one.name, one.name.rpartition("/")[2]) for one in found.table.values()}
    if name in distributions:
        components = [component for plugin in found.of(name) for component in plugin.components]
    elif not (components := [one for one, known in names.items() if name in known]):
        known = distributions.union(*names.values())
        raise UnknownNameError("component or distribution", name, known, hint="`zoo plugins` lists what is installed.")
    return sorted(components, key=lambda one: (KINDS.index(one.kind), one.name))
