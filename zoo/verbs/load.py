"""A model in torch, with its weights."""

from __future__ import annotations

import os

from zoo.catalogue.registry import RegistryEntry
from zoo.discovery.plugins import Plugins, installed
from zoo.models.checkpoint import Checkpoint
from zoo.protocols import Progress
from zoo.recipes.arguments import checked
from zoo.verbs.progress import told
from zoo.verbs.sources import opened


@checked
def load(
    source: str | os.PathLike[str] | RegistryEntry | Checkpoint,
    *,
    last: bool = False,
    progress: Progress | None = None,
    plugins: Plugins | None = None,
) -> Checkpoint:
    """Rebuild the model of an entry (or its name), of a run's folder or of a checkpoint file.

    Of a run that watched a metric it is the best checkpoint, or with ``last`` the newest. The weights of an entry are
    fetched; ``progress`` is called with the number of bytes that arrived and their total.

    Raises UnknownNameError or NotFoundError if there is none, PluginError if an entry needs a plugin that is not
    installed, IntegrityError if the bytes are not the saved ones.
    """
    with told(progress, "loading") as advance:
        return opened(source, plugins or installed(), advance, last=last).checkpoint
