"""``zoo data``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from zoo.cli.output import note, print_exactly, print_json, print_table
from zoo.verbs.data import HEADER, SPLITS, data

_MOST_VALUES = 12


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
    """Describe the content of a data set, and draw some of its samples.

    The path of the picture is printed last.
    """
    from zoo.samples.missing import LeftOut

    found = data(source, options=options, split=split, rows=rows, out=out)
    if told := str(LeftOut({key: error for gone in found.left_out.values() for key, error in gone.errors.items()})):
        note(told)
    if as_json:
        print_json(found.written())
        return
    print_table(HEADER, found.rows())
    for name, counts in found.labels.items():
        note(f"label {name}: {_written(counts)}")
    note(f"licence: {found.license}")
    print_exactly(found.picture)


def _written(counts: Mapping[str, int]) -> str:
    shown = [f"{value} {count:,}" for value, count in list(counts.items())[:_MOST_VALUES]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more values" if more else "")
