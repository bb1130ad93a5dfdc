"""Rows of raw values to embed: lines of a text, rows of a table, objects of JSON lines, files of a folder.

Only the current row is held in memory (for a folder, the names), so any number of rows is possible.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import NotFoundError, UsageError
from zoo.reading.kinds import KINDS, check_is_text
from zoo.reading.lists import listed
from zoo.reading.tabulated import OF_CELLS, OF_OBJECTS, BadTableRow, open_table

_CHUNK_BYTES = 1 << 20
_LONGEST_PATH = 4096
_MOST_TOLD = 8


@dataclass(frozen=True)
class Row:
    """The raw values of one row by input, its number from 1, and the name by which a person knows it.

    ``truncated`` are the inputs whose value was truncated.
    """

    number: int
    shown: str
    values: Mapping[str, Any]
    truncated: tuple[str, ...] = ()


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read, and why."""

    number: int
    reason: str


@dataclass(frozen=True)
class Source:
    """Rows that can be read again, their number, and a fingerprint that changes if the source does.

    ``left_out`` are the files of a folder that are of another kind.
    """

    path: Path
    count: int
    fingerprint: Mapping[str, str | int]
    rows: Callable[[], Iterator[Row | BadRow]]
    left_out: tuple[str, ...] = ()

    def named(self, number: int) -> str:
        """Return the name of a row in messages."""
        return f"{self.path}, {'file' if self.path.is_dir() else 'line'} {number}"


def open_source(
    path: Path | str, inputs: Sequence[str], *, name: str = "", suffixes: Mapping[str, frozenset[str]] | None = None
) -> Source:
    """Return the rows of ``path``; its name decides its kind, and its content must agree.

    A folder has a file per row, ``.csv`` and ``.tsv`` a table whose columns are named after the inputs, ``.jsonl`` and
    ``.ndjson`` an object per line, ``.txt`` or a name without a suffix a value per line, in UTF-8. ``inputs`` are those
    of the graph; ``name`` says to which of them a line or a file belongs, if there are several.

    ``suffixes`` are the suffixes of files that an input reads, if these are known: other files of a folder are left
    out. A value that names a file is searched beside the source, then from the working folder.

    Raises NotFoundError if nothing is there; UsageError if it is empty or of another kind, if no column has an input's
    name, or if ``name`` is wrong or missing; DataError if a table cannot be divided into rows.
    """
    path, suffixes = Path(path), suffixes or {}
    listed(inputs, "inputs of the graph")
    if name and name not in inputs:
        raise UsageError(f"the graph has no input {name!r}; it takes {', '.join(inputs)}")
    placed = _Placed(path.parent, suffixes)
    if path.is_dir():
        single = _single(inputs, name)
        source = _of_folder(path, single, suffixes.get(single, frozenset()))
    elif not path.exists():
        raise NotFoundError(f"there is no {path}; expected {KINDS}")
    elif not path.is_file():
        raise UsageError(f"{path} is neither a file nor a folder, and cannot be read twice; expected {KINDS}")
    elif path.suffix.lower() in OF_CELLS:
        source = _of_table(path, (name,) if name else tuple(inputs), placed)
    elif path.suffix.lower() in OF_OBJECTS:
        source = _of_lines(path, lambda number, text: _object_row(number, text, inputs, placed))
    else:
        single = _single(inputs, name)
        check_is_text(path, inputs)
        source = _of_lines(path, lambda number, text: Row(number, text, placed({single: text})))
    if source.count == 0:
        raise UsageError(f"{path} is empty; expected at least one row")
    return source


@dataclass(frozen=True)
class _Placed:
    """Replaces a value that names a file in ``folder`` by its path, for the inputs that read files.

    A value with a suffix that the input reads is replaced even if the file is missing: messages then name that path.
    """

    folder: Path
    suffixes: Mapping[str, frozenset[str]]

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._placed(value, self.suffixes.get(name, frozenset())) for name, value in values.items()}

    def _placed(self, value: Any, ends: frozenset[str]) -> Any:
        if not ends or not isinstance(value, str) or not value or "\0" in value or len(value) > _LONGEST_PATH:
            return value
        file = self.folder / value
        is_gone = file.suffix.lower() in ends and not os.path.isfile(value)
        return str(file) if is_gone or os.path.isfile(file) else value


def _single(inputs: Sequence[str], name: str) -> str:
    if not name and len(inputs) > 1:
        raise UsageError(
            f"the graph takes {', '.join(inputs)}: name by `name` the one that the rows belong to, or give a .csv with "
            "a column of each or a .jsonl with an object per line"
        )
    return name or inputs[0]


def _of_folder(path: Path, name: str, suffixes: frozenset[str]) -> Source:
    found = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    files = [file for file in found if not suffixes or file.suffix.lower() in suffixes]
    left_out = tuple(str(file.relative_to(path)) for file in found if suffixes and file.suffix.lower() not in suffixes)
    if left_out and not files:
        raise UsageError(
            f"{path} holds no file that {name!r} reads, whose names end in {', '.join(sorted(suffixes))}; "
            f"it holds {', '.join(left_out[:_MOST_TOLD])}{' and more' if len(left_out) > _MOST_TOLD else ''}"
        )
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        digest.update(f"{file.relative_to(path)} {status.st_size} {status.st_mtime_ns}\n".encode(errors="replace"))

    def rows() -> Iterator[Row | BadRow]:
        for number, file in enumerate(files, start=1):
            yield Row(number, str(file.relative_to(path)), {name: str(file)})

    return Source(path, len(files), {"files": len(files), "sha256": digest.hexdigest()}, rows, left_out)


def _of_table(path: Path, wanted: Sequence[str], placed: _Placed) -> Source:
    table = open_table(path)
    names = [name for name in wanted if name in table.columns]
    if not names:
        raise UsageError(
            f"{path} has the columns {', '.join(table.columns)}, but none with the name of an input; call the "
            f"column that holds the values {' or '.join(map(repr, wanted))} in the first line"
        )

    def rows() -> Iterator[Row | BadRow]:
        for row in table.rows():
            if isinstance(row, BadTableRow):
                yield BadRow(row.line, row.reason)
                continue
            values = {name: row.values[name] for name in names}
            if all(value is None for value in values.values()):
                yield BadRow(row.line, f"expected a value of {' or '.join(map(repr, names))}, came none")
            else:
                shown = str(values[names[0]]) if len(names) == 1 else json.dumps(values, ensure_ascii=False)
                yield Row(row.line, shown, placed(values))

    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    count = sum(1 for _ in table.rows())
    return Source(path, count, {"bytes": path.stat().st_size, "sha256": digest}, rows)


def _of_lines(path: Path, read: Callable[[int, str], Row | BadRow]) -> Source:
    size_bytes, lines, last = 0, 0, b""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            size_bytes, lines, last = size_bytes + len(chunk), lines + chunk.count(b"\n"), chunk[-1:]

    def rows() -> Iterator[Row | BadRow]:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    yield BadRow(number, f"expected UTF-8: {error}")
                else:
                    yield read(number, text.rstrip("\r\n"))

    return Source(path, lines + (last not in (b"", b"\n")), {"bytes": size_bytes, "sha256": digest.hexdigest()}, rows)


def _object_row(number: int, text: str, inputs: Sequence[str], placed: _Placed) -> Row | BadRow:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        return BadRow(number, f"expected an object of JSON: {error}")
    if not isinstance(values, dict) or not set(values) <= set(inputs):
        return BadRow(number, f"expected an object with {', '.join(map(repr, inputs))}, came {text:.80}")
    if all(value is None for value in values.values()):
        return BadRow(number, f"expected a value of {' or '.join(map(repr, inputs))}, came none")
    return Row(number, text, placed(values))
