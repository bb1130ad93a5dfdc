"""Rows that lack a value (gaps): zeros marked as not present. No torch: both training and serving use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.protocols import Modality

if TYPE_CHECKING:
    from zoo.protocols import Array


def no_rows(modality: Modality) -> dict[str, Array]:
    """Return the arrays of a modality without any row."""
    smallest = {axis: bounds.smallest for axis, bounds in modality.axes.items()}
    drawn = modality.example(1, smallest, generator=np.random.default_rng(0))
    return {key: array[:0] for key, array in drawn.items()}


def with_gaps(array: Array, there: NDArray[np.bool_]) -> Array:
    """Return the rows of ``array`` where ``there`` is true, and zeros elsewhere."""
    if there.all():
        return array
    full = np.zeros((len(there), *array.shape[1:]), array.dtype)
    full[there] = array
    return full
