"""The entries of the registry, filtered and sorted."""

from __future__ import annotations

import re
from collections.abc import Collection

from zoo.catalogue.facts import size
from zoo.catalogue.registry import RegistryEntry, entries as registered, filtered
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import UnknownNameError, UsageError
from zoo.recipes.arguments import checked
from zoo.verbs.named import Named

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}


class Entries(Named[RegistryEntry]):
    """Entries by name, in their sorted order; shown as the table that ``zoo list`` prints."""

    header = ("NAME", "OBJECTIVE", "MODALITIES", "SIZE", "LICENSE", "SUMMARY")

    def __getitem__(self, name: str) -> RegistryEntry:
        """Return an entry; raises UnknownNameError, a KeyError as well, with the nearest name."""
        if name not in self._found:
            raise _NoEntry("entry", name, self._found, hint="`zoo list` lists them.")
        return self._found[name]

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row of texts per entry, below ``header``."""
        return [
            (
                entry.name,
                entry.recipe.spec.objective.name,
                ", ".join(entry.recipe.spec.modalities),
                size(entry.size_bytes),
                entry.license,
                entry.summary,
            )
            for entry in self.values()
        ]


class _NoEntry(UnknownNameError, KeyError):
    """A name that is not among the entries."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # KeyError would put quotation marks around the message


@checked
def entries(
    *,
    modality: str | None = None,
    objective: str | None = None,
    license: str | None = None,
    max_size: int | str | None = None,
    sort: str = "name",
    plugins: Plugins | None = None,
) -> Entries:
    """Return the entries of the registry that fit, by name, sorted by name, size, parameters, objective or license.

    ``max_size`` is a number of bytes, or a text such as ``20MB``.

    Raises UnknownNameError, with the nearest name, for a modality or an objective of no entry and no plugin, and for a
    licence of no entry; UsageError for a malformed size or another key to sort by; SpecError or NotFoundError for a
    registry of ``ZOO_REGISTRY`` that cannot be read.
    """
    plugins = plugins or installed()
    known = registered(plugins)
    specs = [entry.recipe.spec for entry in known.values()]
    _check_known(
        "modality", modality, {*plugins.names("modality"), *(name for one in specs for name in one.modalities)}
    )
    _check_known("objective", objective, {*plugins.names("objective"), *(one.objective.name for one in specs)})
    _check_known("license", license, {entry.license for entry in known.values()})
    if isinstance(max_size, int) and max_size < 0:
        raise UsageError(f"`max_size` takes a number of bytes from 0, got {max_size}")
    found = filtered(
        known.values(),
        modality=modality,
        objective=objective,
        license=license,
        max_size_bytes=parse_size(max_size) if isinstance(max_size, str) else max_size,
        sort=sort,
    )
    return Entries({entry.name: entry for entry in found})


def _check_known(kind: str, name: str | None, known: Collection[str]) -> None:
    if name is not None and name.casefold() not in map(str.casefold, known):
        raise UnknownNameError(kind, name, known, hint="`zoo list` without filters lists all entries.")


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``20MB``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?b?)", text.strip().casefold())
    unit = match.group(2) if match else ""
    if match is None or float(match.group(1)) == float("inf") or (unit and unit.rstrip("b") + "b" not in _UNITS):
        raise UsageError(f"`max_size` takes a number with B, kB, MB or GB, as in 20MB; got {text!r}")
    return int(float(match.group(1)) * _UNITS[unit.rstrip("b") + "b" if unit else ""])
