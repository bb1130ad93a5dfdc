"""The options and messages of commands that run a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from zoo.cli.output import note
from zoo.parity.precisions import FULL

_MOST_ROWS_TOLD = 10
_OPTIONS = (
    click.option(
        "--provider", default="cpu", show_default=True, help="cpu, cuda or tensorrt; no silent fall-back to another."
    ),
    click.option("--precision", default=FULL, show_default=True, help="A precision that the bundle was exported in."),
    click.option("--threads", default=1, show_default=True, type=click.IntRange(1)),
)


def serving_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``provider``, ``precision`` and ``threads``, as in ``open_bundle``."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def note_truncated(truncated: Mapping[str, Sequence[int]], counts: Mapping[str, int]) -> None:
    """Report, by input, which of its rows were truncated, of ``counts`` in all."""
    for name, rows in truncated.items():
        more = f" and {len(rows) - _MOST_ROWS_TOLD} more" if len(rows) > _MOST_ROWS_TOLD else ""
        note(
            f"{len(rows)} of {counts[name]} values of {name!r} are truncated, since the graph reads only their "
            f"beginning; rows: {', '.join(map(str, rows[:_MOST_ROWS_TOLD]))}{more}"
        )
