"""Draws inputs for the contracts: valid tensors of a modality at chosen or drawn sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from zoo.models.graphs import as_tensors
from zoo.protocols import Modality


def tensors_of(modality: Modality, rows: int, *, share: float = 0.5, seed: int = 0) -> dict[str, Tensor]:
    """Return ``rows`` drawn rows whose free axes have sizes at the fraction ``share`` between smallest and largest."""
    sizes = {
        axis: bounds.smallest + round(share * (bounds.largest - bounds.smallest))
        for axis, bounds in modality.axes.items()
    }
    return as_tensors(modality.example(rows, sizes, generator=np.random.default_rng(seed)))


def sizes_of(modality: Modality) -> Iterator[dict[str, int]]:
    """Yield the smallest sizes, the largest, and some in between."""
    for share in (0.0, 1.0, 0.3):
        yield {axis: b.smallest + round(share * (b.largest - b.smallest)) for axis, b in modality.axes.items()}


def longer(modality: Modality, tensors: Mapping[str, Tensor], by: int = 3) -> dict[str, Tensor]:
    """Return the tensors with ``by`` zeros appended along every padded axis."""
    grown = {}
    for name, tensor in tensors.items():
        shape = list(tensor.shape)
        for place, axis in enumerate(modality.tensors[name].axes):
            if isinstance(axis, str) and axis in modality.axes and modality.axes[axis].padded:
                shape[place] += by
        wide = torch.zeros(shape, dtype=tensor.dtype)
        wide[tuple(slice(size) for size in tensor.shape)] = tensor
        grown[name] = wide
    return grown


def has_padding(modality: Modality) -> bool:
    """Return whether any axis of the modality is padded."""
    return any(axis.padded for axis in modality.axes.values())
