"""Embeds any number of rows in shards. A shard is complete or missing, so a second run continues an interrupted one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from zoo.errors import DataError, IntegrityError, UsageError
from zoo.files.exclusive import sole_writer
from zoo.files.replacing import VECTORS, VECTORS_FILE, file_place, fillable
from zoo.runtime.batching import BATCH_ROWS
from zoo.runtime.bundle import Bundle
from zoo.runtime.ends import output_of
from zoo.runtime.reading_ahead import one_ahead
from zoo.runtime.sources import BadRow, Row, Source
from zoo.runtime.vectors import (
    BESIDE,
    MANIFEST,
    Vectors,
    beside,
    join,
    part_of,
    read_manifest,
    write_manifest,
    write_part,
)

if TYPE_CHECKING:
    from zoo.protocols import Array

SHARD_ROWS = 65_536
_WINDOW_ROWS = 2048
_WINDOW_BYTES = 32 << 20


@dataclass(frozen=True)
class Embedded:
    """The result of a run on the disk: vectors, skipped rows, rows done before. Its ``path`` may be passed as a path.

    Of ``count`` rows in all, ``rows`` have a vector; ``skipped_in`` lists the skipped ones. ``truncated`` has, by
    input, the numbers of the rows whose value was truncated. ``left_out`` are files of another kind in a folder.
    """

    path: Path
    rows: int
    skipped: int
    skipped_in: Path
    before: int
    truncated: Mapping[str, Sequence[int]]
    count: int
    left_out: tuple[str, ...] = ()

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        skipped = f", {self.skipped} rows skipped, see {str(self.skipped_in)!r}" if self.skipped else ""
        return f"<{self.rows} vectors in {str(self.path)!r}{skipped}>"


def embed(
    bundle: Bundle,
    graph: str,
    source: Source,
    out: Path,
    *,
    output: str = "",
    shard_rows: int = SHARD_ROWS,
    batch_rows: int = BATCH_ROWS,
    skips_bad: bool = False,
    observe: Callable[[int], None] | None = None,
) -> Embedded:
    """Write one vector per row of ``source`` to ``out``: a folder of shards, or a single file if it ends in ``.npy``.

    Shards of an earlier run are kept. ``observe`` is called with the number of finished rows.

    Raises DataError, naming the line, if a row cannot be read and ``skips_bad`` is false; IntegrityError if ``out``
    holds vectors of another bundle or source; UsageError if it was begun with other settings, if it holds something
    else, or if another process is writing to it.
    """
    for name, number in (("shard_rows", shard_rows), ("batch_rows", batch_rows)):
        if number < 1:
            raise UsageError(f"{name} is at least 1, got {number}")
    output = output_of(bundle, graph, output)
    shape = [size for size in bundle.described(graph).outputs[output].axes[1:] if isinstance(size, int)]
    task = {
        "bundle": bundle.manifest.sha256,
        "checkpoint": bundle.manifest.checkpoint_sha256,
        "graph": graph,
        "output": output,
        "precision": bundle.precision,
        "shape": shape,
        "source": {"name": source.path.name, "rows": source.count, **source.fingerprint},
        "shard_rows": shard_rows,
    }
    if source.path.is_dir():
        _check_reads_files(bundle, graph, source)
    single = out.suffix == ".npy"
    folder = out.with_name(f"{out.name}.parts") if single else out
    begun, before = _begun_same(out, folder, task), source.count
    if begun is None or "shards" not in begun or (single and not out.exists()):
        numbers = range(-(-source.count // shard_rows))
        with sole_writer(folder, VECTORS.command):
            begun = _begun_same(out, folder, task)  # another process may have ended since
            if begun is None or "shards" not in begun:
                there = sum(part_of(folder, number).vectors.exists() for number in numbers)
                before = min(source.count, shard_rows * there)
                write_manifest(folder / MANIFEST, task)
                reader = _Reader(bundle, graph, output, source, folder, batch_rows, skips_bad, observe)
                _write_missing(folder, numbers, shape, shard_rows, reader)
                shards = [part_of(folder, number).rows for number in numbers]
                begun = {**task, "shards": shards, "skipped": source.count - sum(shards)}
                write_manifest(folder / MANIFEST, begun)
            if single and not out.exists():
                join(folder, out, shape)
    skipped_in = beside(out, ".skipped.jsonl") if single else out / "skipped-*.jsonl"
    truncated = Vectors.open(out).truncated()
    rows, skipped = sum(begun["shards"]), begun["skipped"]
    return Embedded(out, rows, skipped, skipped_in, before, truncated, source.count, source.left_out)


class _Reader:
    """Reads rows in turn and embeds them; unreadable rows are collected, or end the run."""

    def __init__(
        self,
        bundle: Bundle,
        graph: str,
        output: str,
        source: Source,
        folder: Path,
        batch_rows: int,
        skips_bad: bool,
        observe: Callable[[int], None] | None,
    ) -> None:
        self._bundle, self._graph, self._output = bundle, graph, output
        bundle.graph(graph)  # loaded here, not by two threads at once
        self._source, self._rows, self._folder = source, source.rows(), folder
        self._batch_rows = batch_rows
        self._skips_bad, self._observe = skips_bad, observe
        self.done = 0
        self.skipped: list[BadRow] = []

    def pass_over(self, rows: int) -> None:
        """Skip rows that were embedded before."""
        self.done += sum(1 for _ in islice(self._rows, rows))

    def answers(self, rows: int) -> Iterator[tuple[Sequence[Row], Array]]:
        """Embed the next rows, some at a time; ``skipped`` then holds the unreadable ones."""
        self.skipped.clear()
        with closing(one_ahead(self._windows(rows))) as windows:
            for count, read, arrays in windows:
                if read:
                    yield read, self._bundle.run_arrays(self._graph, arrays, batch_rows=self._batch_rows)[self._output]
                self.done += count
                if self._observe is not None:
                    self._observe(self.done)

    def _windows(self, rows: int) -> Iterator[tuple[int, list[Row], dict[str, Array]]]:
        """Read the next rows, some at a time: yield their number, the readable ones, and their arrays."""
        window_rows = (
            self._batch_rows
        )  # reset for each shard, so that its bytes do not depend on where a run was stopped
        while window := list(islice(self._rows, min(rows, window_rows))):
            rows -= len(window)
            read, arrays = self._read(window)
            yield len(window), read, arrays
            if read:
                row_bytes = sum(array.nbytes for array in arrays.values()) // len(read)
                window_rows = max(self._batch_rows, min(_WINDOW_ROWS, _WINDOW_BYTES // max(1, row_bytes)))

    def _read(self, window: Sequence[Row | BadRow]) -> tuple[list[Row], dict[str, Array]]:
        rows = [row for row in window if isinstance(row, Row)]
        with suppress(DataError, UsageError):
            if len(rows) == len(window):
                return self._prepared(rows)
        rows = [row for row in window if self._is_readable(row)]  # in their order: the first bad one is named
        return self._prepared(rows)

    def _prepared(self, rows: list[Row]) -> tuple[list[Row], dict[str, Array]]:
        """Return the rows, the truncated ones marked, and their arrays."""
        names = dict.fromkeys(name for row in rows for name in row.values)
        values = {name: [row.values.get(name) for row in rows] for name in names}
        if not rows:
            return rows, {}
        prepared = self._bundle.prepared(self._graph, values)
        for name, places in prepared.truncated.items():
            for place in places:
                rows[place] = replace(rows[place], truncated=(*rows[place].truncated, name))
        return rows, prepared.arrays

    def _is_readable(self, row: Row | BadRow) -> TypeGuard[Row]:
        if isinstance(row, Row):
            try:
                self._prepared([row])
            except (DataError, UsageError) as error:
                row = BadRow(row.number, str(error))
        if isinstance(row, BadRow):
            self._leave_out(row)
            return False
        return True

    def _leave_out(self, bad: BadRow) -> None:
        if not self._skips_bad:
            raise DataError(
                f"{self._source.named(bad.number)}: {bad.reason}; correct it, remove {self._folder} and embed again, "
                "or continue without such rows by `skip_bad=True`"
            )
        self.skipped.append(bad)


def _write_missing(folder: Path, numbers: range, shape: Sequence[int], shard_rows: int, reader: _Reader) -> None:
    for number in numbers:
        part = part_of(folder, number)
        if part.vectors.exists():
            reader.pass_over(shard_rows)
        else:
            write_part(part, reader.answers(shard_rows), shape, reader.skipped)


def _check_reads_files(bundle: Bundle, graph: str, source: Source) -> None:
    """Raise UsageError if paths of files would be taken for values, because an input does not read files."""
    first = next(source.rows())
    if isinstance(first, Row):
        absent = str(source.path / "\N{SYMBOL FOR NULL}")
        with suppress(DataError):
            bundle.arrays(graph, {name: [absent] for name in first.values})
            raise UsageError(
                f"{', '.join(first.values)} of {graph!r} reads no files, the path itself would be the value; give a "
                "file with one value per line"
            )


def _begun_same(out: Path, folder: Path, task: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the manifest of an earlier run, None if there is none.

    Raises IntegrityError or UsageError if that run had other settings.
    """
    begun = _begun(out, folder)
    if begun is not None and ("shards" in begun or any(folder.glob("vectors-*.npy"))):
        _check_same(out if out.exists() else folder, begun, task)
    return begun


def _begun(out: Path, folder: Path) -> dict[str, Any] | None:
    """Return the manifest of an earlier run, None if there is none.

    Raises UsageError if something else is there, or at the path of a file that belongs to a single file of vectors.
    """
    fillable(folder, VECTORS)
    if folder == out:
        return read_manifest(folder / MANIFEST)
    file_place(out, VECTORS_FILE)
    if out.exists():
        return read_manifest(beside(out, ".json"))
    begun = read_manifest(folder / MANIFEST)
    for suffix in BESIDE if begun is None else ():
        if (companion := beside(out, suffix)).exists():
            raise UsageError(
                f"{companion} is there already, where `zoo embed` would write what belongs to {out.name}; choose "
                "another `out`, or remove it"
            )
    return begun


def _check_same(out: Path, begun: Mapping[str, Any], task: Mapping[str, Any]) -> None:
    differing = [key for key in task if begun.get(key) != task[key]]
    if not differing:
        return
    kind = IntegrityError if {*differing} & {"bundle", "source"} else UsageError
    what = ", ".join(f"{key} {begun.get(key)} then and {task[key]} now" for key in differing)
    raise kind(f"{out} was begun with another {' and '.join(differing)}: {what}; choose another `out`, or remove it")
