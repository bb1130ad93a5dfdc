"""Registry files, layered: the zoo's own, those that plugins bring, and those named by ``ZOO_REGISTRY``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import SpecError, UnknownNameError, ZooError
from zoo.packages import path_in_package
from zoo.plugins import Plugin, Plugins
from zoo.spec import Recipe
from zoo.tables import Table, checked_slug, read_toml

# A picture is never fetched: it lies in an installed package, or beside the registry.
_LOCAL = re.compile(r"package:|(?![A-Za-z][A-Za-z0-9+.-]*:)")

SORT_KEYS = ("name", "size", "parameters", "objective", "license")


@dataclass(frozen=True)
class Metric:
    """A measured number, how far another measurement of it may lie, and nothing typed in by hand."""

    value: float
    tolerance: float


@dataclass(frozen=True)
class RegistryEntry:
    """A recipe with its trained weights: where they are, what they are, under which licence, and how good."""

    name: str
    summary: str
    recipe: Recipe
    parameters: int
    license: str
    data_license: str
    revision: str
    size_bytes: int
    sha256: str
    sources: tuple[str, ...]
    metrics: Mapping[str, Metric]
    metrics_command: str
    plugins: tuple[str, ...]
    picture: str
    origin: Path

    @classmethod
    def read(cls, name: str, value: Any, origin: Path) -> RegistryEntry:
        """Read one table of ``[entries]``."""
        where = f"{origin}: entries.{checked_slug(name, f'{origin}: entries')}"
        table = Table(value, where)
        metrics = {
            metric: _metric(pair, f"{where}.metrics.{metric}")
            for metric, pair in table.table("metrics").items().items()
        }
        entry = cls(
            name=name,
            summary=table.take("summary", str),
            recipe=Recipe.read(table.take("recipe", dict), f"{where}.recipe"),
            parameters=table.take("parameters", int),
            license=table.take("license", str),
            data_license=table.take("data_license", str),
            revision=table.take("revision", str),
            size_bytes=table.take("size", int),
            sha256=table.take("sha256", str),
            sources=table.texts("sources"),
            metrics=metrics,
            metrics_command=table.take("metrics_command", str, f"zoo evaluate {name}"),
            plugins=table.texts("plugins"),
            picture=table.take("picture", str, ""),
            origin=origin,
        )
        table.done()
        if len(entry.sha256) != 64 or set(entry.sha256) - set("0123456789abcdef"):
            raise SpecError(f"{where}: 'sha256' takes 64 hexadecimal digits, got {entry.sha256!r}")
        if not entry.sources:
            raise SpecError(f"{where}: 'sources' takes at least one place to fetch the weights from")
        if entry.picture and not (entry.picture.endswith(".png") and _LOCAL.match(entry.picture)):
            raise SpecError(
                f"{where}: 'picture' takes a PNG file as package:NAME/PATH or as a path beside the registry, "
                f"got {entry.picture!r}"
            )
        return entry

    def installed_picture(self) -> Path | None:
        """Return the path of the entry's picture, None where it has none or its package is not installed."""
        from zoo.fetching import locate  # slow, and a listing needs none of it

        if not self.picture:
            return None
        try:
            place = Path(locate(self.picture, self.origin.parent))
        except ZooError:  # the package is not installed, or the path leads out of it
            return None
        return place if place.is_file() else None

    def listed(self) -> dict[str, Any]:
        """Return the row of a listing."""
        return {
            "name": self.name,
            "objective": self.recipe.spec.objective.name,
            "modalities": list(self.recipe.spec.modalities),
            "license": self.license,
            "size": self.size_bytes,
            "sha256": self.sha256,
            "parameters": self.parameters,
            "summary": self.summary,
        }


def entries(plugins: Plugins) -> dict[str, RegistryEntry]:
    """Return every entry by name; a later layer replaces an entry of the same name.

    A registry that a plugin brings and that cannot be read is left out with a warning that names its distribution.
    """
    found = read_registry(own_registry())
    for plugin in plugins.plugins:
        for file in plugin.registries:
            try:
                found.update(read_registry(_brought(file)))
            except ZooError as error:
                _warn_of(plugin, error)
    for path in _named():
        found.update(read_registry(path))
    return found


def _warn_of(plugin: Plugin, error: ZooError) -> None:
    import logging  # slow, and a listing seldom has anything to warn of

    logger = logging.getLogger(__name__)
    logger.warning("%s %s brings a registry that is left out: %s", plugin.distribution, plugin.version, error)


def read_registry(path: Path) -> dict[str, RegistryEntry]:
    """Read one registry file."""
    table = Table(read_toml(path), str(path))
    table.schema()
    values = table.take("entries", dict, {})
    table.done()
    return {name: RegistryEntry.read(name, value, path) for name, value in values.items()}


def paths(plugins: Plugins) -> list[Path]:
    """Return the registry files, the weakest layer first."""
    files = [own_registry()]
    for plugin in plugins.plugins:
        files += [_brought(file) for file in plugin.registries]
    return files + _named()


def _named() -> list[Path]:
    return [Path(file) for file in os.environ.get("ZOO_REGISTRY", "").split(os.pathsep) if file]


def own_registry() -> Path:
    """Return the catalogue: inside the installed package, or at the root of an editable checkout."""
    package = Path(__file__).parent
    inside = package / "registry.toml"
    return inside if inside.exists() else package.parent / "registry.toml"


def find(name: str, plugins: Plugins) -> RegistryEntry:
    """Return one entry.

    Raises UnknownNameError with the nearest name.
    """
    known = entries(plugins)
    if name not in known:
        raise UnknownNameError("entry", name, known, hint="`zoo list` lists them.")
    return known[name]


def filtered(
    found: Iterable[RegistryEntry],
    *,
    modality: str | None = None,
    objective: str | None = None,
    license: str | None = None,
    max_size_bytes: int | None = None,
    sort: str = "name",
) -> list[RegistryEntry]:
    """Return the entries that fit, sorted by a key of ``SORT_KEYS``."""
    kept = [
        entry
        for entry in found
        if (modality is None or modality in entry.recipe.spec.modalities)
        and (objective is None or objective == entry.recipe.spec.objective.name)
        and (license is None or license.casefold() == entry.license.casefold())
        and (max_size_bytes is None or entry.size_bytes <= max_size_bytes)
    ]
    return sorted(kept, key=lambda entry: (entry.listed()[sort], entry.name))


def missing_plugins(entry: RegistryEntry, plugins: Plugins) -> list[str]:
    """Return the distributions that the entry needs and this environment lacks."""
    present = {plugin.distribution for plugin in plugins.plugins if not plugin.fault}
    return [name for name in entry.plugins if name not in present]


def _metric(value: Any, where: str) -> Metric:
    table = Table(value, where)
    metric = Metric(table.take("value", float), table.take("tolerance", float))
    table.done()
    return metric


def _brought(file: str) -> Path:
    try:
        return path_in_package(file)
    except ZooError as error:
        raise SpecError(f"the registry {file!r} {error}; a plugin gives 'package/registry.toml'") from error
