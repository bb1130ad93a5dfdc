"""Imports a pretrained model that another program wrote, and returns the run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.discovery.components import make_importer, make_modalities
from zoo.discovery.extras import bringing_component, extras_named
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import NotFoundError, UsageError
from zoo.files.hub import HUB, snapshot
from zoo.files.replacing import fillable
from zoo.protocols import Imported, Importer
from zoo.reading.lists import listed
from zoo.recipes.arguments import checked
from zoo.recipes.spec import Recipe
from zoo.verbs.texts import plain

_SHOWN_FILES = 8


@dataclass(frozen=True, repr=False)
class ImportedRun:
    """A run that an import wrote, which can be used as the path of its folder.

    ``weights`` is its checkpoint; ``summary`` says in a phrase what was imported; ``notes`` are sentences on what the
    model lost.
    """

    folder: Path
    weights: Path
    summary: str
    notes: tuple[str, ...] = ()

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        lines = [f"run {self.folder}: imported {self.summary}", f"  weights  {self.weights}"]
        return "\n".join(map(plain, [*lines, *(f"  note     {sentence}" for sentence in self.notes)]))


@checked
def import_model(
    source: str | os.PathLike[str],
    out: Path | str,
    *,
    options: Mapping[str, object] | Sequence[str] = (),
    plugins: Plugins | None = None,
) -> ImportedRun:
    """Read a pretrained model from a folder, or from the hub (``hf:OWNER/REPOSITORY@REVISION``), as the run ``out``.

    An installed plugin must recognise the folder. ``options`` set keys of the recipe that it makes, as ``zoo train``
    takes them: ``{"spec.latent_dim": 128}``. The run holds one checkpoint, of step 0, from which training continues by
    ``resume``. Nothing in the folder is executed, and pickles are not read. The files of the hub stay in the cache of
    its client; with ZOO_OFFLINE, or HF_HUB_OFFLINE, only that cache is read.

    Raises UsageError if no plugin recognises the folder, or if ``out`` holds anything; NotFoundError if there is no
    such folder or repository; OfflineError if it must be downloaded and cannot be; DataError, naming the file, if the
    folder is incomplete or its model is of an unknown kind; IntegrityError if weights do not fit the model.
    """
    out, plugins = Path(out), plugins or installed()
    _require_free(out)
    text = os.fspath(source)
    folder = snapshot(text) if text.startswith(HUB) else Path(text)
    name, importer = _importer(folder, plugins)
    with plugins.blaming("importer", name):
        imported = importer.read(folder)
    recipe = Recipe.read(imported.recipe, f"the recipe of the importer {name!r}")
    if options:
        recipe = recipe.with_options(options if isinstance(options, Mapping) else listed(options, "options"))
    weights = _written(recipe, imported, folder, out, plugins)
    return ImportedRun(out, weights, recipe.summary, imported.notes)


def _require_free(out: Path) -> None:
    place = fillable(out, None)
    if place.is_dir() and any(place.iterdir()):
        raise UsageError(f"{out} is not empty; choose another `out`")


def _importer(folder: Path, plugins: Plugins) -> tuple[str, Importer]:
    """Return the first importer, by name, that recognises the folder."""
    if not folder.is_dir():
        raise NotFoundError(
            f"no folder {folder}; name the folder of a pretrained model, or hf:OWNER/REPOSITORY@REVISION"
        )
    names = plugins.names("importer")
    for name in names:
        importer = make_importer(name, plugins)
        with plugins.blaming("importer", name):
            if importer.recognises(folder):
                return name, importer
    files = sorted(path.name for path in folder.iterdir())
    found = ", ".join(files[:_SHOWN_FILES]) + (", …" if len(files) > _SHOWN_FILES else "")
    brings = bringing_component("transformers")
    cure = f"`pip install {brings}` brings one" if brings else "install the plugin that reads its form"
    raise UsageError(
        f"no importer recognises {folder}, which holds {found or 'nothing'}; installed importers: "
        f"{', '.join(names) or 'none'}; {cure}"
    )


def _written(recipe: Recipe, imported: Imported, folder: Path, out: Path, plugins: Plugins) -> Path:
    """Build the model of the recipe, give it the weights, and return the checkpoint of the run."""
    with extras_named():
        import torch

        from zoo.models.build import build
        from zoo.models.checkpoint import load_weights
        from zoo.training.runs import Run
    modalities = make_modalities(recipe.spec, plugins)
    for part in recipe.spec.inputs:
        with plugins.blaming("modality", part.modality.name):
            modalities[part.name] = modalities[part.name].with_state(imported.states.get(part.name, {}))
    model = build(recipe.spec, modalities, plugins=plugins)
    load_weights(model.objective, {key: torch.from_numpy(array) for key, array in imported.weights.items()}, folder)
    run = Run(out)
    with run.held(None):
        run.save(0, model, recipe, {}, {})
        run.start(recipe, step=0, changed={})
    saved = run.newest()
    if saved is None:
        raise UsageError(f"{out} lost its checkpoint while it was imported; was it deleted? Import again")
    return saved.weights
