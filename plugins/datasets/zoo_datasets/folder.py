"""Your own folder of pictures, sounds or texts, with a table of what belongs together."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from zoo import DataError, NotFoundError, Sample, SpecError
from zoo_datasets.listing import PICTURES, SOUNDS, Listing, Row, listed

_MODALITIES = {PICTURES: "image", SOUNDS: "audio", "": "text"}
_SPLITS = ("train", "validation", "test")
_LABEL = "label:"
_SHOWN = 10


@dataclass(frozen=True)
class Folder:
    """The files of a folder, by the table ``captions`` in it: CSV, TSV or JSON lines, as spreadsheets export them.

    ``split`` is train, validation or test; ``class`` and ``label:…`` are labels; any other column is an input, named
    like the column. ``picture`` and ``sound`` hold paths, relative to the folder, and so does a column if most of its
    cells have the suffix of a picture or sound file; ``pictures``, ``sounds`` and ``texts`` name columns for which this
    guess is wrong. An empty cell is a missing value. Files must lie in the folder, unless ``outside`` is true: neither
    an absolute path nor a symbolic link leads out.

    Without ``captions`` it is ``captions.csv``. If there is none, each picture and each sound is a sample, or a picture
    and a sound together if their names differ only by the suffix.

    Without a column ``split``, 80 % of the files are for training, 10 % for validation and 10 % for tests. A hash of
    the name of a row's picture, or else of its sound, decides, so a file keeps its split if others are added or
    removed. There is one exception: the first and last file by hash always train and test. For a row of only texts, the
    hash is that of all its cells.
    """

    path: str
    captions: str = ""
    pictures: tuple[str, ...] = ()
    sounds: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    outside: bool = False

    license = "your own"
    contract_exceptions = MappingProxyType({"check": "it reads a folder that only a user can name"})

    @cached_property
    def inputs(self) -> Mapping[str, str]:
        """The modality of each column that is neither a split nor a label.

        Raises DataError if the table is wrong, SpecError if a column that an option names is missing.
        """
        return {name: _MODALITIES[kind] for name, kind in self._kinds.items()}

    def split(self, name: str) -> Sequence[Sample]:
        """Return the samples of one split, in the order of the table; files are values of the kind Path.

        Missing files are noticed when they are read. Raises DataError, naming the file and the line, if the table is
        wrong or a path leads out of the folder.
        """
        if name not in _SPLITS:
            raise NotFoundError(f"the data set 'folder' has no split {name!r}; it has {', '.join(_SPLITS)}")
        return [sample for sample, side in zip(self._samples, self._sides, strict=True) if side == name]

    @cached_property
    def _samples(self) -> Sequence[Sample]:
        outside: list[str] = []
        samples = [self._sample(row, outside) for row in self._listing.rows]
        if outside:
            raise DataError(
                f"{_some(outside)}; copy what lies outside of {self._folder} into it, or set data.outside=true to read "
                "it from there"
            )
        return samples

    def _sample(self, row: Row, outside: list[str]) -> Sample:
        inputs: dict[str, str | Path | None] = {}
        for name, kind in self._kinds.items():
            cell = row.cells.get(name)
            inputs[name] = self._path_of(row, cell, outside) if cell and kind else cell
        labels = {name.removeprefix(_LABEL): cell for name, cell in row.cells.items() if _is_label(name) and cell}
        return Sample(row.key, inputs, labels)

    def _path_of(self, row: Row, cell: str, outside: list[str]) -> Path:
        parent, name = os.path.split(os.path.join(self._folder, cell))
        path = os.path.join(self._real(parent), name)
        is_link = os.path.islink(path)
        if is_link or name in ("", ".", ".."):
            path = os.path.realpath(path)
        if not (self.outside or path.startswith(os.path.join(self._folder, ""))):
            why = f"is a symbolic link to {path}" if is_link else f"leads out of {self._folder}"
            outside.append(f"{row.where}: {cell!r} {why}")
        return Path(path)

    @cached_property
    def _kinds(self) -> Mapping[str, str]:
        columns = [name for name in self._listing.columns if name != "split" and not _is_label(name)]
        told: dict[str, str] = {}
        for option, kind in (("pictures", PICTURES), ("sounds", SOUNDS), ("texts", "")):
            for name in getattr(self, option):
                if name not in columns or name in told:
                    raise SpecError(
                        f"the data set 'folder': {option} names columns, each once; available: {', '.join(columns)}, "
                        f"got {name!r}"
                    )
                told[name] = kind
        return {name: told[name] if name in told else self._listing.kind(name) for name in columns}

    @cached_property
    def _sides(self) -> Sequence[str]:
        rows = self._listing.rows
        if "split" not in self._listing.columns:
            return _by_hash([self._first_path(row) or _content(row) for row in rows])
        for row in rows:
            if row.cells.get("split") not in _SPLITS:
                raise DataError(
                    f"{row.where}: the column 'split' holds {', '.join(_SPLITS)}, got {row.cells.get('split') or ''!r}"
                )
        return [row.cells["split"] or "" for row in rows]

    def _first_path(self, row: Row) -> str:
        columns = sorted((name for name, kind in self._kinds.items() if kind), key=lambda name: name != PICTURES)
        return next((cell for name in columns if (cell := row.cells.get(name))), "")

    @cached_property
    def _real(self) -> Callable[[str], str]:
        return functools.cache(os.path.realpath)

    @cached_property
    def _folder(self) -> Path:
        return Path(self.path).expanduser().resolve()

    @cached_property
    def _listing(self) -> Listing:
        return listed(self._folder, self.captions)


def _some(problems: Sequence[str]) -> str:
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return "; ".join(problems[:_SHOWN]) + more


def _is_label(column: str) -> bool:
    return column == "class" or column.startswith(_LABEL)


def _content(row: Row) -> str:
    return repr(sorted((name, cell or "") for name, cell in row.cells.items()))


def _by_hash(names: Sequence[str]) -> list[str]:
    """Return the split of each name; equal names share one."""
    digests = {name: hashlib.sha256(name.encode(errors="surrogatepass")).digest() for name in names}
    places = {name: int.from_bytes(digest[:8], "big") / 2**64 for name, digest in digests.items()}
    first, last = min(places.values(), default=0), max(places.values(), default=0)

    def side(place: float) -> str:
        if (place < 0.8 and place != last) or place == first:
            return "train"
        return "test" if place >= 0.9 or place == last else "validation"

    return [side(places[name]) for name in names]
