"""The folder for files that the zoo keeps between calls, and its permissions; separate, so that bundles open fast."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from zoo.errors import DiskError


def home() -> Path:
    """Return the folder of the cache: ``ZOO_HOME``, else the user's cache folder.

    Raises DiskError if neither is known, that is, without HOME and for a user unknown to the system.
    """
    chosen = os.environ.get("ZOO_HOME")
    try:
        if chosen:
            return Path(chosen).expanduser()
        Path.home()  # platformdirs would take '~' as the name of a folder here
    except RuntimeError as error:
        raise DiskError(
            f"no folder is known to keep files in: {'ZOO_HOME is ' + repr(chosen) if chosen else 'HOME is not set'}, "
            "and the system knows no home of this user; set ZOO_HOME to the path of a folder that may be written"
        ) from error
    from platformdirs import user_cache_path

    return user_cache_path("modalzoo", appauthor=False)


def make_folder(path: Path) -> None:
    """Create a folder of the cache with all its parents; folders below ``home()`` get its group."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        share(folder)


def lock_file(name: str) -> Path:
    """Return the file that processes lock for ``name``; all users of one group can lock the same file."""
    path = home() / "locks" / f"{name}.lock"
    make_folder(path.parent)
    path.touch()
    share(path)
    return path


def share(path: Path) -> None:
    """Give a file in the cache the group of ``home()`` and its group permissions, whatever the umask is.

    So several users of one group can share a cache. If the system refuses the change, the file stays as it is.
    """
    shared = home()
    if shared not in path.parents:
        return
    with suppress(OSError):
        wanted, found = shared.stat(), path.stat()
        if found.st_uid != os.geteuid():
            return
        if found.st_gid != wanted.st_gid:
            os.chown(path, -1, wanted.st_gid)
        group = wanted.st_mode & stat.S_IRWXG
        if not stat.S_ISDIR(found.st_mode):
            group &= ~stat.S_IXGRP
        os.chmod(path, stat.S_IMODE(path.stat().st_mode) & ~stat.S_IRWXG | group)
