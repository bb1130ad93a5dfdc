"""From samples to batches. Data that fit in memory become tensors once; other data are read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.errors import DataError, UsageError
from zoo.models.graphs import as_tensors
from zoo.modules import Batch
from zoo.protocols import Modality, Sample
from zoo.runtime.gaps import with_gaps
from zoo.samples.decoding import ALONE, Column, Reading, read_columns
from zoo.samples.groups import groups_of
from zoo.samples.missing import Skip, with_files

# By input, a number per sample; equal values have the same.
Groups = Mapping[str, NDArray[np.int64]]
_MEMORY_BYTES = 4 << 30
_PROBE_ROWS = 8
_READ_AT_ONCE = 256


class Rows(Protocol):
    """The rows of a split, ready to be taken as batches, and their samples."""

    @property
    def samples(self) -> Sequence[Sample]:
        """Return a sample for each row."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def take(self, index: Tensor) -> Batch:
        """Return the rows at ``index`` as a batch."""


@dataclass(frozen=True)
class RowsInMemory:
    """All rows as tensors, and their samples if these are known."""

    batch: Batch
    samples: Sequence[Sample] = ()

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
    skip: Skip | None = None
    groups: Groups = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.samples)

    def take(self, index: Tensor) -> Batch:
        """Return the rows at ``index`` as a batch, without those that cannot be read and may be skipped."""
        groups = {name: numbers[index.numpy()] for name, numbers in self.groups.items()}
        samples = [self.samples[position] for position in index.tolist()]
        return _in_memory(samples, self.modalities, self.skip, groups=groups).batch


def load_rows(
    samples: Sequence[Sample],
    modalities: Mapping[str, Modality],
    *,
    where: str,
    skip: Skip | None = None,
    reading: Reading = ALONE,
    grouped: bool = False,
) -> Rows:
    """Return the samples as rows; ``where`` names the split for messages, ``reading`` says how files are read.

    If ``grouped``, the batches say which rows hold equal values of an input. Samples that cannot be read are left out
    if ``skip`` is given, which is called for each. Raises UsageError for an empty split or one without any of the
    inputs, DataError for a sample that cannot be read or for missing files.
    """
    given = len(samples)
    if not samples:
        raise UsageError(f"{where} has no samples; choose another split or add data")
    if all(sample.inputs.get(name) is None for sample in samples for name in modalities):
        known = sorted({key for sample in samples[:100] for key in sample.inputs})
        asked = " or ".join(map(repr, modalities))
        raise UsageError(f"{where}: no sample has the input {asked}; the data has {', '.join(known)}")
    samples = with_files(samples, modalities, where=where, skip=skip)
    probe = _read(samples[:_PROBE_ROWS], modalities, skip and _told_later)
    row_bytes = sum(t.nbytes for tensors in probe.inputs.values() for t in tensors.values()) / max(1, probe.rows)
    groups = groups_of(samples, modalities) if grouped else {}
    if row_bytes * len(samples) > _MEMORY_BYTES:
        return RowsOnDemand(samples, modalities, skip, groups)
    rows = _in_memory(samples, modalities, skip, row_bytes, reading, groups)
    if not len(rows):
        raise UsageError(f"{where}: none of its {given} samples can be read; repair their files, or name other data")
    return rows


def _in_memory(
    samples: Sequence[Sample],
    modalities: Mapping[str, Modality],
    skip: Skip | None,
    row_bytes: float = 0,
    reading: Reading = ALONE,
    groups: Groups | None = None,
) -> RowsInMemory:
    columns = read_columns(samples, modalities, reading=reading, row_bytes=row_bytes, all_bad=skip is not None)
    kept = _kept(samples, columns, skip)
    inputs: dict[str, dict[str, Tensor]] = {}
    present: dict[str, Tensor] = {}
    for name, column in columns.items():
        rows, there = np.isin(column.places, kept), np.isin(kept, column.places)
        arrays = {key: array if rows.all() else array[rows] for key, array in column.arrays.items()}
        inputs[name] = as_tensors({key: with_gaps(array, there) for key, array in arrays.items()})
        present[name] = torch.from_numpy(there)
    numbers = {name: torch.from_numpy(group[kept]) for name, group in (groups or {}).items()}
    return RowsInMemory(Batch(inputs, present, numbers), [samples[place] for place in kept])


def _kept(samples: Sequence[Sample], columns: Mapping[str, Column], skip: Skip | None) -> NDArray[np.int64]:
    """Return the positions of the samples that are readable in all columns; ``skip`` is called for the others."""
    bad: dict[int, DataError] = {}
    for column in columns.values():
        bad = {**column.bad, **bad}  # if several inputs are bad, the first is reported
    for place in sorted(bad):
        if skip is not None:
            skip(samples[place], bad[place])
    return np.array([place for place in range(len(samples)) if place not in bad], np.int64)


def to_batch(samples: Sequence[Sample], modalities: Mapping[str, Modality]) -> Batch:
    """Turn samples into one batch; a missing value becomes a row of zeros that is not present.

    Raises DataError naming the sample that cannot be read.
    """
    return _in_memory(samples, modalities, None).batch


def readable(samples: Sequence[Sample], modalities: Mapping[str, Modality], *, skip: Skip) -> Iterator[Sample]:
    """Yield the samples whose present inputs can all be read; ``skip`` is called for the others."""
    samples = with_files(samples, modalities, where="", skip=skip)
    for start in range(0, len(samples), _READ_AT_ONCE):
        some = samples[start : start + _READ_AT_ONCE]
        yield from (some[place] for place in _kept(some, read_columns(some, modalities), skip))


def fit_modality(modality: Modality, samples: Sequence[Sample], name: str, *, skip: Skip | None = None) -> Modality:
    """Return the modality fitted on the values of the input ``name``, without those that are skipped.

    Raises DataError naming the sample that cannot be read.
    """
    known = [sample for sample in samples if sample.inputs.get(name) is not None]
    if not known:
        return modality  # load_rows reports that no sample has the input
    try:
        return modality.fit(sample.inputs[name] for sample in known)
    except DataError:
        bad = {sample.key for sample in _unreadable(modality.fit, known, name, skip)}
        if not bad:
            raise
    return modality.fit(sample.inputs[name] for sample in known if sample.key not in bad)


def in_order(rows: Rows, index: Tensor, batch_size: int) -> Iterator[Batch]:
    """Yield the rows at ``index`` in batches of at most ``batch_size``."""
    for start in range(0, len(index), batch_size):
        yield rows.take(index[start : start + batch_size])


def _told_later(sample: Sample, error: DataError) -> None:
    """Do nothing: all rows are read once more, and faults are reported then."""


def _read(samples: Sequence[Sample], modalities: Mapping[str, Modality], skip: Skip | None) -> Batch:
    """Turn samples into one batch; if ``skip`` is given, it is called for unreadable ones, which are left out."""
    return _in_memory(samples, modalities, skip).batch


def _unreadable(
    read: Callable[[list[Any]], object], samples: Sequence[Sample], name: str, skip: Skip | None
) -> list[Sample]:
    """Return the samples whose input ``name`` cannot be read; raise for the first if ``skip`` is None."""
    found = []
    for sample in samples:
        try:
            read([sample.inputs[name]])
        except DataError as error:
            named = DataError(f"sample {sample.key!r}, input {name!r}: {error}")
            if skip is None:
                raise named from error
            skip(sample, named)
            found.append(sample)
    return found
