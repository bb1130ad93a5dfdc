"""One atomic commit: what has a final name is whole.

Cache, checkpoints and bundles are all written the same way: into a staging place beside the target, flushed to the
disk, renamed. A process killed at any moment leaves the old content or the new one, and perhaps a staging place, which
the next commit of the same target sweeps once its owner is gone.
"""

import ctypes
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from zoo.errors import DiskError, ZooError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_STAGING = ".staging-"


@dataclass(frozen=True)
class Digest:
    """What a file must be: its size and its full sha256."""

    size_bytes: int
    sha256: str


def digest(path: Path) -> Digest:
    """Return the size and sha256 of a file, read in pieces."""
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return Digest(path.stat().st_size, sha256)


def digests(folder: Path) -> dict[str, dict[str, int | str]]:
    """Return the digest of every file in ``folder``, by name, ready for a manifest."""
    return {path.name: asdict(digest(path)) for path in sorted(folder.iterdir()) if path.is_file()}


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Give a path to write to; on leaving without an error, make it durable and rename it to ``path``."""
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        staging = _staging(path)
        try:
            yield staging
            flush(staging)
            os.replace(staging, path)
            flush(path.parent)
        finally:
            staging.unlink(missing_ok=True)


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; on leaving without an error, make it durable and put it in the place of ``path``.

    Where the system cannot exchange two folders in one step (it can on Linux), a kill between two renames may leave the
    old folder under its staging name.
    """
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        staging = _staging(path)
        staging.mkdir()
        try:
            yield staging
            for file in sorted(staging.rglob("*")):
                flush(file)
            flush(staging)
            _put_in_place(staging, path)
            flush(path.parent)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def check_room(path: Path, size_bytes: int) -> None:
    """Raise DiskError if a file or folder of so many bytes cannot be written at ``path``; nothing is left there."""
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        staging = _staging(path)
        try:
            with staging.open("wb") as stream:
                if hasattr(os, "posix_fallocate"):
                    _reserve(stream.fileno(), max(1, size_bytes))
        finally:
            staging.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def owner_is_alive(pid: int) -> bool:
    """Tell whether a process of this machine has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _reserve(descriptor: int, size_bytes: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that reserves nothing
            raise


def _staging(path: Path) -> Path:
    return path.with_name(f".{path.name}{_STAGING}{os.getpid()}-{secrets.token_hex(4)}")


def _sweep(path: Path) -> None:
    for left in path.parent.glob(f".{path.name}{_STAGING}*"):
        pid = left.name.rsplit(_STAGING, 1)[1].split("-")[0]
        if pid.isdigit() and not owner_is_alive(int(pid)):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _put_in_place(staging: Path, path: Path) -> None:
    if not path.exists():
        os.rename(staging, path)
    elif not _exchange(staging, path):
        aside = _staging(path)
        os.rename(path, aside)
        os.rename(staging, path)
        shutil.rmtree(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step, where the C library and the file system can."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return bool(renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except ZooError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskError(
                f"the disk is full while writing {path}; free some space and run the command again"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise DiskError(
                f"{path.parent} may not be written; choose another folder or change its permissions"
            ) from error
        raise
