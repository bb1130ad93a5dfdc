"""``zoo data``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.output import note, print_exactly, print_json, print_table
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import DataError, UsageError
from zoo.files.places import DRAWING, SOFTWARE, file_place
from zoo.recipes.assignments import read_assignment
from zoo.recipes.spec import Part, Recipe

if TYPE_CHECKING:
    from PIL.Image import Image

    from zoo.protocols import Modality, Sample

SPLITS = ("train", "validation", "test")
_MOST_VALUES = 12
_DATA = "data."


@click.command("data")
@click.argument("source", metavar="DATASET|RECIPE.toml")
@click.option(
    "-o",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set an option of the data set, or a key of the recipe.",
)
@click.option("--split", type=click.Choice(SPLITS), default="train", show_default=True, help="What the picture shows.")
@click.option("--rows", type=click.IntRange(1, 100), default=8, show_default=True, help="Samples in the picture.")
@click.option("--out", type=click.Path(path_type=Path), help="The picture's file.  [default: data/NAME.png]")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def command(source: str, options: tuple[str, ...], split: str, rows: int, out: Path | None, as_json: bool) -> None:
    """Tell what a data set holds, and draw some of its samples.

    The path of the picture is printed last.
    """
    from zoo.discovery.components import make_dataset
    from zoo.samples.missing import LeftOut, WithFiles

    plugins = installed()
    recipe = Recipe.load(Path(source)).with_options(_of_recipe(options)) if source.endswith(".toml") else None
    part = recipe.data if recipe else Part(source, dict(read_assignment(one.removeprefix(_DATA)) for one in options))
    dataset = make_dataset(part, plugins)
    picture = out or Path("data") / f"{part.name}.png"
    if picture.suffix.lower() != ".png":
        raise UsageError(f"--out takes the name of a PNG, such as data/{part.name}.png; got {picture}")
    file_place(picture, DRAWING)
    left_out = {name: LeftOut() for name in SPLITS}
    samples = {name: WithFiles(dataset, left_out[name]).split(name) for name in SPLITS}
    if not samples[split]:
        raise UsageError(f"the split {split!r} of {part.name} is empty; choose another by --split")
    modalities = _modalities(dataset.inputs, recipe, samples["train"], plugins)
    _save(_sheet(samples[split], modalities, rows), picture)
    held = {
        name: {split: sum(sample.inputs.get(name) is not None for sample in found) for split, found in samples.items()}
        for name in dataset.inputs
    }
    sizes = {name: len(found) for name, found in samples.items()}
    labels = _labels([sample for found in samples.values() for sample in found])
    if told := str(LeftOut({key: error for gone in left_out.values() for key, error in gone.errors.items()})):
        note(told)
    if as_json:
        inputs = {name: {"modality": dataset.inputs[name], **counts} for name, counts in held.items()}
        described = {"name": part.name, "license": dataset.license, "samples": sizes, "inputs": inputs}
        print_json(
            {
                **described,
                "labels": labels,
                "left_out": {name: list(gone.errors) for name, gone in left_out.items()},
                "picture": str(picture),
            }
        )
        return
    rows_shown = [(name, dataset.inputs[name], *counts.values()) for name, counts in held.items()]
    print_table(("INPUT", "MODALITY", *map(str.upper, SPLITS)), [*rows_shown, ("samples", "", *sizes.values())])
    for name, counts in labels.items():
        note(f"label {name}: {_written(counts)}")
    note(f"licence: {dataset.license}")
    print_exactly(picture)


def _of_recipe(options: Sequence[str]) -> tuple[str, ...]:
    """Return assignments to keys of a recipe; a key without a table is an option of the data set."""
    tables = {field.name for field in fields(Recipe)}
    return tuple(
        one if one.partition("=")[0].partition(".")[0].strip() in tables else f"{_DATA}{one}" for one in options
    )


def _modalities(
    inputs: Mapping[str, str], recipe: Recipe | None, samples: Sequence[Sample], plugins: Plugins
) -> dict[str, Modality]:
    """Return the modality of each input with the options of the recipe, fitted on what training would be fitted on."""
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
    """Write a drawing as PNG; it says who made it, so that a later one may take its place."""
    from PIL.PngImagePlugin import PngInfo

    from zoo.files.store import staged_file

    said = PngInfo()
    said.add_text("Software", SOFTWARE)
    with staged_file(picture) as staging:
        drawn.save(staging, "PNG", pnginfo=said)


def _labels(samples: Sequence[Sample]) -> dict[str, dict[str, int]]:
    """Return how many samples bear each value of each label, the most frequent first."""
    counted: dict[str, Counter[str]] = {}
    for sample in samples:
        for name, value in sample.labels.items():
            counted.setdefault(name, Counter())[value] += 1
    return {name: dict(counts.most_common()) for name, counts in counted.items()}


def _written(counts: Mapping[str, int]) -> str:
    shown = [f"{value} {count:,}" for value, count in list(counts.items())[:_MOST_VALUES]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more values" if more else "")


def _sheet(samples: Sequence[Sample], modalities: Mapping[str, Modality], rows: int) -> Image:
    """Return some samples of a split, evenly taken, a row each; a grey tile where an input is missing."""
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
