"""Runs many rows in batches of bounded size: rows of similar length together, results in the order of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import UsageError
from zoo.protocols import Axis, TensorSpec
from zoo.runtime.session import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.protocols import Array

BATCH_ROWS = 64
_FEWEST_ROWS = 16


def in_batches(session: Session, arrays: Mapping[str, Array], *, rows: int, trims: bool) -> dict[str, Array]:
    """Run a graph on all rows, at most ``rows`` at a time.

    With ``trims`` the rows are sorted by length, and each batch is padded only as far as its longest row needs; rows of
    less than half that length begin another batch. Do not trim a graph whose outputs are as long as its inputs.
    """
    if rows < 1:
        raise UsageError(f"batch_rows is at least 1, got {rows}")
    session.check(arrays)
    count = len(next(iter(arrays.values())))
    if count <= min(rows, _FEWEST_ROWS):
        return dict(session.compute(arrays))
    lengths = own_lengths(arrays, session.inputs, session.axes) if trims else {}
    totals = sum(lengths.values(), np.zeros(count, np.int64))
    # The longest rows first: the memory of the first batch is enough for all others.
    order = np.argsort(-totals, kind="stable")

    def answers() -> Iterator[tuple[NDArray[np.int64], Mapping[str, Array]]]:
        for batch in _cut(totals[order], rows):
            index = order[batch]
            longest = {axis: max(session.axes[axis].smallest, int(own[index].max())) for axis, own in lengths.items()}
            trimmed = {
                name: np.ascontiguousarray(_trimmed(array[index], session.inputs[name], longest))
                for name, array in arrays.items()
            }
            yield index, session.compute(trimmed)

    return in_order(answers(), count)


def _cut(totals: NDArray[np.int64], rows: int) -> Iterator[slice]:
    """Yield batches of at most ``rows`` rows, by falling length; no row is less than half as long as the first."""
    start = 0
    while start < len(totals):
        similar = int(np.searchsorted(-totals, -totals[start] // 2, side="right"))
        stop = min(start + rows, len(totals), max(similar, start + _FEWEST_ROWS))
        yield slice(start, stop)
        start = stop


def own_lengths(
    arrays: Mapping[str, Array], inputs: Mapping[str, TensorSpec], axes: Mapping[str, Axis]
) -> dict[str, NDArray[np.int64]]:
    """Return, by padded axis, how many places each row uses, up to the last one that is not zero in some tensor."""
    found: dict[str, NDArray[np.int64]] = {}
    for name, spec in inputs.items():
        for place, axis in enumerate(spec.axes):
            if isinstance(axis, str) and axis in axes and axes[axis].padded:
                used = arrays[name] != 0
                used = used.any(axis=tuple(other for other in range(1, used.ndim) if other != place))
                last = used.shape[1] - used[:, ::-1].argmax(axis=1)
                own = np.where(used.any(axis=1), last, 0)
                found[axis] = np.maximum(found[axis], own) if axis in found else own
    return found


def by_shape(values: Mapping[str, Sequence[Any]]) -> list[list[int]]:
    """Return the positions of the rows, grouped by the shapes of their arrays; one group if all shapes are equal."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, row in enumerate(zip(*values.values(), strict=True)):
        shapes = tuple(value.shape if isinstance(value, np.ndarray) else None for value in row)
        groups.setdefault(shapes, []).append(place)
    return list(groups.values())


def in_order(answers: Iterator[tuple[Any, Mapping[str, Array]]], count: int) -> dict[str, Array]:
    """Return results that come in groups of rows as one result for ``count`` rows in their original order."""
    whole: dict[str, Array] = {}
    for index, found in answers:
        for name, array in found.items():
            if name not in whole:
                whole[name] = np.empty((count, *array.shape[1:]), array.dtype)
            if whole[name].shape[1:] != array.shape[1:]:
                raise UsageError(
                    f"{name!r} has answers of shapes {whole[name].shape[1:]} and {array.shape[1:]}; run rows of other "
                    "shapes apart"
                )
            whole[name][index] = array
    return whole


def _trimmed(array: Array, spec: TensorSpec, sizes: Mapping[str, int]) -> Array:
    return array[tuple(slice(sizes.get(str(axis))) for axis in spec.axes)]
