"""From samples to batches. What fits in memory becomes tensors once; the rest is read when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from zoo.errors import DataError, UsageError
from zoo.graphs import as_tensors
from zoo.modules import Batch
from zoo.protocols import Modality, Sample

_MEMORY_BYTES = 4 << 30
_PROBE_ROWS = 8


class Rows(Protocol):
    """The rows of a split, ready to be taken as batches."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def take(self, index: Tensor) -> Batch:
        """Return the rows at ``index`` as a batch."""


@dataclass(frozen=True)
class RowsInMemory:
    """All rows as tensors."""

    batch: Batch

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.batch.rows

    def take(self, index: Tensor) -> Batch:
        """Return the rows at ``index`` as a batch."""
        return self.batch.take(index)


@dataclass(frozen=True)
class RowsOnDemand:
    """Samples that are turned into tensors when they are taken."""

    samples: Sequence[Sample]
    modalities: Mapping[str, Modality]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.samples)

    def take(self, index: Tensor) -> Batch:
        """Return the rows at ``index`` as a batch."""
        return to_batch([self.samples[position] for position in index.tolist()], self.modalities)


def load_rows(samples: Sequence[Sample], modalities: Mapping[str, Modality], *, where: str) -> Rows:
    """Return the samples as rows; ``where`` names the split for messages.

    Raises UsageError for an empty split or an input that no sample has, DataError for a sample that cannot be read.
    """
    if not samples:
        raise UsageError(f"{where} has no samples; choose another split or add data")
    for name in modalities:
        if all(sample.inputs.get(name) is None for sample in samples):
            known = sorted({key for sample in samples[:100] for key in sample.inputs})
            raise UsageError(f"{where}: no sample has the input {name!r}; the data has {', '.join(known)}")
    probe = to_batch(samples[:_PROBE_ROWS], modalities)
    row_bytes = sum(t.nbytes for tensors in probe.inputs.values() for t in tensors.values()) / probe.rows
    if row_bytes * len(samples) > _MEMORY_BYTES:
        return RowsOnDemand(samples, modalities)
    return RowsInMemory(to_batch(samples, modalities))


def to_batch(samples: Sequence[Sample], modalities: Mapping[str, Modality]) -> Batch:
    """Turn samples into one batch; a missing value becomes a row of zeros that is not present.

    Raises DataError naming the sample that cannot be read.
    """
    inputs: dict[str, dict[str, Tensor]] = {}
    present: dict[str, Tensor] = {}
    for name, modality in modalities.items():
        there = np.array([sample.inputs.get(name) is not None for sample in samples])
        arrays = _arrays(modality, [sample for sample, here in zip(samples, there, strict=True) if here], name)
        if not there.all():
            arrays = {key: _with_gaps(array, there) for key, array in arrays.items()}
        inputs[name] = as_tensors(arrays)
        present[name] = torch.from_numpy(there)
    return Batch(inputs, present)


def fit_modality(modality: Modality, samples: Sequence[Sample], name: str) -> Modality:
    """Return the modality fitted on the values of the input ``name``.

    Raises DataError naming the sample that cannot be read.
    """
    known = [sample for sample in samples if sample.inputs.get(name) is not None]
    try:
        return modality.fit(sample.inputs[name] for sample in known)
    except DataError:
        _name_unreadable(modality.fit, known, name)
        raise


def in_order(rows: Rows, index: Tensor, batch_size: int) -> Iterator[Batch]:
    """Yield the rows at ``index`` in batches of at most ``batch_size``."""
    for start in range(0, len(index), batch_size):
        yield rows.take(index[start : start + batch_size])


def _arrays(modality: Modality, known: Sequence[Sample], name: str) -> Mapping[str, Any]:
    if not known:
        smallest = {axis: bounds.smallest for axis, bounds in modality.axes.items()}
        drawn = modality.example(1, smallest, generator=np.random.default_rng(0))
        return {key: array[:0] for key, array in drawn.items()}
    try:
        return modality.to_arrays([sample.inputs[name] for sample in known])
    except DataError:
        _name_unreadable(modality.to_arrays, known, name)
        raise


def _name_unreadable(read: Callable[[list[Any]], object], samples: Sequence[Sample], name: str) -> None:
    for sample in samples:
        try:
            read([sample.inputs[name]])
        except DataError as error:
            raise DataError(f"sample {sample.key!r}, input {name!r}: {error}") from error


def _with_gaps(array: Any, there: Any) -> Any:
    full = np.zeros((len(there), *array.shape[1:]), array.dtype)
    full[there] = array
    return full
