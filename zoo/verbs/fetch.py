"""The weights of an entry, or any file of a known hash, brought to this machine and verified."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from zoo.catalogue.facts import size
from zoo.catalogue.registry import RegistryEntry, find
from zoo.catalogue.targets import fetch_entry
from zoo.discovery.plugins import Plugins, installed
from zoo.files.fetching import Wanted, fetch as fetch_file
from zoo.protocols import Progress
from zoo.recipes.arguments import checked
from zoo.verbs.progress import told
from zoo.verbs.texts import plain

_SHOWN_DIGITS = 12


@dataclass(frozen=True, repr=False)
class Fetched:
    """A verified file of this machine, which can be used as a path; ``entry`` is the one whose weights it holds."""

    name: str
    path: Path
    size_bytes: int
    sha256: str
    entry: RegistryEntry | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        what = f"{size(self.size_bytes)}, sha256 {self.sha256[:_SHOWN_DIGITS]}… as recorded"
        return f"{self.name}: {what}\n  {plain(self.path)}"


@checked
def fetch(
    source: str | RegistryEntry | Wanted,
    *,
    base: Path | str | None = None,
    progress: Progress | None = None,
    plugins: Plugins | None = None,
) -> Fetched:
    """Fetch the weights of an entry (or its name), or a wanted file, unless they are there already; verify them.

    Relative sources of a wanted file lie beside ``base``, a folder or an address. ``progress`` is called with the
    number of bytes that arrived and their total; without it a bar is shown in a terminal and in a notebook.

    Raises UnknownNameError with the nearest name; IntegrityError, DiskError, NotFoundError, OfflineError or UsageError,
    the most informative of the failures, with every source and why it failed.
    """
    if isinstance(source, Wanted):
        with told(progress, source.name) as advance:
            path = fetch_file(source, base=base, progress=functools.partial(advance, text="bytes"))
        return Fetched(source.name, path, source.size_bytes, source.sha256)
    plugins = plugins or installed()
    entry = source if isinstance(source, RegistryEntry) else find(source, plugins)
    with told(progress, entry.name) as advance:
        path = fetch_entry(entry, plugins, progress=functools.partial(advance, text="bytes"))
    return Fetched(entry.name, path, entry.size_bytes, entry.sha256, entry)
