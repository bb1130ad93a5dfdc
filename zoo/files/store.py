"""One atomic commit: a file or folder with its final name is always complete.

Cache, checkpoints and bundles are all written in the same way: into a staging place beside the target, flushed to the
disk, then renamed. If a process is killed at any moment, either the old content or the new one is there, and perhaps a
staging place. The next commit of the same target deletes that place once its owner is gone.
"""

import ctypes
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from glob import escape
from pathlib import Path

from zoo.errors import DiskError, UsageError
from zoo.files.owners import is_abandoned, owner_mark
from zoo.files.replacing import Kind, check_alone, file_place, followed, replaceable

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_STAGING = ".staging-"
_FULL = "free some space"
_FORBIDDEN = "ask its owner for the right to write there, or choose another folder"
_IN_THE_WAY = "remove the file or folder in its way, or choose another folder"
_TOO_LONG = "choose a shorter name: it gets some 30 characters more while it is written"
_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _FULL),
    **dict.fromkeys((errno.EACCES, errno.EPERM), _FORBIDDEN),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY), _IN_THE_WAY),
    errno.ENAMETOOLONG: _TOO_LONG,
    errno.EROFS: "its file system is read-only: choose another folder",
}


@dataclass(frozen=True)
class Digest:
    """What a file is identified by: its size and its full sha256."""

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
    """Give a path to write to; when the block ends without an error, flush it to the disk and rename it to ``path``.

    A link is followed. Raises UsageError if ``path`` is a folder.
    """
    with disk_errors(path):
        place = file_place(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        with _staging(place) as staging:
            try:
                yield staging
                flush(staging)
                os.replace(staging, place)
                flush(place.parent)
            finally:
                staging.unlink(missing_ok=True)


@contextmanager
def staged_folder(path: Path, *, replaces: Kind | None = None) -> Iterator[Path]:
    """Give an empty folder to fill; when the block ends without an error, flush it and move it to ``path``.

    An existing folder is replaced if it is of the kind ``replaces`` and holds nothing else. A link is followed. On a
    system that cannot exchange two folders in one step (Linux can), a kill between two renames may leave the old folder
    under its staging name.

    Raises UsageError, before anything is written and again at the end, if something else lies at ``path``.
    """
    with disk_errors(path):
        place = replaceable(path, replaces)
        place.parent.mkdir(parents=True, exist_ok=True)
        with _staging(place) as staging:
            staging.mkdir()
            try:
                yield staging
                for file in sorted(staging.rglob("*")):
                    flush(file)
                flush(staging)
                replaceable(path, replaces)
                _put_in_place(staging, place)
                flush(place.parent)
            finally:
                shutil.rmtree(staging, ignore_errors=True)


def remove_folder(path: Path, kind: Kind) -> None:
    """Delete a folder of this kind, if there is one; a link to it is kept.

    The folder loses its name in one step. After a kill it is either complete or a staging place, which the next removal
    beside it deletes.

    Raises UsageError, and deletes nothing, if the folder is of another kind or contains anything else.
    """
    if not path.exists():
        return
    if kind.belongs(path) is None:
        raise UsageError(f"{path} is not {kind.what} that `{kind.command}` wrote, and is not deleted; remove it")
    check_alone(path, kind)
    place = followed(path)
    removed = place.with_name("removed")
    with owner_mark() as mark:
        aside = _staging_name(removed, mark)
        os.rename(place, aside)
        shutil.rmtree(aside)
    _sweep(removed)


def check_room(path: Path, size_bytes: int) -> None:
    """Raise DiskError if a file or folder of so many bytes cannot be written at ``path``; nothing is left there."""
    with disk_errors(path):
        place = followed(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        with _staging(place) as staging:
            try:
                with staging.open("wb") as stream:
                    if hasattr(os, "posix_fallocate"):
                        _reserve(stream.fileno(), max(1, size_bytes))
            finally:
                staging.unlink(missing_ok=True)


@contextmanager
def with_plain_name(path: Path) -> Iterator[Path]:
    """Give a path that libraries can open: the file's own, or one through a link if its folder's name is not UTF-8.

    The file's own name must be UTF-8.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder) / "linked"
            link.symlink_to(path.parent.absolute(), target_is_directory=True)
            yield link / path.name
    else:
        yield path


def remove_if_empty(folder: Path) -> None:
    """Delete a folder if nothing is in it."""
    with suppress(OSError):
        folder.rmdir()


def remove_file(path: Path) -> None:
    """Delete a file of a run, if there is one."""
    path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _staging(place: Path) -> Iterator[Path]:
    """Give a name beside ``place``, and delete staging places that killed processes left for the same ``place``.

    They are kept while nothing is at ``place``: one of them may hold the only copy.
    """
    if place.exists():
        _sweep(place)
    with owner_mark() as mark:
        yield _staging_name(place, mark)
    if place.exists():
        _sweep(place)


def _staging_name(place: Path, mark: str) -> Path:
    return place.with_name(f".{place.name}{_STAGING}{mark}")


def _reserve(descriptor: int, size_bytes: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that cannot reserve space
            raise


def _sweep(place: Path) -> None:
    for left in place.parent.glob(f".{escape(place.name)}{_STAGING}*"):
        if is_abandoned(left, left.name.rpartition(_STAGING)[2]):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _put_in_place(staging: Path, place: Path) -> None:
    if not place.exists():
        os.rename(staging, place)
    elif not _exchange(staging, place):
        with owner_mark() as mark:
            aside = _staging_name(place, mark)
            os.rename(place, aside)
            os.rename(staging, place)
            shutil.rmtree(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step, if the C library and the file system can."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return bool(renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an error of the disk at ``path`` into a DiskError that says why and what to do."""
    try:
        yield
    except (ConnectionError, TimeoutError):  # of a pipe or the network
        raise
    except OSError as error:
        if error.errno not in errno.errorcode:
            raise
        named = error.filename if isinstance(error.filename, str) and _STAGING not in error.filename else path
        advice = _ADVICE.get(error.errno or 0, "check that path")
        raise DiskError(f"{named} cannot be written or read: {error.strerror}; {advice}") from error
