"""What commands print: data on stdout, aligned or as JSON; progress and notes on stderr."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from zoo.protocols import Progress

# The rate is that of so many seconds, so that a task that seldom advances has one too.
_PACE_S = 600
# Where data go, the last one first; stdout while there is none.
data: list[TextIO] = []
# What moves the cursor, colours, rings, ends a line or turns the direction of writing; and halves of characters.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: object) -> str:
    """Return a text as it may be shown on a terminal, in one line: control characters as visible escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def paragraph(text: object) -> str:
    """Return a text of any number of lines as one, as it may be shown on a terminal."""
    return plain(" ".join(str(text).split()))


def print_exactly(text: object) -> None:
    """Print a text on stdout as it is, for a program to read: a path, a recipe."""
    click.echo(text, file=data[-1] if data else None)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout: exactly, with control characters escaped as JSON escapes them."""
    import json

    written = json.dumps(value, indent=2, ensure_ascii=False)
    print_exactly(_CONTROL.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", written))


def print_lines(lines: Iterable[object]) -> None:
    """Print lines for a person on stdout."""
    print_exactly("\n".join(map(plain, lines)))


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns on stdout: numbers to the right, all else to the left."""
    numbers = [
        column for column in range(len(header)) if rows and all(isinstance(row[column], int | float) for row in rows)
    ]
    print_lines(aligned([[plain(cell) for cell in row] for row in (header, *rows)], to_the_right=numbers))


def aligned(rows: Sequence[Sequence[str]], *, to_the_right: Sequence[int] = ()) -> list[str]:
    """Return a line a row, the columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (
        (
            cell.rjust(width) if column in to_the_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return ["  ".join(cells).rstrip() for cells in padded]


def note(text: str) -> None:
    """Print a paragraph for a person on stderr."""
    click.echo(paragraph(text), err=True)


@contextmanager
def progress_bar(what: str) -> Iterator[Progress]:
    """Give a function that shows how far a long task is: done, total, a note. Silent without a terminal.

    The bar tells the rate and the time left; colours are left out where NO_COLOR is set.
    """
    if not sys.stderr.isatty():
        yield lambda done, total, text: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(plain(what), markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Bar(*columns, console=Console(stderr=True), speed_estimate_period=_PACE_S) as bar:
        task = bar.add_task("", total=None, rate="")

        def advance(done: int, total: int, text: str) -> None:
            if done < bar.tasks[0].completed:  # another stage of the task, at a pace of its own
                bar.reset(task, total=total)
            bar.update(task, completed=done, total=total, description=plain(text))
            bar.update(task, rate=_rate(bar.tasks[0].speed))

        yield advance


def _rate(done_per_s: float | None) -> str:
    """Return a rate for a person, empty while it is unknown: ``12.3/s``, ``4.0 s each`` where it is slow."""
    if not done_per_s:
        return ""
    return f"{done_per_s:.1f}/s" if done_per_s >= 1 else f"{1 / done_per_s:.1f} s each"
