"""Vectors of many rows on the disk: shards of float32 and the keys of their rows, bound by a manifest.

    FOLDER/manifest.json         what was embedded by what, and how many rows there are once it is whole
    FOLDER/vectors-00000.npy     float32, (row, ...)
    FOLDER/keys-00000.jsonl      a line a row: its number in the source, what a person knows it by, and
                                 the inputs whose value was truncated, if there are any
    FOLDER/skipped-00000.jsonl   rows that could not be read, where there were any

The single file ``NAME.npy`` has ``NAME.json``, ``NAME.keys.jsonl`` and perhaps ``NAME.skipped.jsonl`` beside it.
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

    @classmethod
    def open(cls, path: Path) -> Vectors:
        """Open what ``zoo embed`` wrote, or any ``.npy`` of a vector a row.

        Raises NotFoundError where there is nothing of the kind, UsageError where it is not whole yet or no vectors.
        """
        if path.is_dir():
            manifest = read_manifest(path / MANIFEST)
            if manifest is None:
                raise NotFoundError(f"{path} holds no vectors: it lacks {MANIFEST}; name what `zoo embed` wrote")
            if "shards" not in manifest:
                raise UsageError(
                    f"{path} is not whole yet; run the same `zoo embed` again, it goes on where it stopped"
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
            raise UsageError(f"{path}: expected a vector of floats a row, came {array.dtype} of shape {array.shape}")
        return cls(path, read_manifest(beside(path, ".json")) or {}, (part,))

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(part.rows for part in self.parts)

    def keys(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return what each of ``rows`` was in the source: ``number``, ``value``, the inputs that were ``truncated``.

        Empty where no keys are there.
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
        """Return, by input, the numbers of the rows whose value was longer than what the graph reads."""
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
    """Return where a shard lies."""
    return Part(
        folder / f"vectors-{number:05d}.npy",
        folder / f"keys-{number:05d}.jsonl",
        folder / f"skipped-{number:05d}.jsonl",
    )


def beside(path: Path, suffix: str) -> Path:
    """Return what belongs to a single file of vectors: it stands beside the file itself, not beside a link to it."""
    return followed(path).with_suffix(suffix)


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest of vectors, None where there is none.

    Raises IntegrityError where it is damaged, UsageError where a newer modalzoo wrote it or it is of another kind.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        schema, kind = manifest["schema"], manifest["kind"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{path} is no manifest of vectors ({error!r}); name what `zoo embed` wrote") from error
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
    """Write a shard as its rows come; the vectors have their name last, once all is whole.

    ``skipped`` is read when the last row has come.
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
            stream.write(_header(rows, shape))  # as long as the first one: NumPy leaves room for any number of rows
        if skipped:
            with staged_file(part.skipped) as staging:
                staging.write_text("".join(f"{json_text(asdict(row))}\n" for row in skipped), encoding="utf-8")


def _key(row: Row) -> dict[str, Any]:
    truncated = {"truncated": list(row.truncated)} if row.truncated else {}
    return {"number": row.number, "value": row.shown, **truncated}


def join(folder: Path, out: Path, shape: Sequence[int]) -> None:
    """Write the shards of ``folder`` as the single file ``out`` with its keys and manifest, and remove the folder.

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
    with suppress(UsageError):  # somebody keeps files in it
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
