"""Files like those of MNIST: one array of bytes under gzip, verified by the hash of its content."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo import DataError

SIDE_PIXELS = 28
_IMAGES_HEADER_BYTES, _LABELS_HEADER_BYTES = 16, 8


@dataclass(frozen=True)
class Packed:
    """One gzip file: its name and what it holds."""

    name: str
    unpacked_bytes: int
    unpacked_sha256: str

    def unpacked(self, path: Path) -> bytes:
        """Return the content of a copy, however it was compressed; only the expected length is read.

        Raises DataError if it holds anything else.
        """
        try:
            with gzip.open(path) as stream:
                content = stream.read(self.unpacked_bytes + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} cannot be unpacked: {error}; install or fetch it again") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.unpacked_sha256:
            raise DataError(
                f"{path}: expected {self.unpacked_bytes} bytes with sha256 {self.unpacked_sha256} once unpacked, came "
                f"{'more' if len(content) > self.unpacked_bytes else f'{len(content)} bytes with {found}'}; "
                "install or fetch it again"
            )
        return content


def images_bytes(count: int) -> int:
    """Return the length in bytes of an unpacked file of pictures."""
    return _IMAGES_HEADER_BYTES + count * SIDE_PIXELS**2


def labels_bytes(count: int) -> int:
    """Return the length in bytes of an unpacked file of labels."""
    return _LABELS_HEADER_BYTES + count


def images_in(content: bytes) -> NDArray[np.uint8]:
    """Return the pictures of an unpacked file, (count, 28, 28)."""
    return np.frombuffer(content, np.uint8, offset=_IMAGES_HEADER_BYTES).reshape(-1, SIDE_PIXELS, SIDE_PIXELS)


def labels_in(content: bytes) -> NDArray[np.uint8]:
    """Return the labels of an unpacked file."""
    return np.frombuffer(content, np.uint8, offset=_LABELS_HEADER_BYTES)
