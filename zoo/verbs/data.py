"""The content of a data set, and a picture of some of its samples."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.discovery.plugins import Plugins, installed
from zoo.errors import DataError, UsageError
from zoo.files.replacing import DRAWING, SOFTWARE, file_place
from zoo.recipes.arguments import checked
from zoo.recipes.assignments import assigned
from zoo.recipes.spec import Part, Recipe
from zoo.verbs.texts import plain, table

if TYPE_CHECKING:
    from PIL.Image import Image

    from zoo.protocols import Modality, Sample
    from zoo.samples.missing import LeftOut

SPLITS = ("train", "validation", "test")
HEADER = ("INPUT", "MODALITY", *map(str.upper, SPLITS))
_DATA = "data."


@dataclass(frozen=True, repr=False)
class DataCard:
    """The content of a data set, shown as ``zoo data`` prints it.

    ``samples`` counts those of each split, ``inputs`` those that have an input, by its name and split; ``labels``
    counts the values of each label. ``left_out`` are samples with a missing file, by split.
    """

    name: str
    license: str
    modalities: Mapping[str, str]
    samples: Mapping[str, int]
    inputs: Mapping[str, Mapping[str, int]]
    labels: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, LeftOut]
    picture: Path

    def __repr__(self) -> str:
        return "\n".join([*table(HEADER, self.rows()), f"licence: {plain(self.license)}", plain(self.picture)])

    def rows(self) -> list[tuple[str | int, ...]]:
        """Return a row per input and one of all samples, below ``HEADER``."""
        rows: list[tuple[str | int, ...]] = []
        for name, counts in self.inputs.items():
            rows.append((name, self.modalities[name], *counts.values()))
        return [*rows, ("samples", "", *self.samples.values())]

    def written(self) -> dict[str, Any]:
        """Return the card for JSON."""
        return {
            "name": self.name,
            "license": self.license,
            "samples": dict(self.samples),
            "inputs": {name: {"modality": self.modalities[name], **counts} for name, counts in self.inputs.items()},
            "labels": {name: dict(counts) for name, counts in self.labels.items()},
            "left_out": {name: list(gone.errors) for name, gone in self.left_out.items()},
            "picture": str(self.picture),
        }


@checked
def data(
    source: str | os.PathLike[str] | Recipe,
    *,
    options: Mapping[str, object] | Sequence[str] = (),
    split: str = "train",
    rows: int = 8,
    out: Path | str | None = None,
    plugins: Plugins | None = None,
) -> DataCard:
    """Describe a data set, given by name or by a recipe or its path, and draw samples of a split.

    ``options`` are options of the data set or keys of the recipe: ``{"limit": 100}``, or texts as after
    ``zoo data -o``. The picture, a PNG of ``rows`` samples, is written to ``out``, by default ``data/NAME.png``.

    Raises UnknownNameError with the nearest name; UsageError if there is no such split, it is empty, ``rows`` is below
    1, or something else lies at ``out``; DataError, naming the input, if a value cannot be read.
    """
    from zoo.discovery.components import make_dataset
    from zoo.samples.missing import LeftOut, WithFiles

    if split not in SPLITS:
        raise UsageError(f"data sets have the splits {', '.join(SPLITS)}; got {split!r}")
    if rows < 1:
        raise UsageError(f"the picture has at least 1 row, got {rows}")
    plugins = plugins or installed()
    recipe = _recipe(source)
    if recipe is not None:
        recipe = recipe.with_options(_of_recipe(options))
        part = recipe.data
    else:
        part = Part(str(source), {key.removeprefix(_DATA): value for _, key, value in assigned(options)})
    dataset = make_dataset(part, plugins)
    picture = Path(out) if out is not None else Path("data") / f"{part.name}.png"
    if picture.suffix.lower() != ".png":
        raise UsageError(f"`out` takes the name of a PNG, such as data/{part.name}.png; got {picture}")
    file_place(picture, DRAWING)
    left_out = {name: LeftOut() for name in SPLITS}
    samples = {name: WithFiles(dataset, left_out[name]).split(name) for name in SPLITS}
    if not samples.get(split):
        raise UsageError(f"the split {split!r} of {part.name} is empty; choose another by `split`")
    modalities = _modalities(dataset.inputs, recipe, samples["train"], plugins)
    _save(_sheet(samples[split], modalities, rows), picture)
    return DataCard(
        part.name,
        dataset.license,
        dataset.inputs,
        {name: len(found) for name, found in samples.items()},
        {
            name: {key: sum(sample.inputs.get(name) is not None for sample in found) for key, found in samples.items()}
            for name in dataset.inputs
        },
        _labels([sample for found in samples.values() for sample in found]),
        left_out,
        picture,
    )


def _recipe(source: str | os.PathLike[str] | Recipe) -> Recipe | None:
    if isinstance(source, Recipe):
        return source
    path = os.fspath(source)
    return Recipe.load(Path(path)) if path.endswith(".toml") else None


def _of_recipe(options: Mapping[str, object] | Sequence[str]) -> Mapping[str, object] | Sequence[str]:
    """Return options as keys of a recipe; a key without a table is an option of the data set."""
    tables = {field.name for field in fields(Recipe)}

    def placed(option: str) -> str:
        table = option.partition("=")[0].partition(".")[0].strip()
        return option if table in tables else f"{_DATA}{option}"

    if isinstance(options, Mapping):
        return {placed(key): value for key, value in options.items()}
    return tuple(map(placed, options))


def _modalities(
    inputs: Mapping[str, str], recipe: Recipe | None, samples: Sequence[Sample], plugins: Plugins
) -> dict[str, Modality]:
    """Return the modality of each input with the options of the recipe, fitted on the same samples as in training."""
    from zoo.discovery.components import make_modality

    parts = {entry.name: entry.modality for entry in recipe.spec.inputs} if recipe else {}
    found = {}
    for name, kind in inputs.items():
        modality = make_modality(parts.get(name, Part(kind)), f"the input {name}", plugins)
        known = [sample.inputs[name] for sample in samples if sample.inputs.get(name) is not None]
        try:
            found[name] = modality.fit(known) if known else modality
        except DataError as error:
            raise DataError(f"the split 'train', input {name!r}: {error}") from error
    return found


def _save(drawn: Image, picture: Path) -> None:
    """Write a drawing as PNG, marked as the zoo's own, so that a later one may replace it."""
    from PIL.PngImagePlugin import PngInfo

    from zoo.files.store import staged_file

    said = PngInfo()
    said.add_text("Software", SOFTWARE)
    with staged_file(picture) as staging:
        drawn.save(staging, "PNG", pnginfo=said)


def _labels(samples: Sequence[Sample]) -> dict[str, dict[str, int]]:
    """Return how many samples have each value of each label, the most frequent first."""
    counted: dict[str, Counter[str]] = {}
    for sample in samples:
        for name, value in sample.labels.items():
            counted.setdefault(name, Counter())[value] += 1
    return {name: dict(counts.most_common()) for name, counts in counted.items()}


def _sheet(samples: Sequence[Sample], modalities: Mapping[str, Modality], rows: int) -> Image:
    """Return some samples of a split, evenly spaced, one row each, with a grey tile for a missing input."""
    from PIL import Image as images

    from zoo.reporting.sheets import TILE, sheet

    gap = images.new("RGB", (TILE, TILE), (229, 231, 235))
    count = min(rows, len(samples))
    chosen = [samples[place * len(samples) // count] for place in range(count)]
    drawn = [
        [
            gap if sample.inputs.get(name) is None else modality.draw(sample.inputs[name])
            for name, modality in modalities.items()
        ]
        for sample in chosen
    ]
    return sheet(drawn)
