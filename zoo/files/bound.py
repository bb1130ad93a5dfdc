"""The files that a manifest lists with size and sha256: only bytes that match are ever used.

A folder can be replaced while it is open, and its manifest may come from a stranger. So each file is named without a
path, lies in the folder, is a regular file, and is hashed in the same pass that reads or copies it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from zoo.errors import IntegrityError
from zoo.files.store import Digest
from zoo.recipes.tables import Table

_PIECE_BYTES = 1 << 20
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(
    os, "O_BINARY", 0
)  # without it, opening a pipe would wait for a writer


@dataclass(frozen=True)
class BoundFiles:
    """The files of ``folder`` by name, as its manifest promised them."""

    folder: Path
    promised: Mapping[str, Digest]

    def verify(self) -> None:
        """Compare every file with what was promised.

        Raises IntegrityError, naming the first file that is missing, leads out of the folder or differs.
        """
        for name in self.promised:
            self._pass_on(name, lambda piece: None)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises IntegrityError if they are not the promised ones.
        """
        pieces: list[bytes] = []
        self._pass_on(name, pieces.append)
        return b"".join(pieces)

    def copy(self, name: str, folder: Path) -> Path:
        """Write the bytes of a file into another folder, under its name, and return the path there.

        Raises IntegrityError if they are not the promised ones.
        """
        with (folder / name).open("wb") as stream:
            self._pass_on(name, stream.write)
        return folder / name

    def _pass_on(self, name: str, take: Callable[[bytes], object]) -> None:
        """Pass on a file's bytes in pieces, and compare them with what was promised."""
        path, expected = self.folder / name, self.promised.get(name)
        if expected is None:
            raise IntegrityError(f"the manifest of {self.folder} lists no file {name!r}; export the model again")
        found, sha256 = 0, hashlib.sha256()
        with _opened(path) as stream:
            size_bytes = os.fstat(stream.fileno()).st_size
            while size_bytes == expected.size_bytes and (piece := stream.read(_PIECE_BYTES)):
                found += len(piece)
                if found > size_bytes:
                    break  # it grows as it is read
                sha256.update(piece)
                take(piece)
        if Digest(found, sha256.hexdigest()) != expected:
            told = f" with {sha256.hexdigest()}" if found == size_bytes == expected.size_bytes else ""
            raise IntegrityError(
                f"{path} is not what its manifest promised: expected {expected.size_bytes} bytes with sha256 "
                f"{expected.sha256}, found {size_bytes} bytes{told}; copy or export it again"
            )


def bound_files(folder: Path, listed: Mapping[str, object]) -> BoundFiles:
    """Return the files of ``folder`` that a manifest lists.

    Raises SpecError if an entry is malformed, IntegrityError if a name leads out of the folder.
    """
    promised = {}
    for name, entry in listed.items():
        if not is_plain_name(name):
            raise IntegrityError(
                f"the manifest of {folder} lists {name!r}, which does not name a file in it; do not use this folder"
            )
        table = Table(entry, f"files.{name}")
        promised[name] = Digest(table.take("size_bytes", int), table.take("sha256", str))
    return BoundFiles(folder, promised)


def read_bounded(path: Path, *, most_bytes: int) -> bytes:
    """Return the bytes of a file that lies in its folder.

    Raises IntegrityError if it is missing, leads out of the folder, is not a regular file or has more than
    ``most_bytes``.
    """
    with _opened(path) as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise IntegrityError(f"{path} has more than {most_bytes} bytes; export or train the model again")
    return content


def is_plain_name(name: str) -> bool:
    """Return whether a text names a file of a folder, and is not a path that could lead elsewhere."""
    return name.isprintable() and not set(name) & {"/", "\\"} and name not in ("", ".", "..")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    folder = path.parent
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve(strict=True)):
            raise IntegrityError(
                f"{path} is a symbolic link that leads out of {folder}; copy the folder with its files (cp -rL)"
            )
        stream = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _NO_WAIT))  # noqa: SIM115
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, RuntimeError) as error:
        raise IntegrityError(
            f"{folder} lacks the file {path.name!r} that its manifest lists; copy or export it again"
        ) from error
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}; copy or export it again") from error
    with stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise IntegrityError(f"{path} is not a regular file; copy or export it again")
        yield stream
