"""What every command that runs a bundle takes and tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from zoo.cli.output import note
from zoo.parity.precisions import FULL

_MOST_ROWS_TOLD = 10
_OPTIONS = (
    click.option(
        "--provider", default="cpu", show_default=True, help="cpu, cuda or tensorrt; never another in silence."
    ),
    click.option("--precision", default=FULL, show_default=True, help="One that the bundle was exported at."),
    click.option("--threads", default=1, show_default=True, type=click.IntRange(1)),
)


def serving_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``provider``, ``precision`` and ``threads``, as ``open_bundle`` takes them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def note_truncated(truncated: Mapping[str, Sequence[int]], counts: Mapping[str, int]) -> None:
    """Tell, by input, which of its rows, of ``counts`` in all, were too long to be read whole."""
    for name, rows in truncated.items():
        more = f" and {len(rows) - _MOST_ROWS_TOLD} more" if len(rows) > _MOST_ROWS_TOLD else ""
        note(
            f"{len(rows)} of {counts[name]} values of {name!r} are longer than what the graph reads, their end is left "
            f"out; rows: {', '.join(map(str, rows[:_MOST_ROWS_TOLD]))}{more}"
        )
