"""The arithmetic of parity, with NumPy alone, so that a bundle can be judged again without torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import ParityError
from zoo.parity.precisions import Precision
from zoo.protocols import TensorSpec

if TYPE_CHECKING:
    from zoo.protocols import Array

_ULP = 2.0**-23


@dataclass(frozen=True)
class Compared:
    """The row that came closest to its tolerance; ``used`` is its error as a fraction of the allowed error."""

    case: str
    output: str
    used: float
    max_abs_error: float

    def __lt__(self, other: Compared) -> bool:
        """Order by the fraction of the tolerance that was used."""
        return self.used < other.used


def tolerance(torch32: Array, float64: Array, ulps: int, *, logarithm: bool = False) -> Array:
    """Return how far each row may lie from float64.

    With the maxima taken over the numbers of the row:

        tolerance = max(8 · |torch32 − float64|, ulps · 2⁻²³ · |float64|)

    With ``logarithm`` the size |float64| of a row counts as at least 1: the absolute error of a logarithm is the
    relative error of its argument, whatever the size of the logarithm.
    """
    size = np.abs(np.where(np.isfinite(float64) & np.isfinite(torch32), float64, 0))
    least = ulps * _ULP * np.maximum(_row_max(size), float(logarithm))
    allowed: Array = np.maximum(8 * apart(torch32, float64), least)
    return allowed


def apart(found: Array, float64: Array) -> Array:
    """Return how far each row lies from float64: the largest difference over the numbers that are finite in both."""
    finite = np.isfinite(float64) & np.isfinite(found)
    return _row_max(np.abs(np.where(finite, found, 0) - np.where(finite, float64, 0)))


def usual_size(arrays: Iterable[Array]) -> float:
    """Return the median, over all rows, of the row's largest |float64|; ``arrays`` are one output in several cases."""
    sizes = np.concatenate([_row_max(np.abs(np.where(np.isfinite(array), array, 0))) for array in arrays])
    return float(np.median(sizes)) if sizes.size else 0.0


def reduced_tolerance(float64: Array, usual: float, precision: Precision) -> Array:
    """Return how far each row may lie from float64 in a file of ``precision``; ``usual`` is the output's usual size.

    With the inner maximum taken over the numbers of the row:

        tolerance = row_error · max(max |float64|, usual)
    """
    if not np.issubdtype(float64.dtype, np.floating):
        return np.full(len(float64), np.inf)
    allowed: Array = precision.row_error * np.maximum(_row_max(np.abs(float64)), usual)
    return allowed


def compare(
    graph: str,
    case: str,
    found: Mapping[str, Array],
    expected: Mapping[str, Array],
    allowed: Mapping[str, Array],
    outputs: Mapping[str, TensorSpec],
) -> Compared:
    """Compare the outputs of one case with float64, row by row.

    Raises ParityError, saying which output and row differ, by how much, and how much is allowed.
    """
    worst = Compared(case, "", 0.0, 0.0)
    for name, spec in outputs.items():
        here = f"{graph}, case {case!r}, output {name!r}"
        if name not in found:
            raise ParityError(f"{here}: the file has no such output; it has {', '.join(found)}")
        got, want = found[name], expected[name]
        if got.dtype != spec.dtype or got.shape != want.shape:
            raise ParityError(
                f"{here}: expected {spec.dtype} of shape {want.shape}, the file gives {got.dtype} of shape {got.shape}"
            )
        if not (np.array_equal(np.isnan(got), np.isnan(want)) and np.array_equal(_infinities(got), _infinities(want))):
            raise ParityError(f"{here}: NaN or infinity is in other places than in torch")
        finite = np.isfinite(want)
        error = _row_max(np.abs(np.where(finite, got, 0).astype(np.float64) - np.where(finite, want, 0)))
        for row in np.flatnonzero(~(error <= allowed[name])):
            raise ParityError(
                f"{here}, row {row}: differs from float64 by {error[row]:.3g}, allowed is {allowed[name][row]:.3g}; "
                "look for the operation that the exporter translates otherwise than torch computes it"
            )
        used = np.divide(error, allowed[name], out=np.zeros_like(error), where=allowed[name] > 0)
        place = int(used.argmax()) if used.size else 0
        if used.size:
            worst = max(worst, Compared(case, name, float(used[place]), float(error.max())))
    return worst


def _row_max(array: Array) -> Array:
    rows: Array = array.reshape(len(array), math.prod(array.shape[1:])).max(axis=1, initial=0)
    return rows


def _infinities(array: Array) -> Array:
    signs: Array = np.where(np.isinf(array), np.sign(array.astype(np.float64)), 0)
    return signs
