"""The rows that each step takes, and worker processes that read them ahead."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zoo.errors import DataError
from zoo.models.batches import Rows, RowsInMemory
from zoo.modules import Batch
from zoo.samples.decoding import leave_signals

STEPS, ORDERS = 0, 1


def seed_of(seed: int, stream: int, number: int, process: int = 0) -> int:
    """Return a distinct seed for each number of each stream; torch's CPU generator uses 32 bits of it."""
    text = f"{seed} {stream} {number}" + (f" {process}" if process else "")
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


class Order(Dataset[Tensor]):
    """The rows of every step: seed and epoch decide the order; a remainder too small for a batch is left out."""

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        self.rows = rows
        self.batch_size = min(batch_size, rows)
        self.seed = seed
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def __getitem__(self, step: int) -> Tensor:
        """Return the rows of a step, counted from 0."""
        epoch, position = divmod(step, self.rows // self.batch_size)
        if epoch != self._epoch:
            shuffle = torch.Generator().manual_seed(seed_of(self.seed, ORDERS, epoch))
            self._order = torch.randperm(self.rows, generator=shuffle)
            self._epoch = epoch
        start = position * self.batch_size
        return self._order[start : start + self.batch_size]


class Share:
    """The part of a batch that one of several processes takes: consecutive rows, as many as the others or one more."""

    def __init__(self, process: int = 0, processes: int = 1) -> None:
        self.process = process
        self.processes = processes

    def of(self, rows: Tensor) -> Tensor:
        """Return this process's part of ``rows``."""
        return rows.tensor_split(self.processes)[self.process]


class _Steps(Dataset[Batch | DataError]):
    """The batches by step, as a worker process reads them; an unreadable sample is returned as its error."""

    def __init__(self, rows: Rows, order: Order, share: Share) -> None:
        self.rows = rows
        self.order = order
        self.share = share

    def __getitem__(self, step: int) -> Batch | DataError:
        try:
            return self.rows.take(self.share.of(self.order[step]))
        except DataError as error:
            return error


def batches(rows: Rows, order: Order, share: Share, steps: range, *, workers: int) -> Iterator[Batch]:
    """Yield the batch of each step; ``workers`` processes read ahead if data are not in memory. Batches stay the same.

    Raises DataError for a sample that cannot be read.
    """
    taken = _Steps(rows, order, share)
    if workers == 0 or isinstance(rows, RowsInMemory):
        read: Iterator[Batch | DataError] = map(taken.__getitem__, steps)
    else:
        # Rows already come as batches, so there is nothing to collate.
        read = iter(
            DataLoader(taken, batch_size=None, sampler=steps, num_workers=workers, worker_init_fn=leave_signals)
        )
    for batch in read:
        if isinstance(batch, DataError):
            raise batch
        yield batch
