"""Arrays of ``.npy`` files. A header is trusted only if the file is as long as it says."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.protocols import Array

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy(path: Path, *, mapped: bool = False) -> Array:
    """Return the array in ``path``; with ``mapped`` it stays on the disk and takes no memory.

    Raises DataError, before any memory is taken, if the file cannot be read, does not hold an array of plain numbers or
    does not have as many bytes as its header says.
    """
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            if version not in _HEADERS:
                raise ValueError(f"version {version[0]}.{version[1]} of .npy, expected 1.0 or 2.0")
            shape, _, dtype = _HEADERS[version](stream)
            held_bytes = os.fstat(stream.fileno()).st_size - stream.tell()
        if dtype.hasobject:
            raise ValueError("it holds Python objects, expected numbers")
        promised_bytes = math.prod(shape) * dtype.itemsize if min(shape, default=0) >= 0 else -1
        if promised_bytes != held_bytes:
            raise ValueError(
                f"its header says {dtype} of shape {shape}, which is {promised_bytes} bytes; {held_bytes} follow"
            )
        array: Array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise DataError(f"{path} cannot be read as an array: {error}; write it by numpy.save") from error
    return array
