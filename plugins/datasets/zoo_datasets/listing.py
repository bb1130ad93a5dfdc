"""The samples of a folder: the rows of a table in it or, without a table, its pictures and sounds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo import DataError, TableRow, open_table

PICTURES, SOUNDS = "picture", "sound"
SUFFIXES: Mapping[str, Sequence[str]] = {
    PICTURES: (
        *(".apng", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff"),
        ".webp",
    ),
    SOUNDS: (
        *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd"),
        *(".w64", ".wav"),
    ),
}
TABLE = "captions.csv"
_TABLES = frozenset([".csv", ".tsv", ".jsonl", ".ndjson"])


@dataclass(frozen=True)
class Row:
    """A sample's key, its place for messages, and its cells by column; an empty cell is None."""

    key: str
    where: str
    cells: Mapping[str, str | None]


@dataclass(frozen=True)
class Listing:
    """The columns and rows of a folder, in their order."""

    columns: Sequence[str]
    rows: Sequence[Row]

    def kind(self, column: str) -> str:
        """Return the kind of a column by its name and content: PICTURES, SOUNDS, or nothing for texts.

        It holds files of a kind if most of its cells have such a suffix.
        """
        if column in SUFFIXES:
            return column
        endings = [_ending(cell) for row in self.rows if (cell := row.cells.get(column))]
        return next(
            (kind for kind, known in SUFFIXES.items() if 2 * sum(e in known for e in endings) > len(endings)), ""
        )


def listed(folder: Path, table: str) -> Listing:
    """Return what the table named ``table`` lists; without a name that of ``captions.csv``, or else the files.

    Raises DataError, naming the file and the line, if there is no such folder, if it is empty, or if the table is
    wrong.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; name the one that holds your files by data.path")
    if table or (folder / TABLE).is_file():
        return _of_table(folder / (table or TABLE))
    others = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _TABLES)
    if others:
        raise DataError(
            f"{folder} holds no {TABLE}, but {', '.join(others)}; name the table, as in data.captions={others[0]!r}, "
            "or move it away to read only the files"
        )
    return _of_files(folder)


def _of_table(path: Path) -> Listing:
    table = open_table(path)
    rows = [_row(path, row) for row in table.whole()]
    columns = table.columns or tuple(dict.fromkeys(name for row in rows for name in row.cells))
    return Listing(columns, rows)


def _row(path: Path, row: TableRow) -> Row:
    where = f"{path}, line {row.line}"
    for name, value in row.values.items():
        if value is not None and not isinstance(value, str):
            raise DataError(f"{where}: expected a text or null as {name!r}, got {value!r}; put it into double quotes")
    return Row(f"{path.name}:{row.line}", where, row.values)


def _of_files(folder: Path) -> Listing:
    """Return one row per picture and sound; a picture and a sound whose names differ only by the suffix share one."""
    kinds = {ending: kind for kind, endings in SUFFIXES.items() for ending in endings}
    rows: dict[str, dict[str, str | None]] = {}
    for name in sorted(_files(folder)):
        stem, ending = os.path.splitext(name)
        if kind := kinds.get(ending.lower()):
            taken = kind in rows.get(stem, {})
            rows.setdefault(name if taken else stem, {})[kind] = name
    if not rows:
        raise DataError(f"{folder} holds no table {TABLE}, no picture and no sound; put some there")
    columns = [kind for kind in SUFFIXES if any(kind in cells for cells in rows.values())]
    return Listing(columns, [Row(_first(cells), _first(cells), cells) for cells in rows.values()])


def _first(cells: Mapping[str, str | None]) -> str:
    return next(cell for kind in SUFFIXES if (cell := cells.get(kind)))


def _files(folder: Path) -> Iterator[str]:
    """Yield the names of all files below a folder, relative to it, except hidden ones."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        within = Path(parent).relative_to(folder).as_posix()
        yield from (name if within == "." else f"{within}/{name}" for name in names if not name.startswith("."))


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()
