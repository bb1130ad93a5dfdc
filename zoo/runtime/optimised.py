"""Graphs as onnxruntime optimised them, kept in the cache by the first opening for later ones.

A cached graph belongs to one machine, one version of onnxruntime and the bytes of one bundle. It may be deleted at any
time, and is deleted if nobody has used it for a month. If it is damaged, or the cache cannot be written, this only
costs time. Weights that the optimisation did not change are read from the bundle; the changed ones are cached. If they
are large, reading and hashing them takes longer than optimising again, and an empty file records this.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from zoo.errors import DiskError, ZooError
from zoo.files.home import home, make_folder, share
from zoo.files.store import staged_file

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_FIRST_PROCESSOR_BYTES = 4096
LARGEST_BYTES = 8 << 20
_DAY_S = 24 * 60 * 60
UNUSED_S = 30 * _DAY_S
_HASH_BYTES = hashlib.sha256().digest_size


class Makes(Protocol):
    """Makes a session from a graph's own file, and writes the optimised graph to ``save_to``."""

    def __call__(self, save_to: Path | None = None) -> InferenceSession:
        """Return the session."""


def kept_or_made(
    identity: str, from_file: Makes, from_optimised: Callable[[bytes], InferenceSession | None]
) -> InferenceSession:
    """Return a session of the cached graph, or else of the graph's own file, and cache its optimised form.

    ``from_optimised`` returns None if onnxruntime does not accept the cached graph.
    """
    try:
        path = place_of(identity)
    except DiskError:  # there is no cache
        return from_file()
    content = _kept(path)
    if content == b"":
        return from_file()
    session = None if content is None else from_optimised(content)
    return session or _made_and_kept(path, from_file)


def place_of(identity: str) -> Path:
    """Return the path of a cached graph; its name depends on everything that it was optimised for."""
    import onnxruntime

    key = hashlib.sha256(f"{identity} {onnxruntime.__version__} {_machine()}".encode()).hexdigest()
    return home() / "optimised" / key[:2] / key


def _made_and_kept(path: Path, from_file: Makes) -> InferenceSession:
    from tempfile import TemporaryDirectory

    try:
        with TemporaryDirectory() as folder:
            saved = Path(folder) / "graph.onnx"
            session = from_file(saved)
            content = saved.read_bytes() if saved.stat().st_size <= LARGEST_BYTES else b""
    except OSError:
        return from_file()
    with suppress(OSError, ZooError):
        make_folder(path.parent)
        with staged_file(path) as staging:
            staging.write_bytes(hashlib.sha256(content).digest() + content)
            share(staging)
    _sweep(path.parents[1])
    return session


def _sweep(kept: Path) -> None:
    """Remove graphs that were not used for a month, such as those of deleted bundles."""
    for path in kept.glob(f"??/{'[0-9a-f]' * 64}"):
        with suppress(OSError):
            if _age_s(path) > UNUSED_S:
                path.unlink()


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _kept(path: Path) -> bytes | None:
    """Return a cached graph, None if there is none or it is damaged."""
    try:
        held = path.read_bytes()
    except OSError:
        return None
    with suppress(OSError):
        if _age_s(path) > _DAY_S:
            os.utime(path)  # records the time of use
    content = held[_HASH_BYTES:]
    return content if hashlib.sha256(content).digest() == held[:_HASH_BYTES] else None


def _machine() -> str:
    """Return what an optimised graph depends on: the layout of weights depends on the processor's instructions."""
    try:
        with open("/proc/cpuinfo", "rb") as stream:
            first = stream.read(_FIRST_PROCESSOR_BYTES).split(b"\n\n")[0]
    except OSError:
        return f"{platform.machine()} {platform.node()}"
    lasting = [line for line in first.splitlines() if line.startswith((b"model name", b"flags", b"Features", b"CPU"))]
    return b"\n".join(lasting).decode(errors="replace")
