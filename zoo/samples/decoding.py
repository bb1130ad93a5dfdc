"""The raw values of one input as arrays: files are decoded in pieces, by worker processes, and kept in the cache."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from zoo.errors import DataError
from zoo.protocols import Modality, Sample
from zoo.runtime.gaps import no_rows
from zoo.samples.decoded_cache import Decoded

if TYPE_CHECKING:
    from zoo.protocols import Array

_PIECE_BYTES = 4 << 20
_MOST_ROWS = 256
# Below this number of files, decoding is faster than starting worker processes.
_WORTH_WORKERS = 512


@dataclass(frozen=True)
class Reading:
    """How files are read: by ``workers`` processes, and with a callback for the values read and their total."""

    workers: int = 0
    observe: Callable[[int, int], None] | None = None


ALONE = Reading()


@dataclass(frozen=True)
class Column:
    """The arrays of one input, with a row for each position in ``places``, and the faults of the other values."""

    places: NDArray[np.int64]
    arrays: Mapping[str, Array]
    bad: Mapping[int, DataError] = field(default_factory=dict)


def read_columns(
    samples: Sequence[Sample],
    modalities: Mapping[str, Modality],
    *,
    reading: Reading = ALONE,
    row_bytes: float = 0,
    all_bad: bool = True,
) -> dict[str, Column]:
    """Return the column of each input; ``row_bytes`` is the rough size of a row and decides the size of the pieces.

    Raises DataError for the first value that cannot be read, unless all such values are to be collected (``all_bad``).
    """
    known = {name: _known(samples, name) for name in modalities}
    total, done = sum(map(len, known.values())), 0
    piece_rows = max(1, min(_MOST_ROWS, round(_PIECE_BYTES / max(1.0, row_bytes))))
    columns = {}
    for name, modality in modalities.items():
        pieces = _Pieces([samples[place] for place in known[name]], modality, name, piece_rows, all_bad)
        kept = Decoded.of([sample.inputs[name] for sample in pieces.samples], modality) if pieces.of_files() else None
        read = kept.load() if kept is not None else None
        if read is None:
            read = _joined(pieces, reading, functools.partial(_tell, reading, total, done))
            if kept is not None and (all_bad or not read[1]):
                kept.keep(*read)
        else:
            _tell(reading, total, done, len(pieces.samples))
        arrays, bad = read
        errors = {
            known[name][number]: DataError(f"sample {pieces.samples[number].key!r}, input {name!r}: {reason}")
            for number, reason in bad.items()
        }
        if errors and not all_bad:
            raise errors[min(errors)]
        done += len(pieces.samples)
        columns[name] = Column(
            np.array([place for place in known[name] if place not in errors], np.int64), arrays, errors
        )
    return columns


def _known(samples: Sequence[Sample], name: str) -> list[int]:
    return [place for place, sample in enumerate(samples) if sample.inputs.get(name) is not None]


def _tell(reading: Reading, total: int, before: int, done: int) -> None:
    if reading.observe is not None:
        reading.observe(before + done, total)


# The arrays of the values that can be read, and the faults of the others by their number.
_Read = tuple[dict[str, "Array"], dict[int, str]]


class _Pieces(Dataset[_Read]):
    """The values of one input, in pieces."""

    def __init__(
        self, samples: Sequence[Sample], modality: Modality, name: str, piece_rows: int, all_bad: bool
    ) -> None:
        self.samples, self.modality, self._name, self.all_bad = samples, modality, name, all_bad
        self.rows = piece_rows if self.of_files() else max(1, len(samples))

    def of_files(self) -> bool:
        """Return whether every value is a file."""
        return bool(self.samples) and all(isinstance(sample.inputs[self._name], Path) for sample in self.samples)

    def __len__(self) -> int:
        return -(-len(self.samples) // self.rows)

    def __getitem__(self, number: int) -> _Read:
        """Return the arrays of a piece, and the faults of values that cannot be read, by their number in the piece."""
        samples = self.samples[number * self.rows : (number + 1) * self.rows]
        try:
            return self._arrays(samples), {}
        except DataError:
            bad = self._bad(samples)
            if not bad:
                raise
        return self._arrays([sample for place, sample in enumerate(samples) if place not in bad]), bad

    def _arrays(self, samples: Sequence[Sample]) -> dict[str, Array]:
        if not samples:
            return no_rows(self.modality)
        return dict(self.modality.to_arrays([sample.inputs[self._name] for sample in samples]))

    def _bad(self, samples: Sequence[Sample]) -> dict[int, str]:
        bad: dict[int, str] = {}
        for place, sample in enumerate(samples):
            try:
                self.modality.to_arrays([sample.inputs[self._name]])
            except DataError as error:
                bad[place] = str(error)
                if not self.all_bad:
                    return bad
        return bad


def _joined(pieces: _Pieces, reading: Reading, observe: Callable[[int], None]) -> _Read:
    """Return all pieces as one; rows shorter than the longest are padded with zeros."""
    if len(pieces) == 1:
        read = pieces[0]
        observe(len(pieces.samples))
        return read
    stacks: dict[str, _Stack] = {}
    bad: dict[int, str] = {}
    for number, (arrays, wrong) in enumerate(_in_turn(pieces, reading.workers)):
        for name, array in arrays.items():
            stacks.setdefault(name, _Stack(len(pieces.samples))).add(array)
        bad |= {number * pieces.rows + place: reason for place, reason in wrong.items()}
        if bad and not pieces.all_bad:
            break
        observe(min((number + 1) * pieces.rows, len(pieces.samples)))
    return {name: stack.whole() for name, stack in stacks.items()} or no_rows(pieces.modality), bad


class _Stack:
    """Collects the rows of several arrays in one, at most ``rows`` of them, each as long as the longest."""

    def __init__(self, rows: int) -> None:
        self._rows, self._filled = rows, 0
        self._sizes: tuple[int, ...] = ()
        self._array: Array | None = None

    def add(self, part: Array) -> None:
        """Copy the rows of ``part`` after the present rows."""
        if self._array is None:
            self._sizes = part.shape[1:]
            self._array = np.zeros((self._rows, *self._sizes), part.dtype)
        elif any(longer := [size > held for size, held in zip(part.shape[1:], self._array.shape[1:], strict=True)]):
            # A quarter more than needed, so that growing lengths rarely cause a copy.
            grown = np.where(longer, np.array(part.shape[1:]) * 5 // 4, self._array.shape[1:])
            before, self._array = self._array, np.zeros((self._rows, *grown), part.dtype)
            self._put(before[: self._filled], 0)
        self._sizes = tuple(map(max, self._sizes, part.shape[1:]))
        self._put(part, self._filled)
        self._filled += len(part)

    def whole(self) -> Array:
        """Return all rows."""
        if self._array is None:
            raise ValueError("no part was added")
        return self._array[(slice(self._filled), *map(slice, self._sizes))]

    def _put(self, part: Array, start: int) -> None:
        if self._array is not None:
            self._array[(slice(start, start + len(part)), *map(slice, part.shape[1:]))] = part


def _in_turn(pieces: _Pieces, workers: int) -> Iterator[_Read]:
    if workers == 0 or not pieces.of_files() or len(pieces.samples) < _WORTH_WORKERS:
        yield from map(pieces.__getitem__, range(len(pieces)))
        return
    # The receiver of a piece copies it: the memory shared with the workers is scarce.
    loader = DataLoader(pieces, batch_size=None, num_workers=workers, worker_init_fn=leave_signals)
    for arrays, bad in loader:
        yield {name: tensor.numpy() for name, tensor in arrays.items()}, bad


def leave_signals(worker: int) -> None:
    """Let the main process alone handle Ctrl-C; it ends its workers by SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
