"""A folder of one's own: pictures or sounds, and a CSV file that says what belongs to each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from zoo import DataError, NotFoundError, Sample
from zoo_datasets.captions import Captions, Row, read_captions

_HOLDS_PATHS = {"picture": "image", "sound": "audio"}
_SPLITS = ("train", "validation", "test")
_LABEL = "label:"


@dataclass(frozen=True)
class Folder:
    """The files of a folder, with the table ``captions`` in it: a CSV file in UTF-8 whose first line names columns.

    ``picture`` and ``sound``, one of which is there, hold paths, relative to the folder. ``split`` is train, validation
    or test. ``class`` and ``label:…`` are labels. Any other column is an input of text, named like the column. An empty
    cell is a missing value.

    Without a column ``split``, eight files of ten train, one validates and one tests: a hash of the name of a row's
    picture, or else of its sound, decides, so a file stays where it is as others come and go, the first and last by
    hash excepted: these always train and test.
    """

    path: str
    captions: str = "captions.csv"

    license = "your own"
    contract_exceptions = MappingProxyType({"check": "it reads a folder that only a user can name"})

    @cached_property
    def inputs(self) -> Mapping[str, str]:
        """The picture, the sound, and an input of text for each further column."""
        columns = (name for name in self._table.columns if name != "split" and not _is_label(name))
        return {name: _HOLDS_PATHS.get(name, "text") for name in columns}

    def split(self, name: str) -> Sequence[Sample]:
        """Return the samples of one split, in the order of the table.

        Raises DataError, naming the file and the line, where the table or a file's path is wrong.
        """
        if name not in _SPLITS:
            raise NotFoundError(f"the data set 'folder' has no split {name!r}; it has {', '.join(_SPLITS)}")
        return [self._sample(row) for row, side in zip(self._table.rows, self._sides, strict=True) if side == name]

    def _sample(self, row: Row) -> Sample:
        inputs = {
            name: (self._path_of(row, name) if name in _HOLDS_PATHS else row.cells[name]) if row.cells[name] else None
            for name in self.inputs
        }
        labels = {name.removeprefix(_LABEL): cell for name, cell in row.cells.items() if _is_label(name) and cell}
        return Sample(f"{self.captions}:{row.line}", inputs, labels)

    def _path_of(self, row: Row, name: str) -> str:
        path = (self._folder / row.cells[name]).resolve()
        if not path.is_relative_to(self._folder):
            raise DataError(f"{self._at(row)}: {row.cells[name]!r} leads out of {self._folder}; copy the file into it")
        if not path.is_file():
            raise DataError(f"{self._at(row)}: there is no file {path}; correct the path, relative to {self._folder}")
        return str(path)

    @cached_property
    def _sides(self) -> Sequence[str]:
        if "split" not in self._table.columns:
            return _by_hash([_first_path(row) or repr(sorted(row.cells.items())) for row in self._table.rows])
        for row in self._table.rows:
            if row.cells["split"] not in _SPLITS:
                raise DataError(
                    f"{self._at(row)}: the column 'split' holds {', '.join(_SPLITS)}, got {row.cells['split']!r}"
                )
        return [row.cells["split"] for row in self._table.rows]

    def _at(self, row: Row) -> str:
        return f"{self._table.path}, line {row.line}"

    @cached_property
    def _folder(self) -> Path:
        return Path(self.path).expanduser().resolve()

    @cached_property
    def _table(self) -> Captions:
        table = read_captions(self._folder / self.captions)
        if not _HOLDS_PATHS.keys() & set(table.columns):
            raise DataError(
                f"{table.path}, line 1: there is no column 'picture' or 'sound', only {', '.join(table.columns)}; add "
                "one that holds the paths of the files, relative to the folder"
            )
        return table


def _is_label(column: str) -> bool:
    return column == "class" or column.startswith(_LABEL)


def _first_path(row: Row) -> str:
    return next((row.cells[name] for name in _HOLDS_PATHS if row.cells.get(name)), "")


def _by_hash(names: Sequence[str]) -> list[str]:
    """Return the split of each name; equal names share one."""
    places = {name: int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64 for name in names}
    first, last = min(places.values(), default=0), max(places.values(), default=0)

    def side(place: float) -> str:
        if (place < 0.8 and place != last) or place == first:
            return "train"
        return "test" if place >= 0.9 or place == last else "validation"

    return [side(places[name]) for name in names]
