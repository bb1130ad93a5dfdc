"""The precisions of a file, in one table: name, allowed difference from float64, and whether data are needed.

The ``precision`` of a training is something else: the number format in which its steps compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# The precision of every bundle: the number format that the model was trained in.
FULL = "fp32"


@dataclass(frozen=True)
class Precision:
    """What a file with fewer bits per number is held to: the error of a row as a fraction of the row's largest number.

    If a whole row is small, the output's usual size (the median of this largest number over all rows) is taken instead:
    a result near zero cannot be expected to be more exact than others. Whole numbers, which come from a threshold or a
    choice, are not compared: the metric of the task shows how good they are. ``reason`` says where the fraction comes
    from.

    A ``calibrated`` precision clips values to ranges that are measured on rows of the data. It cannot be made without
    such rows, and is judged only on them.
    """

    name: str
    row_error: float
    reason: str
    calibrated: bool = False


PRECISIONS: Mapping[str, Precision] = {
    precision.name: precision
    for precision in (
        Precision("fp16", 0.02, "40 roundings of 2⁻¹¹ each, all to one side; infinite above 65504"),
        Precision("int8", 0.2, "13 steps of 1/63 of the largest weight, which has 7 bits"),
        Precision("int8-weights", 0.1, "13 steps of 1/127 of the largest of some weights side by side"),
        Precision("int8-static", 0.25, "7 bits, in ranges that the calibration saw", calibrated=True),
    )
}
