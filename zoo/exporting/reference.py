"""The reference of a bundle: cases for judging it again, on any machine, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from zoo.exporting.judging import Case
from zoo.parity.regimes import EVERY_VALUE

if TYPE_CHECKING:
    from zoo.protocols import Array

_REFERENCE_BYTES = 256 << 10


def reference(name: str, cases: Sequence[Case]) -> dict[str, Array]:
    """Return cases of the graph ``name`` as arrays for one file: inputs, float64 outputs, tolerances.

    These are the cases that hold every value of an input, then the smaller ones, as many as fit.
    """
    fitting = sorted((case for case in cases if _size(case) <= _REFERENCE_BYTES), key=_rank)
    totals = accumulate(map(_size, fitting))
    kept = [case for case, total in zip(fitting, totals, strict=True) if total <= _REFERENCE_BYTES]
    return {
        f"{name}/{number}/{part}/{tensor}": np.ascontiguousarray(array)
        for number, case in enumerate(kept or [min(cases, key=_size)])
        for part, arrays in (("inputs", case.inputs), ("expected", case.expected), ("allowed", case.allowed))
        for tensor, array in arrays.items()
    }


def _rank(case: Case) -> tuple[bool, int]:
    return not case.name.startswith(EVERY_VALUE), _size(case)


def _size(case: Case) -> int:
    return sum(array.nbytes for arrays in (case.inputs, case.expected) for array in arrays.values())
