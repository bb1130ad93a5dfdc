"""Who owns an unfinished file: one rule for staging places and for partial downloads.

The names of both contain the mark ``HOST.PID.TOKEN``. On a disk that several machines share, a process id alone is not
enough. So an owner counts as gone if it was a process of this machine that has ended, or if nothing was written for an
hour.
"""

import hashlib
import os
import platform
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = r"[0-9a-f]{8}\.\d{1,9}\.[0-9a-f]{8}"
UNTOUCHED_S = 3600
_PARTS = re.compile(r"([0-9a-f]{8})\.(\d{1,9})\.[0-9a-f]{8}", re.ASCII)
_held: set[str] = set()


@contextmanager
def owner_mark() -> Iterator[str]:
    """Yield a new mark, which this process owns until the block ends."""
    mark = f"{host()}.{os.getpid()}.{secrets.token_hex(4)}"
    _held.add(mark)
    try:
        yield mark
    finally:
        _held.discard(mark)


def is_abandoned(path: Path, mark: str) -> bool:
    """Return whether the owner that ``mark`` names is gone, so that its file at ``path`` may be taken over or removed.

    False if the mark is not one of ours.
    """
    parts = _PARTS.fullmatch(mark)
    if parts is None or mark in _held:
        return False
    pid = int(parts[2])
    ended = parts[1] == host() and (pid == os.getpid() or not _is_alive(pid))
    # We cannot ask about a process of another machine, nor know whether a process id was reused.
    return ended or untouched_s(path) > UNTOUCHED_S


def host() -> str:
    """Return a name for this machine and its process-id namespace, so that equal process ids are not confused."""
    try:
        space = os.readlink("/proc/self/ns/pid")  # two containers may have the same name
    except OSError:
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def untouched_s(path: Path) -> float:
    """Return how many seconds ago a file was last written; for a folder, the newest write in it counts."""
    changed = 0.0
    with suppress(OSError):
        for part in (path, *(path.iterdir() if path.is_dir() else ())):
            with suppress(OSError):
                changed = max(changed, part.stat().st_mtime)
    return time.time() - changed


def _is_alive(pid: int) -> bool:
    """Return whether a process of this machine has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
