"""The list of samples that a training leaves out: JSON lines, each sample once, even if several processes add it."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import DataError
from zoo.files.replacing import followed
from zoo.protocols import Sample
from zoo.recipes.tables import Table, json_text, parse_json


class SkippedSamples:
    """A file of JSON lines, that several processes may append to."""

    def __init__(self, path: Path) -> None:
        self._path = followed(path)
        self._keys: set[str] = set()
        self._read_bytes = 0

    def add(self, sample: Sample, error: DataError) -> None:
        """Append a sample, unless its key is there already."""
        from filelock import FileLock

        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path.with_name(f".{self._path.name}.lock")), self._path.open("a+b") as stream:
            self._read(stream.seek(0, 2))
            if sample.key in self._keys:
                return
            line = json_text({"sample": sample.key, "error": str(error)}) + "\n"
            stream.truncate(self._read_bytes)  # drops an unfinished last line
            stream.write(line.encode())

    def _read(self, size_bytes: int) -> None:
        """Read the lines that others added, in a file of ``size_bytes``."""
        if size_bytes < self._read_bytes:
            self._keys, self._read_bytes = set(), 0  # the file was started anew
        with self._path.open("rb") as stream:
            stream.seek(self._read_bytes)
            for line in stream:
                if line.endswith(b"\n"):
                    values = parse_json(line, f"{self._path}: the line {line!r:.80}", cure="remove it")
                    self._keys.add(Table(values, str(self._path)).take("sample", str))
                    self._read_bytes += len(line)
