"""Registry files, layered: the zoo's own, those that plugins bring, and those named by ``ZOO_REGISTRY``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from zoo.discovery.plugins import Plugin, Plugins
from zoo.errors import NotFoundError, SpecError, UnknownNameError, UsageError, ZooError, safe_address
from zoo.evaluation.metrics import Metric
from zoo.files.packages import path_in_package
from zoo.recipes.spec import Recipe
from zoo.recipes.tables import Table, checked_slug, read_toml

# A picture is never fetched: it lies in an installed package, or beside the registry.
_LOCAL = re.compile(r"package:|(?![A-Za-z][A-Za-z0-9+.-]*:)")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")

SORT_KEYS = ("name", "size", "parameters", "objective", "license")


@dataclass(frozen=True)
class RegistryEntry:
    """A recipe with its trained weights: the sources of the weights, their facts, licences and metrics."""

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

    def __repr__(self) -> str:
        size = f"{self.size_bytes:,} bytes, {self.license}"
        return f"<entry {self.name}: {self.summary!r}; {self.recipe.summary}; {size}>"

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
            recipe=Recipe.listed(table.take("recipe", dict), f"{where}.recipe"),
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
        """Return the path of the entry's picture, None if it has none or its package is not installed."""
        from zoo.files.fetching import locate  # slow, and not needed by a listing

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


@dataclass(frozen=True)
class Layer:
    """One registry file: its owner, and its entries or the reason why it is left out."""

    owner: str
    entries: Mapping[str, RegistryEntry]
    fault: ZooError | None = None


def entries(plugins: Plugins) -> dict[str, RegistryEntry]:
    """Return every entry by name.

    A registry of a package adds names; one that is left out (see ``layers``) causes a warning. An entry of a file named
    by ``ZOO_REGISTRY`` replaces another of the same name, since the user chose that file, and the log says so. Raises
    SpecError or NotFoundError if such a file cannot be read.
    """
    found: dict[str, RegistryEntry] = {}
    for layer in layers(plugins):
        if layer.fault is not None:
            _warn(f"{layer.owner} brings a registry that is left out: {layer.fault}")
        found.update(layer.entries)
    for path in named():
        chosen = read_registry(path)
        replaced = [name for name in chosen if name in found and found[name].origin.resolve() != path.resolve()]
        if replaced:
            listed = ", ".join(f"{name} of {found[name].origin}" for name in replaced)
            _warn(f"{path}, which ZOO_REGISTRY names, replaces entries: {listed}")
        found.update(chosen)
    return found


def layers(plugins: Plugins) -> list[Layer]:
    """Return the registries of packages, the zoo's own first.

    A registry that cannot be read, or that has a name of an earlier one, is left out as a whole, with the reason.
    """
    found = [Layer("modalzoo", read_registry(own_registry()))]
    owners = dict.fromkeys(found[0].entries, "modalzoo")
    for plugin in plugins.plugins:
        owner = f"{plugin.distribution} {plugin.version}"
        for file in plugin.registries:
            try:
                brought = read_registry(_brought(file))
                _check_new(brought, owners, plugin)
            except ZooError as error:
                found.append(Layer(owner, {}, error))
                continue
            owners.update(dict.fromkeys(brought, owner))
            found.append(Layer(owner, brought))
    return found


def _check_new(brought: Mapping[str, RegistryEntry], owners: Mapping[str, str], plugin: Plugin) -> None:
    clashes = [f"{name!r}, which {owners[name]} has" for name in brought if name in owners]
    if clashes:
        raise SpecError(
            f"it has the entry {', '.join(clashes)}; give its entries other names, or leave it out by "
            f"ZOO_PLUGINS=-{plugin.distribution}"
        )


@cache
def _warn(text: str) -> None:
    """Log a warning once per process."""
    import logging  # slow, and a listing rarely warns

    logging.getLogger(__name__).warning("%s", text)


def read_registry(path: Path) -> dict[str, RegistryEntry]:
    """Read one registry file."""
    table = Table(read_toml(path), str(path))
    table.schema()
    values = table.take("entries", dict, {})
    table.done()
    return {name: RegistryEntry.read(name, value, path) for name, value in values.items()}


def named() -> list[Path]:
    """Return the files that ``ZOO_REGISTRY`` names, the one of lowest priority first.

    Raises UsageError for an address.
    """
    setting = os.environ.get("ZOO_REGISTRY", "")
    if _ADDRESS.search(setting):
        raise UsageError(
            f"ZOO_REGISTRY takes paths of files, got {safe_address(setting)}; download that file, and name its path"
        )
    return [Path(file) for file in setting.split(os.pathsep) if file]


def own_registry() -> Path:
    """Return the catalogue: inside the installed package, or at the root of an editable checkout."""
    package = Path(__file__).parent.parent
    inside = package / "registry.toml"
    return inside if inside.exists() else package.parent / "registry.toml"


def find(name: str, plugins: Plugins) -> RegistryEntry:
    """Return one entry.

    Raises UnknownNameError with the nearest name, or NotFoundError if ``name`` is a path that does not exist.
    """
    known = entries(plugins)
    if name not in known:
        if len(Path(name).parts) > 1 and not Path(name).exists():
            raise NotFoundError(
                f"there is nothing at {name}; give a path that exists, or the name of an entry: `zoo list`"
            )
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
    """Return the entries that match, sorted by a key of ``SORT_KEYS``.

    Raises UsageError for another key.
    """
    if sort not in SORT_KEYS:
        raise UsageError(f"entries are sorted by {', '.join(SORT_KEYS)}; got {sort!r}")
    kept = [
        entry
        for entry in found
        if (modality is None or modality.casefold() in entry.recipe.spec.modalities)
        and (objective is None or objective.casefold() == entry.recipe.spec.objective.name)
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
