"""One writer of a folder at a time: two commands with the same folder would mix their files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zoo.errors import UsageError
from zoo.files.replacing import followed
from zoo.files.store import disk_errors, remove_if_empty

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_NOT_LOCKABLE = -1


@contextmanager
def sole_writer(folder: Path, command: str, *, waits: bool = False) -> Iterator[None]:
    """Hold a folder while ``command`` writes into it; it is created if missing, and deleted again if it stays empty.

    The system releases the lock when the process ends, however it ends. If a file system cannot lock folders, no lock
    is held.

    Raises UsageError if another writer holds the folder and this one does not wait (``waits``); DiskError if the folder
    cannot be created.
    """
    with disk_errors(folder):
        place = followed(folder)
        is_new = not place.exists()
        descriptor = _held(place, waits=waits)
    if descriptor is None:
        raise UsageError(
            f"another `{command}` is writing to {folder} right now; wait until it has ended, or choose another `out`"
        )
    try:
        yield
    finally:
        if is_new:
            remove_if_empty(place)
        if descriptor != _NOT_LOCKABLE:
            os.close(descriptor)


def _held(place: Path, *, waits: bool) -> int | None:
    """Return a descriptor that holds the folder, None if another process holds it."""
    while True:
        place.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(place, os.O_RDONLY) if fcntl is not None else _NOT_LOCKABLE
        except FileNotFoundError:  # its writer has just deleted it
            continue
        except PermissionError:  # we may write to it, but not list it
            descriptor = _NOT_LOCKABLE
        if descriptor == _NOT_LOCKABLE:
            return descriptor
        if not _is_locked(descriptor, waits=waits):
            os.close(descriptor)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(place)):
                return descriptor
        os.close(descriptor)  # another folder took its place during the wait


def _is_locked(descriptor: int, *, waits: bool) -> bool:
    """Lock a descriptor if no other process has; if the file system cannot lock it, it counts as locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
