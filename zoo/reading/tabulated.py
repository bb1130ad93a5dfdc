"""Tables of text: CSV and TSV as spreadsheets export them, and JSON lines. Read row by row, so any size is possible.

The first line of a table of cells names its columns. The separator is ``,``, ``;`` or a tab: the one stated by a first
line ``sep=;``, or else the one that fits the first rows. The text is UTF-8, or UTF-16 with a byte order mark.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from zoo.errors import DataError
from zoo.reading.separated import SEPARATORS, Lines, Record, encoding_of, problem_of, records_of, shown

OF_OBJECTS = (".jsonl", ".ndjson")
OF_CELLS = (".csv", ".tsv")


@dataclass(frozen=True)
class TableRow:
    """The values of a row by column, and the line of the file on which it begins, from 1.

    An empty cell is None, and so is null; spaces around a cell are dropped. Cells are texts; JSON values may be others.
    """

    line: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class BadTableRow:
    """A row that cannot be read, the line on which it begins, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Table:
    """A table that can be read repeatedly: ``columns`` are those of the first line, empty for JSON lines.

    ``rows`` skips rows of empty cells. It raises DataError if the rest of the file cannot be divided into rows.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[TableRow | BadTableRow]]

    def __repr__(self) -> str:
        return f"<table {str(self.path)!r}: {', '.join(self.columns) or 'JSON lines'}>"

    def whole(self) -> list[TableRow]:
        """Return all rows.

        Raises DataError, naming the file and the line, for the first row that cannot be read.
        """
        found = []
        for row in self.rows():
            if isinstance(row, BadTableRow):
                raise DataError(f"{self.path}, line {row.line}: {row.reason}")
            found.append(row)
        return found


def open_table(path: Path | str) -> Table:
    """Return the table in ``path``: an object per line if the name ends in ``.jsonl`` or ``.ndjson``, else cells.

    Raises DataError, naming the file and the line, if there is no file, if it is a workbook or empty, or if the first
    line does not name each column once.
    """
    path = Path(path)
    encoding = encoding_of(path)
    if path.suffix.lower() in OF_OBJECTS:
        return Table(path, (), lambda: _object_rows(path, encoding))
    separator, records = records_of(path, encoding)
    header = next(records(), None)
    if header is None:
        raise DataError(f"{path} is empty; its first line names the columns, as in: picture,caption")
    columns, where = header.cells, f"{path}, line {header.line}"
    if header.problem:
        raise DataError(f"{where}: {header.problem}")
    if "" in columns or len(set(columns)) < len(columns):
        raise DataError(
            f"{where}: expected a different name for each column, separated by {shown(separator)}, got "
            f"{', '.join(columns)}"
        )
    return Table(path, tuple(columns), lambda: _cell_rows(islice(records(), 1, None), columns, separator))


def _cell_rows(records: Iterator[Record], columns: Sequence[str], separator: str) -> Iterator[TableRow | BadTableRow]:
    for line, cells, problem in records:
        if problem:
            yield BadTableRow(line, problem)
        elif len(cells) != len(columns):
            yield BadTableRow(line, _of_other_length(cells, columns, separator))
        else:
            yield TableRow(line, {name: cell or None for name, cell in zip(columns, cells, strict=True)})


def _of_other_length(cells: Sequence[str], columns: Sequence[str], separator: str) -> str:
    cure = f"put a cell that holds {shown(separator)} into double quotes"
    for other in SEPARATORS:
        if other != separator and len(separator.join(cells).split(other)) == len(columns):
            cure = f"separate this line as the first one, it is separated by {shown(other)}"
    named = ", ".join(columns)
    return f"expected {len(columns)} cells ({named}) separated by {shown(separator)}, got {len(cells)}; {cure}"


def _object_rows(path: Path, encoding: str) -> Iterator[TableRow | BadTableRow]:
    with Lines(path, encoding) as lines:
        for number, text in enumerate(lines, start=1):
            if problem := problem_of([text]):
                yield BadTableRow(number, problem)
            elif not text.strip():
                yield BadTableRow(number, "the line is empty, expected an object of JSON; remove the line")
            else:
                yield _object_row(number, text)


def _object_row(number: int, text: str) -> TableRow | BadTableRow:
    came = f"{text.strip():.80}"
    try:
        values = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        return BadTableRow(number, f"expected an object of JSON in one line, got {came}: {error}")
    if not isinstance(values, dict):
        return BadTableRow(number, f'expected an object of JSON, as in {{"caption": "a red bike"}}, got {came}')
    return TableRow(number, values)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} comes twice; keep one")
    return values
