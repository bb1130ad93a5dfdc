"""Resolves a command's NAME|CHECKPOINT: a registry entry, whose weights are fetched, or your own file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.catalogue.registry import RegistryEntry, entries, find, missing_plugins
from zoo.discovery.plugins import Plugins
from zoo.errors import NotFoundError, PluginError, UsageError
from zoo.files.fetching import Wanted, fetch


@dataclass(frozen=True)
class Target:
    """A checkpoint file, and its entry if it belongs to a registry.

    ``told`` says why this checkpoint of a run was taken, empty if there was no choice.
    """

    name: str
    weights: Path
    entry: RegistryEntry | None
    told: str = ""


def resolve(
    text: str, plugins: Plugins, *, last: bool = False, progress: Callable[[int, int], None] | None = None
) -> Target:
    """Return the checkpoint that ``text`` names: a file, a folder that ``zoo train`` left, or an entry to fetch.

    Of a run that watched a metric it is the best one, or with ``last`` the newest.
    A folder without a checkpoint, such as one of pictures, does not hide an entry of its name. Raises UnknownNameError,
    with the nearest name, if it is none of them, PluginError if the entry needs a plugin that is not installed,
    UsageError for a recipe.
    """
    path = Path(text)
    if path.is_dir():
        from zoo.training.choosing import chosen

        try:
            found = chosen(path, last=last)
        except UsageError:
            if text not in entries(plugins):
                raise
        else:
            name = path.resolve().name.encode(errors="backslashreplace").decode()  # it becomes part of UTF-8 texts
            return Target(name, found.weights, None, found.told)
    elif path.suffix in (".safetensors", ".toml") or path.is_file():
        return at(path)
    entry = find(text, plugins)
    require_plugins(entry, plugins)
    return Target(entry.name, fetch_entry(entry, plugins, progress=progress), entry)


def at(path: Path) -> Target:
    """Return the checkpoint file at a path.

    Raises UsageError if it is a recipe, which has no weights.
    """
    if path.suffix == ".toml":
        raise UsageError(
            f"{path} is a recipe; expected a model: the name of an entry, a checkpoint, or the folder of a run. Train "
            f"it first by `zoo train {path}`"
        )
    return Target(path.stem, path, None)


def fetch_entry(entry: RegistryEntry, plugins: Plugins, *, progress: Callable[[int, int], None] | None = None) -> Path:
    """Return the verified path of an entry's weights, fetched if they are missing.

    If they lie in a package that is not installed, the message names the distributions that the entry needs.
    """
    wanted = Wanted(f"{entry.name}.safetensors", entry.size_bytes, entry.sha256, entry.sources)
    try:
        return fetch(wanted, base=entry.origin.parent, progress=progress)
    except NotFoundError as error:
        if missing := missing_plugins(entry, plugins):
            raise NotFoundError(f"{error} {_needed(entry, missing)}") from error
        raise


def require_plugins(entry: RegistryEntry, plugins: Plugins) -> None:
    """Raise PluginError if the entry needs a distribution that is missing or failed to register."""
    missing = missing_plugins(entry, plugins)
    if missing:
        raise PluginError(_needed(entry, missing))


def _needed(entry: RegistryEntry, missing: Sequence[str]) -> str:
    return f"{entry.name} needs {', '.join(missing)}; install it: pip install {' '.join(missing)}"
