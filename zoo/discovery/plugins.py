"""Discovery: the installed plugins, the faults of those that fail, and the components that each registers.

A plugin is the entry point of an installed distribution, in the group ``modalzoo``. It is registered completely or not
at all. One that fails is kept as a fault that names its distribution; all other plugins keep working.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from zoo.discovery.entry_points import EntryPoint, entry_points
from zoo.discovery.extras import bringing_component, extras_named
from zoo.discovery.isolation import Escaped, isolated
from zoo.discovery.registered import Component as Component, Plugin as Plugin
from zoo.discovery.registering import hook_manager, load_plugin as load_plugin
from zoo.errors import MissingExtraError, PluginError, UnknownNameError, ZooError
from zoo.hookspecs import ENTRY_POINT_GROUP

KINDS = (
    "modality",
    "encoder",
    "decoder",
    "front",
    "objective",
    "dataset",
    "exporter",
    "translation",
    "layout",
    "importer",
)
_WHERE = "`zoo plugins` lists what is installed."


@dataclass(frozen=True)
class Plugins:
    """All installed plugins and the table of the components that the working ones register."""

    plugins: tuple[Plugin, ...]
    table: Mapping[tuple[str, str], Component] = field(init=False)

    def __post_init__(self) -> None:
        components = (component for plugin in self.plugins for component in plugin.components)
        object.__setattr__(self, "table", {(component.kind, component.name): component for component in components})

    def __repr__(self) -> str:
        sound = (
            f"{plugin.distribution} {plugin.version}: {len(plugin.components)} components"
            for plugin in self.plugins
            if not plugin.fault
        )
        out = (f"{plugin.distribution} {plugin.version} is left out: {plugin.fault!r}" for plugin in self.faults)
        return "\n".join([*sound, *out]) or "no plugins"

    @property
    def faults(self) -> tuple[Plugin, ...]:
        """The plugins that could not be registered."""
        return tuple(plugin for plugin in self.plugins if plugin.fault)

    def names(self, kind: str) -> list[str]:
        """Return the names registered for a kind, sorted; encoders and decoders as ``modality/name``."""
        return sorted(name for registered, name in self.table if registered == kind)

    def of(self, distribution: str) -> list[Plugin]:
        """Return the plugins of a distribution.

        Raises UnknownNameError if it has none, PluginError if one of them failed.
        """
        found = [plugin for plugin in self.plugins if plugin.distribution == distribution]
        if not found:
            known = {plugin.distribution for plugin in self.plugins}
            raise UnknownNameError("distribution with a plugin", distribution, known, hint=_WHERE)
        for plugin in found:
            if plugin.fault:
                raise PluginError(f"{distribution} {plugin.version} is left out: {plugin.fault}")
        return found

    def find(self, kind: str, name: str) -> Component:
        """Return a registered component without importing it.

        Raises UnknownNameError with the nearest registered name.
        """
        component = self.table.get((kind, name))
        if component is None:
            broken = "".join(
                f" {plugin.distribution} {plugin.version} is left out: {plugin.fault}." for plugin in self.faults
            )
            brings = bringing_component(name.partition("/")[0])
            cure = f" `pip install {brings}` installs it." if brings else ""
            raise UnknownNameError(kind, name, self.names(kind), hint=_WHERE + broken + cure)
        return component

    def load(self, kind: str, name: str) -> Any:
        """Import and return a registered component's class.

        Raises PluginError, naming the distribution, if it cannot be imported; MissingExtraError if a package is missing
        and it is known how to install it.
        """
        component = self.find(kind, name)
        module, _, attribute = component.import_string.partition(":")
        try:
            with isolated(MissingExtraError), extras_named():
                return getattr(importlib.import_module(module), attribute)
        except Escaped as error:
            raise PluginError(
                f"the {kind} {name!r} of {component.distribution} cannot be imported from {component.import_string!r}: "
                f"{error}; upgrade or reinstall {component.distribution}, `zoo doctor` shows what is installed"
            ) from error

    @contextmanager
    def blaming(self, kind: str, name: str) -> Iterator[None]:
        """Raise PluginError, naming the distribution, for any exception inside except errors of the zoo."""
        try:
            with isolated(ZooError), extras_named():
                yield
        except Escaped as error:
            distribution = self.find(kind, name).distribution
            raise PluginError(
                f"the {kind} {name!r} of {distribution} cannot be built: {error}; "
                f"change its options, or tell the authors of {distribution}"
            ) from error


@functools.cache
def installed() -> Plugins:
    """Return the plugins of this environment, discovered once per process.

    ``ZOO_PLUGINS`` narrows them: ``ZOO_PLUGINS=modalzoo-text,modalzoo-onnx`` allows only these distributions,
    ``ZOO_PLUGINS=-birds`` all except this one.
    """
    return discovered()


def discovered(leaving_out: Container[str] = ()) -> Plugins:
    """Return the plugins that ``ZOO_PLUGINS`` allows, without those of the distributions in ``leaving_out``."""
    manager = hook_manager()
    found = (load_plugin(point, manager) for point in let_in() if point.distribution not in leaving_out)
    return Plugins(tuple(_without_clashes(found)))


def let_in() -> list[EntryPoint]:
    """Return the entry points that ``ZOO_PLUGINS`` allows, without importing any."""
    wanted = _filter(os.environ.get("ZOO_PLUGINS", ""))
    return [point for point in entry_points(ENTRY_POINT_GROUP) if wanted(point.distribution)]


def unknown_in_setting() -> list[str]:
    """Return the names in ``ZOO_PLUGINS`` that no installed distribution with a plugin has."""
    named = {name.removeprefix("-") for name in _names(os.environ.get("ZOO_PLUGINS", ""))}
    return sorted(named - {point.distribution for point in entry_points(ENTRY_POINT_GROUP)})


def translations(exporter: str) -> dict[str, Callable[[], Any]]:
    """Return, by operator, a function that loads an exporter's translation of it: ``zoo_text::packed_lstm``.

    A translation is the plugin's code that writes one of its own torch operators in the exporter's format. If no
    imported module defines an operator, it is in no graph: leave its translation unloaded.
    """
    found = installed()
    prefix = f"{exporter}/"
    return {
        name.removeprefix(prefix): functools.partial(found.load, "translation", name)
        for name in found.names("translation")
        if name.startswith(prefix)
    }


def _without_clashes(plugins: Iterable[Plugin]) -> list[Plugin]:
    """Leave out, as a whole, each plugin that registers a name which an earlier plugin has registered."""
    kept: list[Plugin] = []
    owners: dict[tuple[str, str], Plugin] = {}
    for plugin in sorted(plugins, key=lambda plugin: (plugin.distribution, plugin.name)):
        clash = next((c for c in plugin.components if (c.kind, c.name) in owners), None)
        if clash is not None:
            owner = owners[clash.kind, clash.name]
            kept.append(
                plugin.without(
                    f"it registers the {clash.kind} {clash.name!r}, which {owner.distribution} {owner.version} has; "
                    f"remove one of the two, or leave one out by ZOO_PLUGINS=-{plugin.distribution}"
                )
            )
            continue
        owners.update({(component.kind, component.name): plugin for component in plugin.components})
        kept.append(plugin)
    return kept


def _names(setting: str) -> list[str]:
    return [name.strip() for name in setting.split(",") if name.strip()]


def _filter(setting: str) -> Any:
    names = _names(setting)
    denied = {name[1:] for name in names if name.startswith("-")}
    allowed = {name for name in names if not name.startswith("-")}
    return lambda distribution: distribution not in denied and (not allowed or distribution in allowed)
