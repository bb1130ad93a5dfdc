"""Vectors of many rows on the disk: shards of float32 and the keys of their rows, listed in a manifest.

    FOLDER/manifest.json         the source, the model, and the number of rows once complete
    FOLDER/vectors-00000.npy     float32, (row, ...)
    FOLDER/keys-00000.jsonl      one line per row: its number in the source, its name for a person, and the inputs
                                 whose value was truncated, if there are any
    FOLDER/skipped-00000.jsonl   rows that could not be read, if there were any

Beside a single file ``NAME.npy`` there are ``NAME.json``, ``NAME.keys.jsonl`` and possibly ``NAME.skipped.jsonl``.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from zoo.errors import DataError, IntegrityError, NotFoundError, UsageError
from zoo.files.replacing import MANIFEST as MANIFEST, VECTORS, followed
from zoo.files.store import remove_folder, staged_file
from zoo.reading.npy import read_npy
from zoo.recipes.arguments import checked
from zoo.recipes.tables import SCHEMA, json_text, parse_json
from zoo.runtime.sources import BadRow, Row

if TYPE_CHECKING:
    from zoo.protocols import Array

BESIDE = (".json", ".keys.jsonl", ".skipped.jsonl")  # the single file
_KIND = "vectors"


@dataclass(frozen=True)
class Part:
    """One file of vectors, the keys of its rows and those that were skipped, if there are any."""

    vectors: Path
    keys: Path
    skipped: Path

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.array())

    def array(self) -> Array:
        """Return the vectors, mapped from the disk."""
        try:
            return read_npy(self.vectors, mapped=True)
        except DataError as error:
            raise IntegrityError(f"{error}, or embed again") from error


@dataclass(frozen=True)
class Vectors:
    """Vectors of one source, in one file or several."""

    path: Path
    manifest: Mapping[str, Any]
    parts: tuple[Part, ...]

    def __repr__(self) -> str:
        return f"<{self.rows} vectors in {str(self.path)!r}>"

    @classmethod
    @checked
    def open(cls, path: Path | str) -> Vectors:
        """Open the output of ``zoo embed``, or any ``.npy`` with one vector per row.

        Raises NotFoundError if there is nothing of the kind, UsageError if it is incomplete or does not hold vectors.
        """
        path = Path(path)
        if path.is_dir():
            manifest = read_manifest(path / MANIFEST)
            if manifest is None:
                raise NotFoundError(f"{path} holds no vectors: it lacks {MANIFEST}; name what `zoo embed` wrote")
            if "shards" not in manifest:
                raise UsageError(
                    f"{path} is not complete yet; run the same `zoo embed` again, it continues where it stopped"
                )
            found = cls(path, manifest, tuple(part_of(path, number) for number in range(len(manifest["shards"]))))
            for part, rows in zip(found.parts, manifest["shards"], strict=True):
                if part.rows != rows:
                    raise IntegrityError(f"{part.vectors} has {part.rows} rows, expected {rows}; embed again")
            return found
        if not path.is_file():
            raise NotFoundError(f"there is no {path}; name a folder or an .npy that `zoo embed` wrote")
        part = Part(path, beside(path, ".keys.jsonl"), beside(path, ".skipped.jsonl"))
        array = part.array()
        if array.ndim != 2 or array.dtype.kind != "f":
            raise UsageError(
                f"{path}: expected one vector of floats per row, came {array.dtype} of shape {array.shape}"
            )
        return cls(path, read_manifest(beside(path, ".json")) or {}, (part,))

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(part.rows for part in self.parts)

    def keys(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return, for each of ``rows``, its ``number`` and ``value`` in the source, and its ``truncated`` inputs.

        Empty if there are no keys.
        """
        found: dict[int, dict[str, Any]] = {}
        start = 0
        for part in self.parts:
            stop = start + part.rows
            wanted = {row - start for row in rows if start <= row < stop}
            if wanted and part.keys.is_file():
                with part.keys.open(encoding="utf-8") as lines:
                    for place, line in enumerate(islice(lines, max(wanted) + 1)):
                        if place in wanted:
                            where = f"{part.keys}: line {place + 1}"
                            found[start + place] = parse_json(line, where, cure="embed the input again")
            start = stop
        return [found.get(row, {}) for row in rows]

    def truncated(self) -> dict[str, list[int]]:
        """Return, by input, the numbers of the rows whose value was truncated."""
        found: dict[str, list[int]] = {}
        for part in self.parts:
            if part.keys.is_file():
                with part.keys.open(encoding="utf-8") as lines:
                    for line in lines:
                        key = json.loads(line) if '"truncated"' in line else {}
                        for name in key.get("truncated", ()):
                            found.setdefault(name, []).append(key["number"])
        return found


def part_of(folder: Path, number: int) -> Part:
    """Return the files of a shard."""
    return Part(
        folder / f"vectors-{number:05d}.npy",
        folder / f"keys-{number:05d}.jsonl",
        folder / f"skipped-{number:05d}.jsonl",
    )


def beside(path: Path, suffix: str) -> Path:
    """Return the path of a companion of a single file of vectors: beside the file itself, not beside a link to it."""
    return followed(path).with_suffix(suffix)


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest of vectors, None if there is none.

    Raises IntegrityError if it is damaged, UsageError if a newer modalzoo wrote it or it is of another kind.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        schema, kind = manifest["schema"], manifest["kind"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else repr(error)
        raise IntegrityError(f"{path} is not a manifest of vectors: {reason}; name what `zoo embed` wrote") from error
    if kind != _KIND or not isinstance(schema, int) or schema > SCHEMA:
        raise UsageError(
            f"{path} is a {kind!r} of schema {schema}; this modalzoo reads vectors up to {SCHEMA}: upgrade modalzoo"
        )
    return dict(manifest)


def write_manifest(path: Path, content: Mapping[str, Any]) -> None:
    """Write a manifest in one step."""
    with staged_file(path) as staging:
        staging.write_text(json_text({"schema": SCHEMA, "kind": _KIND, **content}, indent=1), encoding="utf-8")


def write_part(
    part: Part, answered: Iterable[tuple[Sequence[Row], Array]], shape: Sequence[int], skipped: Sequence[BadRow]
) -> None:
    """Write a shard while its rows arrive; the vectors get their name last, once everything is complete.

    ``skipped`` is read after the last row.
    """
    rows = 0
    with staged_file(part.vectors) as vectors, staged_file(part.keys) as keys:
        with vectors.open("wb") as stream, keys.open("w", encoding="utf-8") as lines:
            stream.write(_header(rows, shape))
            for known, array in answered:
                stream.write(np.ascontiguousarray(array, "<f4").data)
                lines.writelines(f"{json_text(_key(row))}\n" for row in known)
                rows += len(known)
            stream.seek(0)
            stream.write(
                _header(rows, shape)
            )  # as long as the first header, since NumPy reserves space for any number of rows
        if skipped:
            with staged_file(part.skipped) as staging:
                staging.write_text("".join(f"{json_text(asdict(row))}\n" for row in skipped), encoding="utf-8")


def _key(row: Row) -> dict[str, Any]:
    truncated = {"truncated": list(row.truncated)} if row.truncated else {}
    return {"number": row.number, "value": row.shown, **truncated}


def join(folder: Path, out: Path, shape: Sequence[int]) -> None:
    """Join the shards of ``folder`` into the single file ``out`` with its keys and manifest, and remove the folder.

    Bytes are copied, not mapped: a mapped file would count as memory.
    """
    whole = Vectors.open(folder)
    for pattern, suffix in (("keys", ".keys.jsonl"), ("skipped", ".skipped.jsonl")):
        if files := sorted(folder.glob(f"{pattern}-*.jsonl")):
            with staged_file(beside(out, suffix)) as staging, staging.open("wb") as stream:
                _copy(files, stream)
    write_manifest(beside(out, ".json"), whole.manifest)
    with staged_file(out) as staging, staging.open("wb") as stream:
        stream.write(_header(whole.rows, shape))
        _copy([part.vectors for part in whole.parts], stream, skipped_bytes=len(_header(0, shape)))
    with suppress(UsageError):  # someone keeps other files in it
        remove_folder(folder, VECTORS)


def _copy(files: Iterable[Path], into: BinaryIO, *, skipped_bytes: int = 0) -> None:
    for file in files:
        with file.open("rb") as stream:
            stream.seek(skipped_bytes)
            shutil.copyfileobj(stream, into)


def _header(rows: int, shape: Sequence[int]) -> bytes:
    stream = io.BytesIO()
    described = {"descr": "<f4", "fortran_order": False, "shape": (rows, *shape)}
    np.lib.format.write_array_header_1_0(stream, described)
    return stream.getvalue()
