"""The components that a plugin registers, and the required form of their names and import strings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from zoo.errors import PluginError
from zoo.recipes.tables import SLUG

_OPERATOR = re.compile(r"(\w+)::\w+", re.ASCII)


@dataclass(frozen=True)
class Component:
    """One registered name: its place of definition and its distribution."""

    kind: str
    name: str
    import_string: str
    distribution: str


@dataclass(frozen=True)
class Plugin:
    """One installed plugin: complete, or with the fault that kept it out."""

    name: str
    module: str
    distribution: str
    version: str
    components: tuple[Component, ...] = ()
    registries: tuple[str, ...] = ()
    fault: str = ""

    def __repr__(self) -> str:
        brings = f"is out: {self.fault}" if self.fault else f"{len(self.components)} components"
        return f"<plugin {self.name!r} of {self.distribution} {self.version}: {brings}>"

    def without(self, fault: str) -> Plugin:
        """Return the plugin with nothing registered, for the reason ``fault``."""
        return Plugin(self.name, self.module, self.distribution, self.version, fault=fault)


def checked(component: Component, entry_module: str) -> Component:
    """Return the component if its name and import string have the right form."""
    package = entry_module.split(".")[0]
    if component.kind == "translation":
        _check_translated(component.name, package)
    else:
        _check_name(component)
    module, colon, attribute = component.import_string.partition(":")
    if module.split(".")[0] != package or not colon or not attribute.isidentifier():
        raise PluginError(
            f"the import string {component.import_string!r} of the {component.kind} {component.name!r} must have the "
            f"form '{package}.module:Class', inside the plugin's own package"
        )
    return component


def _check_name(component: Component) -> None:
    parts = component.name.split("/")
    expected = 2 if component.kind in ("encoder", "decoder") else 1
    if len(parts) != expected or not all(SLUG.fullmatch(part) for part in parts):
        form = "'modality/name'" if expected == 2 else "'name'"
        raise PluginError(
            f"the {component.kind} {component.name!r} needs a name of the form {form}, in lower-case letters"
        )


def _check_translated(name: str, package: str) -> None:
    """Raise PluginError if the translation is for an operator of someone else: it would change the files of others."""
    exporter, _, operator = name.partition("/")
    form = _OPERATOR.fullmatch(operator)
    if not SLUG.fullmatch(exporter) or form is None or form.group(1) != package:
        raise PluginError(
            f"the translation {name!r} needs a name of the form 'exporter/{package}::operator', of an operator in the "
            "plugin's own namespace"
        )


def checked_registry(file: Any, entry_module: str) -> str:
    """Return the registry file if it lies inside the plugin's own package."""
    package = entry_module.split(".")[0]
    first, *rest = str(file).split("/")
    if first != package or not rest or ".." in rest:
        raise PluginError(f"the registry {file!r} must have the form '{package}/registry.toml', inside its own package")
    return str(file)
