"""Decoded files, kept in the cache, so that the next run over the same files does not decode them again.

A key is computed from each file's path, size, dates and inode, from the modality with its options and what it learnt,
from the source of its package, and from the names and versions of all installed packages. So any change that may
affect the result gives another key, and an outdated result is never used. It is deleted when the cache is full.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.discovery.components import options_of
from zoo.errors import DiskError, ZooError
from zoo.files import home
from zoo.files.bound import bound_files
from zoo.files.store import digests, staged_folder
from zoo.protocols import Modality

if TYPE_CHECKING:
    from zoo.protocols import Array

_log = logging.getLogger(__name__)

VARIABLE, _DEFAULT_GB = "ZOO_DECODED_GB", 8.0
_FOLDER, _MANIFEST = "decoded", "manifest.json"
_KEY_DIGITS = 40
_FEWEST_FILES = 256
_SPARE_BYTES = 1 << 30
_UNKNOWN = object()  # stands for an option whose value cannot be read from a modality
# File systems have coarse clocks: a file that just changed may change again without a new date.
_SETTLED_S = 2.0


@dataclass(frozen=True)
class Decoded:
    """The place in the cache for the decoded form of some files; ``key`` identifies it."""

    files: Sequence[Path]
    modality: Modality
    key: str

    @classmethod
    def of(cls, files: Sequence[Path], modality: Modality) -> Decoded | None:
        """Return the place for these files, None if caching is useless or unwanted, or there is no key."""
        if len(files) < _FEWEST_FILES or _most_bytes() <= 0:
            return None
        try:
            home.home()
        except DiskError:
            return None
        key = _key(files, modality)
        return None if key is None else cls(files, modality, key)

    def load(self) -> tuple[dict[str, Array], dict[int, str]] | None:
        """Return the arrays and the faults of unreadable files, by number; None if nothing is kept or it is damaged."""
        try:
            manifest = json.loads((self._folder / _MANIFEST).read_text())
            files = bound_files(self._folder, manifest["files"])
            files.verify()
            names = {str(name): str(file) for name, file in manifest["arrays"].items()}
            if not files.promised.keys() >= set(names.values()):
                raise ValueError(f"arrays that are not listed: {names}")
            arrays = {name: np.load(self._folder / file, allow_pickle=False) for name, file in names.items()}
            bad = {int(number): str(reason) for number, reason in manifest["bad"].items()}
            os.utime(self._folder / _MANIFEST)  # used last
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ZooError) as error:
            _log.warning("%s is damaged and is made again: %s", self._folder, error)
            shutil.rmtree(self._folder, ignore_errors=True)
            return None
        return arrays, bad

    def keep(self, arrays: Mapping[str, Array], bad: Mapping[int, str]) -> None:
        """Keep the decoded arrays if no file changed meanwhile and there is room."""
        size_bytes = sum(array.nbytes for array in arrays.values())
        try:
            if _key(self.files, self.modality) != self.key or not _make_room(self._folder.parent, size_bytes):
                return
            with staged_folder(self._folder) as staging:
                names = {name: f"{number}.npy" for number, name in enumerate(arrays)}
                for name, file in names.items():
                    np.save(staging / file, arrays[name], allow_pickle=False)
                wrong = {str(number): reason for number, reason in bad.items()}
                manifest = {"arrays": names, "bad": wrong, "files": digests(staging)}
                (staging / _MANIFEST).write_text(json.dumps(manifest))
                for path in (staging, *staging.iterdir()):
                    home.share(path)
        except (OSError, ValueError, ZooError) as error:
            _log.info("the decoded values are not kept: %s", error)

    @property
    def _folder(self) -> Path:
        return home.home() / _FOLDER / self.key


def _most_bytes() -> float:
    try:
        return float(os.environ.get(VARIABLE, _DEFAULT_GB)) * 1e9
    except ValueError:
        return _DEFAULT_GB * 1e9


def _key(files: Sequence[Path], modality: Modality) -> str | None:
    told = _described(modality)
    if told is None:
        return None
    digest = hashlib.sha256(json.dumps(told).encode())
    newest_ns = 0
    for path in files:
        try:
            status = os.stat(path)
        except OSError:
            return None
        newest_ns = max(newest_ns, status.st_mtime_ns, status.st_ctime_ns)
        facts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
        digest.update(os.fsencode(path) + b"\0" + repr(facts).encode())
    settled = newest_ns <= time.time_ns() - _SETTLED_S * 1e9
    return digest.hexdigest()[:_KEY_DIGITS] if settled else None


def _described(modality: Modality) -> list[Any] | None:
    """Return everything about a modality that affects its decoding, None if its options cannot be read."""
    kind = type(modality)
    options = {name: getattr(modality, name, _UNKNOWN) for name in options_of(kind, "modality")}
    source = _source(kind)
    if not source or not all(isinstance(value, str | int | float | bool | tuple | None) for value in options.values()):
        return None
    state = {
        name: hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest() for name, a in modality.state().items()
    }
    installed = sorted(
        entry
        for folder in dict.fromkeys(sys.path)
        if folder and os.path.isdir(folder)
        for entry in os.listdir(folder)
        if entry.endswith((".dist-info", ".egg-info"))
    )
    return [kind.__module__, kind.__qualname__, repr(options), state, installed, sys.version, source]


def _source(kind: type) -> str:
    """Return the sha256 of the Python files in the package of a class, empty if there are none."""
    package, module = (sys.modules.get(name) for name in (kind.__module__.partition(".")[0], kind.__module__))
    path = Path(getattr(package, "__file__", None) or getattr(module, "__file__", None) or "")
    digest = hashlib.sha256()
    if not path.is_file():
        return ""
    for file in sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _make_room(folder: Path, size_bytes: int) -> bool:
    """Delete the least recently used results until so many bytes fit; return whether they do."""
    home.make_folder(folder)
    most_bytes = _most_bytes()
    if size_bytes > most_bytes or shutil.disk_usage(folder).free < size_bytes + _SPARE_BYTES:
        return False
    held = []
    for manifest in folder.glob(f"{'[0-9a-f]' * _KEY_DIGITS}/{_MANIFEST}"):
        with contextlib.suppress(OSError):  # another process may be deleting it
            one_bytes = sum(file.stat().st_size for file in manifest.parent.iterdir())
            held.append((manifest.stat().st_mtime, one_bytes, manifest.parent))
    used_bytes = sum(one_bytes for _, one_bytes, _ in held)
    for _, one_bytes, oldest in sorted(held):
        if used_bytes + size_bytes <= most_bytes:
            break
        shutil.rmtree(oldest, ignore_errors=True)
        used_bytes -= one_bytes
    return True
