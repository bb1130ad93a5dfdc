"""A verb's model argument: an entry or its name, a path, a run, a checkpoint."""

from __future__ import annotations

import functools
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.catalogue.registry import RegistryEntry
from zoo.catalogue.targets import Target, at, fetch_entry, require_plugins, resolve
from zoo.discovery.extras import extras_named
from zoo.discovery.plugins import Plugins
from zoo.verbs.fetch import Fetched

if TYPE_CHECKING:
    from zoo.models.checkpoint import Checkpoint
    from zoo.protocols import Progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """A model with its weights: its name, and its entry if it belongs to a registry."""

    name: str
    checkpoint: Checkpoint
    entry: RegistryEntry | None


def target_of(
    source: str | os.PathLike[str] | RegistryEntry | Target,
    plugins: Plugins,
    progress: Progress | None = None,
    *,
    last: bool = False,
) -> Target:
    """Return the checkpoint file that a name, a path or an object stands for; an entry's weights are fetched.

    Of a run that watched a metric it is the best one, which the log says, or with ``last`` the newest.
    Raises UnknownNameError if there is no such entry, UsageError for a recipe, PluginError if an entry needs a plugin
    that is not installed.
    """
    if isinstance(source, Target):
        return source
    if isinstance(source, Fetched):
        return Target(source.name, source.path, source.entry)
    arrived = None if progress is None else functools.partial(progress, text="bytes")
    if isinstance(source, RegistryEntry):
        require_plugins(source, plugins)
        target = Target(source.name, fetch_entry(source, plugins, progress=arrived), source)
    elif isinstance(source, str) or Path(source).is_dir():
        target = resolve(os.fspath(source), plugins, last=last, progress=arrived)
    else:  # a path object is not a name
        target = at(Path(source))
    if target.told:
        _log.warning(target.told)
    return target


def opened(
    source: str | os.PathLike[str] | RegistryEntry | Target | Checkpoint,
    plugins: Plugins,
    progress: Progress | None = None,
    *,
    last: bool = False,
) -> Opened:
    """Return the model that a name, a path or an object stands for; raises as ``target_of`` and ``zoo.load`` do."""
    if not isinstance(source, str | os.PathLike | RegistryEntry | Target):
        return Opened("", source, None)
    target = target_of(source, plugins, progress, last=last)
    with extras_named():
        from zoo.models.checkpoint import load  # importing torch takes seconds, and wrong names are reported before it

    return Opened(target.name, load(target.weights, plugins=plugins), target.entry)
