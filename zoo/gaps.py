"""Rows that lack a value: zeros that are not present. No torch: batches are made of it, and so is what is served."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.protocols import Modality, Sample

if TYPE_CHECKING:
    from zoo.protocols import Array


def no_rows(modality: Modality) -> dict[str, Array]:
    """Return the arrays of a modality without any row."""
    smallest = {axis: bounds.smallest for axis, bounds in modality.axes.items()}
    drawn = modality.example(1, smallest, generator=np.random.default_rng(0))
    return {key: array[:0] for key, array in drawn.items()}


def with_gaps(array: Array, there: NDArray[np.bool_]) -> Array:
    """Return the rows of ``array`` at the places that are there, zeros at the others."""
    if there.all():
        return array
    full = np.zeros((len(there), *array.shape[1:]), array.dtype)
    full[there] = array
    return full


def dropped(samples: Sequence[Sample], shares: Mapping[str, float], *, seed: int) -> Sequence[Sample]:
    """Return the samples with a share of each input's values taken away.

    Whether a value goes follows from the seed, the sample's key and the input alone: more data, or another order,
    changes nothing, and a larger share takes away what a smaller one does and more.
    """
    if not shares:
        return samples

    def kept(sample: Sample) -> dict[str, Any]:
        return {name: None if _goes(sample.key, name, shares, seed) else v for name, v in sample.inputs.items()}

    return [replace(sample, inputs=kept(sample)) for sample in samples]


def _goes(key: str, name: str, shares: Mapping[str, float], seed: int) -> bool:
    digest = hashlib.sha256(f"{seed}/{name}/{key}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8]) < shares.get(name, 0) * 2**64
