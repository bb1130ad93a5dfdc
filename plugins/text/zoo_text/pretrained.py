"""Word vectors that a vocabulary starts from, read out of a file while a text modality is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo import DataError, ZooError, path_in_package
from zoo_text.word2vec import read_word2vec

_PACKAGE = "package:"


@dataclass(frozen=True)
class Pretrained:
    """The ids that have a vector to start from, and their vectors, one row per id."""

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]


def pretrained_vectors(address: str, index: Mapping[str, int]) -> Pretrained:
    """Return the vectors that the file at ``address`` has for the words of ``index``, spelt alike.

    Raises DataError if the file cannot be read or has none of the words.
    """
    read = read_word2vec(file_at(address), words=index.keys())
    return Pretrained(np.array([index[word] for word in read.words], dtype=np.int64), read.vectors)


def file_at(address: str) -> Path:
    """Return the path that ``address`` stands for: ``package:NAME/PATH`` lies in an installed package, else a path.

    The package is not imported. Raises DataError if it is not installed or the path leaves it.

    >>> file_at("vectors.bin").name
    'vectors.bin'
    """
    if not address.startswith(_PACKAGE):
        return Path(address)
    try:
        return path_in_package(address.removeprefix(_PACKAGE))
    except ZooError as error:
        raise DataError(f"{address} {error}; correct it, or install the package") from error
