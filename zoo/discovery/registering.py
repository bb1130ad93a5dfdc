"""One plugin: imports its entry point, calls its hooks and checks their results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pluggy

from zoo import hookspecs
from zoo.discovery.entry_points import EntryPoint
from zoo.discovery.isolation import Escaped, isolated, writes_aside
from zoo.discovery.registered import Component, Plugin, checked, checked_registry
from zoo.errors import PluginError
from zoo.hookspecs import API_VERSION

_HOOKS = {
    "modality": "zoo_modalities",
    "encoder": "zoo_encoders",
    "decoder": "zoo_decoders",
    "front": "zoo_fronts",
    "objective": "zoo_objectives",
    "dataset": "zoo_datasets",
    "exporter": "zoo_exporters",
    "translation": "zoo_translations",
    "layout": "zoo_layouts",
    "importer": "zoo_importers",
}


def load_plugin(point: EntryPoint, manager: pluggy.PluginManager | None = None) -> Plugin:
    """Import one entry point, call its hooks and check their results.

    Any exception becomes a fault of only this plugin. A ``manager`` of hooks that has no plugins can be passed to
    avoid creating one; the plugin does not stay in it.
    """
    distribution, version = point.distribution, point.version
    found = Plugin(point.name, point.value.partition(":")[0].strip(), distribution, version)
    before = writes_aside()
    try:
        with isolated():
            loaded = _loaded(point, found, manager or hook_manager())
    except Escaped as error:
        loaded = found.without(f"{error}; reinstall or remove {distribution}")
    if writes_aside() > before:
        import logging  # slow, and rarely needed

        logger = logging.getLogger(__name__)
        logger.warning("%s %s writes to stdout while it is imported; that went to stderr", distribution, version)
    return loaded


def _loaded(point: EntryPoint, found: Plugin, manager: pluggy.PluginManager) -> Plugin:
    module = point.load()
    api = getattr(module, "ZOO_API", None)
    if api != API_VERSION:
        return found.without(
            f"it is written for plugin API {api}, this modalzoo has {API_VERSION}; upgrade the older one"
        )
    with _registered(module, point.name, manager):
        components = [
            checked(Component(kind, name, import_string, found.distribution), point.module)
            for kind, hook in _HOOKS.items()
            for mapping in _returned(manager, hook)
            for name, import_string in dict(mapping).items()
        ]
        registries = tuple(
            checked_registry(file, point.module) for files in _returned(manager, "zoo_registries") for file in files
        )
    return replace(found, components=tuple(components), registries=registries)


@contextmanager
def _registered(module: Any, name: str, manager: pluggy.PluginManager) -> Iterator[None]:
    try:
        manager.register(module, name)
        manager.check_pending()
        yield
    finally:
        if manager.has_plugin(name):
            manager.unregister(name=name)


def hook_manager() -> pluggy.PluginManager:
    """Return a manager that knows the hooks, and has no plugin."""
    manager = pluggy.PluginManager("modalzoo")
    manager.add_hookspecs(hookspecs)
    return manager


def _returned(manager: pluggy.PluginManager, hook: str) -> list[Any]:
    """Call one hook of one plugin; pluggy would drop a None silently."""
    implemented = getattr(manager.hook, hook).get_hookimpls()
    returned: list[Any] = getattr(manager.hook, hook)()
    if len(returned) != len(implemented):
        raise PluginError(f"the hook {hook!r} returned nothing")
    return returned
