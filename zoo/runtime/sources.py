"""Rows of raw values to be embedded: the lines of a text, objects of JSON lines, or the files of a folder.

Nothing is held but the row at hand (of a folder, the names), so that any number of rows goes through.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import NotFoundError, UsageError
from zoo.lists import listed

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Row:
    """The raw values of one row by input, its number from 1, and what a person knows it by."""

    number: int
    shown: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read, and why."""

    number: int
    reason: str


@dataclass(frozen=True)
class Source:
    """Rows that can be read again: how many there are, and what tells a changed source from the same."""

    path: Path
    count: int
    fingerprint: Mapping[str, str | int]
    rows: Callable[[], Iterator[Row | BadRow]]

    def named(self, number: int) -> str:
        """Return what a message calls a row."""
        return f"{self.path}, {'file' if self.path.is_dir() else 'line'} {number}"


def open_source(path: Path, inputs: Sequence[str], *, name: str = "") -> Source:
    """Return the rows of ``path``: a folder (a file a row), ``.jsonl`` (an object a line) or a text (a value a line).

    ``inputs`` are those that the graph takes; ``name`` says which one a line or a file is, where there are several.
    A text is UTF-8; what a line says is the value: words, or the path of a picture or a sound.

    Raises NotFoundError where nothing is there, UsageError where it is empty or ``name`` is wrong or missing.
    """
    listed(inputs, "inputs of the graph")
    if name and name not in inputs:
        raise UsageError(f"the graph has no input {name!r}; it takes {', '.join(inputs)}")
    if path.is_dir():
        source = _of_folder(path, _single(inputs, name))
    elif not path.is_file():
        raise NotFoundError(f"there is no {path}; expected a text file, a .jsonl file or a folder of files")
    elif path.suffix == ".jsonl":
        source = _of_lines(path, lambda number, text: _object_row(number, text, inputs))
    else:
        single = _single(inputs, name)
        source = _of_lines(path, lambda number, text: Row(number, text, {single: text}))
    if source.count == 0:
        raise UsageError(f"{path} is empty; expected at least one row")
    return source


def _single(inputs: Sequence[str], name: str) -> str:
    if not name and len(inputs) > 1:
        raise UsageError(
            f"the graph takes {', '.join(inputs)}: say by --name which one the rows are, or give a .jsonl file with an "
            "object a line"
        )
    return name or inputs[0]


def _of_folder(path: Path, name: str) -> Source:
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        digest.update(f"{file.relative_to(path)} {status.st_size} {status.st_mtime_ns}\n".encode(errors="replace"))

    def rows() -> Iterator[Row | BadRow]:
        for number, file in enumerate(files, start=1):
            yield Row(number, str(file.relative_to(path)), {name: str(file)})

    return Source(path, len(files), {"files": len(files), "sha256": digest.hexdigest()}, rows)


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


def _object_row(number: int, text: str, inputs: Sequence[str]) -> Row | BadRow:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        return BadRow(number, f"expected an object of JSON: {error}")
    if not isinstance(values, dict) or not set(values) <= set(inputs):
        return BadRow(number, f"expected an object with {', '.join(map(repr, inputs))}, came {text:.80}")
    if all(value is None for value in values.values()):
        return BadRow(number, f"expected a value of {' or '.join(map(repr, inputs))}, came none")
    return Row(number, text, values)
