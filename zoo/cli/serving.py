"""The options of every command that runs a bundle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--provider", default="cpu", show_default=True, help="cpu, cuda or tensorrt; never another in silence."
    ),
    click.option("--precision", default="fp32", show_default=True, help="One that the bundle was exported at."),
    click.option("--threads", default=1, show_default=True, type=click.IntRange(1)),
)


def serving_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``provider``, ``precision`` and ``threads``, as ``open_bundle`` takes them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
