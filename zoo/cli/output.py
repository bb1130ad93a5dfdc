"""What commands print: data on stdout, aligned or as JSON; progress and notes on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import click


class Advance(Protocol):
    """Shows how far a long task is."""

    def __call__(self, done: int, total: int, text: str) -> None:
        """Show ``done`` of ``total`` and a note."""


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns on stdout: numbers to the right, all else to the left."""
    lines = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [bool(rows) and all(isinstance(row[column], int | float) for row in rows) for column in range(len(header))]
    padded = (
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )
    click.echo("\n".join(padded))


def note(text: str) -> None:
    """Print a line for a person on stderr."""
    click.echo(text, err=True)


def size(size_bytes: int) -> str:
    """Return a size for a person: ``1.4 MB``."""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"


@contextmanager
def progress_bar(what: str) -> Iterator[Advance]:
    """Give a function that shows how far a long task is: done, total, a note. Silent without a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total, text: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def advance(done: int, total: int, text: str) -> None:
            bar.update(task, completed=done, total=total, description=text)

        yield advance
