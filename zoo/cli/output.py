"""What commands print: data on stdout, aligned or as JSON; progress and notes on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import click

from zoo.cli.typed import as_typed
from zoo.verbs.texts import CONTROL, plain, table

# The streams for data, the last one first; stdout if there is none.
data: list[TextIO] = []


def paragraph(text: object) -> str:
    """Return a text of any number of lines as one line that is safe for a terminal, with options as they are typed."""
    return as_typed(plain(" ".join(str(text).split())))


def print_exactly(text: object) -> None:
    """Print a text on stdout unchanged, for a program to read: a path, a recipe."""
    click.echo(text, file=data[-1] if data else None)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout: exactly, with control characters escaped as JSON escapes them."""
    import json

    written = json.dumps(value, indent=2, ensure_ascii=False)
    print_exactly(CONTROL.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", written))


def print_lines(lines: Iterable[object]) -> None:
    """Print lines for a person on stdout."""
    print_exactly("\n".join(map(plain, lines)))


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns on stdout: numbers to the right, other columns to the left."""
    print_lines(table(header, rows))


def note(text: str) -> None:
    """Print a paragraph for a person on stderr."""
    click.echo(paragraph(text), err=True)
