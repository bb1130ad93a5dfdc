"""Resolves a command's NAME|CHECKPOINT: a registry entry, whose weights are fetched, or a file of your own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoo.catalogue.registry import RegistryEntry, find, missing_plugins
from zoo.discovery.plugins import Plugins
from zoo.errors import PluginError
from zoo.files.fetching import Wanted, fetch


@dataclass(frozen=True)
class Target:
    """A checkpoint file, and its entry if it belongs to a registry."""

    name: str
    weights: Path
    entry: RegistryEntry | None


def resolve(text: str, plugins: Plugins, *, progress: Callable[[int, int], None] | None = None) -> Target:
    """Return the checkpoint that ``text`` names: a file, a folder that ``zoo train`` left, or an entry to fetch.

    Raises UnknownNameError, with the nearest name, if it is none of them.
    """
    path = Path(text)
    if path.is_dir():
        from zoo.training.runs import newest_weights

        name = path.resolve().name.encode(errors="backslashreplace").decode()  # it becomes part of UTF-8 texts
        return Target(name, newest_weights(path), None)
    if path.suffix == ".safetensors" or path.is_file():
        return Target(path.stem, path, None)
    entry = find(text, plugins)
    return Target(entry.name, fetch_entry(entry, progress=progress), entry)


def fetch_entry(entry: RegistryEntry, *, progress: Callable[[int, int], None] | None = None) -> Path:
    """Return the verified path of an entry's weights, fetched if they are missing."""
    wanted = Wanted(f"{entry.name}.safetensors", entry.size_bytes, entry.sha256, entry.sources)
    return fetch(wanted, base=entry.origin.parent, progress=progress)


def require_plugins(entry: RegistryEntry, plugins: Plugins) -> None:
    """Raise PluginError if the entry needs a distribution that is missing or failed to register."""
    missing = missing_plugins(entry, plugins)
    if missing:
        raise PluginError(f"{entry.name} needs {', '.join(missing)}; install it: pip install {' '.join(missing)}")
