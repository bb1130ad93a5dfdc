"""Compares the ranges of calibration rows with those of held-out rows, since a calibrated file clips to the former."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import ParityError
from zoo.parity.precisions import Precision
from zoo.protocols import RunsArrays

if TYPE_CHECKING:
    from zoo.protocols import Array

# Some held-out values exceed the ranges of 128 rows; for a representative draw it is far less than this fraction.
MOST_OUTSIDE = 0.05


def check_ranges(
    graph: str,
    precision: Precision,
    calibration: Sequence[Mapping[str, Array]],
    held_out: Sequence[Mapping[str, Array]],
    run: RunsArrays,
) -> None:
    """Compare the ranges of a graph's inputs and outputs on rows for calibration with those on held-out rows.

    ``run`` is the graph in float32. Raises ParityError, naming the tensor and both ranges, if more than a twentieth of
    its held-out values lie outside of the calibrated range: they would be clipped to its ends.
    """
    seen, met = (_values(rows, run) for rows in (calibration, held_out))
    for name, values in met.items():
        low, high = seen[name].min(), seen[name].max()
        outside = float(np.mean((values < low) | (values > high)))
        if outside > MOST_OUTSIDE:
            raise ParityError(
                f"{graph}: the rows that were drawn for calibration have {name!r} from {low:.3g} to {high:.3g}, "
                f"held-out rows from {values.min():.3g} to {values.max():.3g}, {outside:.0%} of them outside: "
                f"{precision.name} would clip these. Let the split 'train' hold rows like those that are served, or "
                "leave the precision out"
            )


def _values(rows: Sequence[Mapping[str, Array]], run: RunsArrays) -> dict[str, Array]:
    """Return all finite numbers of each float tensor of a graph, its inputs and outputs, over the rows."""
    found: dict[str, list[Array]] = {}
    for inputs in rows:
        for name, array in {**inputs, **run(inputs)}.items():
            if array.dtype.kind == "f":
                found.setdefault(name, []).append(array[np.isfinite(array)])
    joined = {name: np.concatenate(arrays) for name, arrays in found.items()}
    return {name: values for name, values in joined.items() if values.size}
