"""Texts for a person: safe for any terminal, and aligned in columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Characters that move the cursor, colour, ring, end a line or change the direction of writing; and lone surrogates.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: object) -> str:
    """Return a text as it may be shown on a terminal, in one line: control characters as visible escapes."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def aligned(rows: Sequence[Sequence[str]], *, to_the_right: Sequence[int] = ()) -> list[str]:
    """Return one line per row, with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (
        (
            cell.rjust(width) if column in to_the_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return ["  ".join(cells).rstrip() for cells in padded]


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a table: columns of numbers to the right, all others to the left."""
    numbers = [
        column for column in range(len(header)) if rows and all(isinstance(row[column], int | float) for row in rows)
    ]
    return aligned([[plain(cell) for cell in row] for row in (header, *rows)], to_the_right=numbers)
