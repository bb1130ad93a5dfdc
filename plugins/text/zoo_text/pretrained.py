"""Word vectors that a vocabulary starts from, read out of a file while a text modality is fitted."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from zoo import DataError
from zoo_text.word2vec import read_word2vec

_PACKAGE = "package:"


@dataclass(frozen=True)
class Pretrained:
    """The ids that have a vector to start from, and their vectors, a row an id."""

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]


def pretrained_vectors(address: str, index: Mapping[str, int]) -> Pretrained:
    """Return the vectors that the file at ``address`` has for the words of ``index``, spelt alike.

    Raises DataError where the file cannot be read or knows none of the words.
    """
    read = read_word2vec(file_at(address), words=index.keys())
    return Pretrained(np.array([index[word] for word in read.words], dtype=np.int64), read.vectors)


def file_at(address: str) -> Path:
    """Return the path that ``address`` stands for: ``package:NAME/PATH`` lies in an installed package, else a path.

    The package is not imported. Raises DataError where it is not installed or the path leaves it.

    >>> file_at("vectors.bin").name
    'vectors.bin'
    """
    if not address.startswith(_PACKAGE):
        return Path(address)
    package, _, rest = address.removeprefix(_PACKAGE).partition("/")
    inside = PurePosixPath(rest)
    if not package.isidentifier() or not inside.parts or inside.is_absolute() or ".." in inside.parts:
        raise DataError(f"{address}: expected package:NAME/PATH of a file inside a package; correct it")
    found = None
    with suppress(ImportError, ValueError):
        found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise DataError(f"{address}: expected an installed package, found no {package!r}; install it")
    places = [Path(folder) / inside for folder in found.submodule_search_locations]
    return next((place for place in places if place.is_file()), places[0])
