"""The text of a table as records of cells: its encoding, separator and quotes, with clear errors for faults in them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from zoo.errors import DataError

SEPARATORS = (",", ";", "\t")
_NAMED = {"\t": "a tab"}
_LINES_TRIED = 50
_ENCODINGS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # the first bytes of .xlsx, .ods and .xls files
_DOUBLED = 'write a quote that belongs to the text twice, in a cell between quotes, as in "a 5"" disk"'


class Record(NamedTuple):
    """The first line of a record, counted from 1, its cells, and the fault of its text, empty if it has none."""

    line: int
    cells: list[str]
    problem: str


def records_of(path: Path, encoding: str) -> tuple[str, Callable[[], Iterator[Record]]]:
    """Return the separator of a text of cells, and a function that yields its records, skipping those of empty cells.

    Yielding raises DataError, naming the line, if the rest of the text cannot be divided into records.
    """
    with Lines(path, encoding) as lines:
        first = list(islice(lines, _LINES_TRIED))
    stated = _stated_separator(first[0]) if first else ""
    separator = stated or _fitting_separator(path, first)
    return separator, lambda: _records(path, encoding, separator, skipped_lines=1 if stated else 0)


def encoding_of(path: Path) -> str:
    """Return the encoding of a text by its first bytes.

    Raises DataError if the file cannot be read or is not text.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; put the table there") from error
    if head in _WORKBOOKS:
        raise DataError(f"{path} is a workbook or an archive, expected text; save the sheet as CSV UTF-8")
    return next((encoding for mark, encoding in _ENCODINGS.items() if head.startswith(mark)), "utf-8")


class Lines:
    """The lines of a text file with their ends; bytes that are not UTF-8 are kept for ``problem_of``."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path = path
        kept = "surrogateescape" if encoding.startswith("utf-8") else "strict"
        self._stream = path.open(encoding=encoding, errors=kept, newline="")

    def __enter__(self) -> Iterator[str]:
        return self._read()

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def _read(self) -> Iterator[str]:
        try:
            yield from self._stream
        except UnicodeDecodeError as error:
            raise DataError(f"{self._path}: not UTF-16, though it begins as such; save the file as UTF-8") from error


def _records(path: Path, encoding: str, separator: str, *, skipped_lines: int) -> Iterator[Record]:
    with Lines(path, encoding) as lines:
        held: list[str] = []  # the lines of the current record
        for _ in islice(lines, skipped_lines):
            pass

        def noted() -> Iterator[str]:
            for line in lines:
                held.append(line)
                yield line

        reader = csv.reader(noted(), delimiter=separator, skipinitialspace=True, strict=True)
        while True:
            start = skipped_lines + reader.line_num + 1
            held.clear()
            try:
                cells = [cell.strip() for cell in next(reader)]
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(f"{path}, {_of_quotes(held, start, separator, error)}") from error
            if any(cells):
                yield Record(start, cells, problem_of(held))


def _stated_separator(line: str) -> str:
    """Return the separator that Excel's first line ``sep=;`` states, empty if the line is another."""
    text = line.strip("\r\n").strip('"')
    return text[4:] if text.lower().startswith("sep=") and text[4:] in SEPARATORS else ""


def _fitting_separator(path: Path, lines: Sequence[str]) -> str:
    """Return the separator that divides most of the first rows into as many cells as the header, at least two."""
    preferred = ("\t", *SEPARATORS) if path.suffix.lower() == ".tsv" else SEPARATORS

    def fitting(separator: str) -> int:
        rows = [cells for cells in _told(lines, separator) if any(cells)]
        return sum(len(cells) == len(rows[0]) for cells in rows) if rows and len(rows[0]) > 1 else 0

    return max(preferred, key=fitting)


def _told(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=separator, skipinitialspace=True)
    except csv.Error:
        return  # reported when the rows are read


def _of_quotes(lines: Sequence[str], start: int, separator: str, error: csv.Error) -> str:
    """Return why a record cannot be divided into cells: the line on which its last quote opens, and the fault."""
    opened, closed, rest = _last_quote(lines, separator)
    if closed is None:
        size = f" within {csv.field_size_limit():,} characters" if "limit" in str(error) else ""
        return f"line {start + opened}: a double quote opens here and is never closed{size}; close it, or {_DOUBLED}"
    where = "here" if closed == opened else f"on line {start + closed}"
    return (
        f"line {start + opened}: a double quote opens here and closes {where}, then {rest!r} follows; expected "
        f"{shown(separator)} or the end of the line; {_DOUBLED}"
    )


def _last_quote(lines: Sequence[str], separator: str) -> tuple[int, int | None, str]:
    """Return the line, from 0, on which the last quoted cell opens, the line on which it closes, and the rest."""
    opened, closed, rest = 0, None, ""
    state = "start"  # of a cell; or inside quotes, after them, in a cell without quotes
    for number, line in enumerate(lines):
        position = 0
        while position < len(line):
            character = line[position]
            if state == "quoted":
                if line.startswith('""', position):
                    position += 1
                elif character == '"':
                    state, closed, rest = "closed", number, line[position + 1 :].strip()[:20]
            elif character in (separator, "\r", "\n"):
                state = "start"
            elif state == "start" and character == '"':
                state, opened, closed = "quoted", number, None
            elif state == "closed":
                return opened, closed, rest
            elif character != " ":
                state = "plain"
            position += 1
    return opened, closed, rest


def problem_of(lines: Sequence[str]) -> str:
    """Return what is wrong with the text of a row, empty if nothing is wrong."""
    text = "".join(lines)
    if "\0" in text:
        return "holds a NUL character; delete it, or save the whole file as UTF-8 again"
    if text.isascii():
        return ""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8)"
    return ""


def shown(separator: str) -> str:
    """Return the name of a separator for a message."""
    return _NAMED.get(separator, repr(separator))
