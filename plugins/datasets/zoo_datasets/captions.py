"""Reads a table of captions: a CSV file in UTF-8 whose first line names the columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo import DataError


@dataclass(frozen=True)
class Row:
    """The cells of one row by column, and the line of the file that it ends on."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Captions:
    """A table: where it was read, its columns and its rows, in the file's order."""

    path: Path
    columns: Sequence[str]
    rows: Sequence[Row]


def read_captions(path: Path) -> Captions:
    """Read a table; spaces around a cell do not count, and rows without any content are skipped.

    Raises DataError, naming the file and the line, where there is no file, it is not UTF-8 (with or without a byte
    order mark), or a row does not fit the first line.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                lines.append((reader.line_num, stripped))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: no CSV: {error}; correct that line") from error
    if not lines:
        raise DataError(f"{path} is empty; its first line names the columns, as in: picture,caption")
    line, columns = lines[0]
    if "" in columns or len(set(columns)) < len(columns):
        raise DataError(f"{path}, line {line}: expected a different name for each column, got {', '.join(columns)}")
    for line, cells in lines[1:]:
        if len(cells) != len(columns):
            raise DataError(
                f"{path}, line {line}: expected {len(columns)} cells ({', '.join(columns)}), got {len(cells)}; "
                "put a cell that holds a comma into double quotes"
            )
    return Captions(path, columns, [Row(line, dict(zip(columns, cells, strict=True))) for line, cells in lines[1:]])


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; put the table of captions there") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from error
