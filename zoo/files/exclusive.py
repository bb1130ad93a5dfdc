"""One writer at a time of a folder: two commands that got the same --out would mix what they write."""

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
    """Hold a folder while ``command`` writes into it; it is made if it is not there, and goes again if it stays empty.

    The system lets go of it when the process ends, however it does. Where a file system locks no folders, nothing is
    held.

    Raises UsageError if another writer holds it, unless this one ``waits`` for it; DiskError if it cannot be made.
    """
    with disk_errors(folder):
        place = followed(folder)
        is_new = not place.exists()
        descriptor = _held(place, waits=waits)
    if descriptor is None:
        raise UsageError(
            f"another `{command}` is writing to {folder} right now; wait until it has ended, or choose another --out"
        )
    try:
        yield
    finally:
        if is_new:
            remove_if_empty(place)
        if descriptor != _NOT_LOCKABLE:
            os.close(descriptor)


def _held(place: Path, *, waits: bool) -> int | None:
    """Return a descriptor that holds the folder, None if another does."""
    while True:
        place.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(place, os.O_RDONLY) if fcntl is not None else _NOT_LOCKABLE
        except FileNotFoundError:  # its writer has just removed it
            continue
        except PermissionError:  # it may be written and not listed
            descriptor = _NOT_LOCKABLE
        if descriptor == _NOT_LOCKABLE:
            return descriptor
        if not _is_locked(descriptor, waits=waits):
            os.close(descriptor)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(place)):
                return descriptor
        os.close(descriptor)  # another folder was put there while this one was waited for


def _is_locked(descriptor: int, *, waits: bool) -> bool:
    """Lock what a descriptor stands for, if no other has; what its file system cannot lock counts as locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
