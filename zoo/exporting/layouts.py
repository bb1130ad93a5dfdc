"""Adds a layout, which is a set of files such as a page that serves it, to a finished bundle not yet in its place."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

from zoo.discovery.components import make_dataset, make_layout
from zoo.discovery.plugins import Plugins
from zoo.errors import PluginError
from zoo.files.store import digests
from zoo.protocols import Dataset, Layout
from zoo.recipes.spec import Recipe
from zoo.runtime.manifest import Manifest
from zoo.samples.missing import LeftOut, WithFiles

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arranged:
    """A layout by its registered name, and the data that it shows; ``left_out`` are samples whose files are missing."""

    name: str
    layout: Layout
    dataset: Dataset
    left_out: LeftOut = field(default_factory=LeftOut)

    def add_to(self, folder: Path, manifest: Manifest) -> Manifest:
        """Let the layout add its files to the bundle in ``folder``; write and return the manifest that lists them.

        Raises PluginError if it changes a file of the bundle or leaves something that a manifest cannot list.
        """
        before = digests(folder)
        self.layout.write(folder, self.dataset)
        if told := str(self.left_out):
            _log.warning("%s", told)
        after = digests(folder)
        for name in before:
            if after.get(name) != before[name]:
                raise PluginError(f"the layout {self.name!r} changed the bundle's file {name!r}; it may add files only")
        for path in sorted(folder.iterdir()):
            if path.name not in after:
                raise PluginError(
                    f"the layout {self.name!r} left {path.name!r}, which is not a file; "
                    "all its files must be in one folder"
                )
        return replace(manifest, layout=self.name).write(folder)


def arranged(name: str, recipe: Recipe, plugins: Plugins) -> Arranged:
    """Return a registered layout, ready for the data of a recipe."""
    left_out = LeftOut()
    return Arranged(name, make_layout(name, plugins), WithFiles(make_dataset(recipe.data, plugins), left_out), left_out)
