"""Which rows hold the same value of an input, such as one picture beside each of its captions."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.protocols import Sample


def groups_of(samples: Sequence[Sample], names: Iterable[str]) -> dict[str, NDArray[np.int64]]:
    """Return a number per sample for each input that has equal values: that of the first sample with the value.

    Files are equal if their paths are. Other values are equal if all their texts, numbers and arrays are; objects of
    other kinds are equal only to themselves. A missing value equals no other. An input without equal values is left
    out.
    """
    found = {}
    for name in names:
        first: dict[Hashable, int] = {}
        numbers = np.arange(len(samples))
        for place, sample in enumerate(samples):
            if (value := sample.inputs.get(name)) is not None:
                numbers[place] = first.setdefault(_key(value), place)
        if (numbers != np.arange(len(samples))).any():
            found[name] = numbers
    return found


def _key(value: Any) -> Hashable:
    if isinstance(value, Mapping):
        return tuple((name, _key(part)) for name, part in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_key, value))
    if isinstance(value, Hashable):
        return value
    array = np.asarray(value)
    if array.dtype.hasobject:
        return id(value)
    return array.dtype.str, array.shape, hashlib.blake2b(array.tobytes(), digest_size=16).digest()
