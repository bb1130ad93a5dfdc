"""The options of commands that read samples and may leave some out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_STOP, _SKIP = "stop", "skip"


def bad_sample_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``skip_bad_samples``, which is true if samples that cannot be read are left out."""
    return click.option(
        "--on-bad-sample",
        "skip_bad_samples",
        type=click.Choice([_STOP, _SKIP]),
        default=_STOP,
        show_default=True,
        callback=lambda context, option, value: value == _SKIP,
        help="Stop at a sample that cannot be read, or leave it out and say so.",
    )(function)
