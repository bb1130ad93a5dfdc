"""The precisions of a file, in one table: what each is called, how far it may lie from float64, whether it needs data.

Another thing is the ``precision`` of a training, which is what its steps compute in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# The precision of every bundle: the bits that the model was trained with.
FULL = "fp32"


@dataclass(frozen=True)
class Precision:
    """What a file of fewer bits is held to: the error of a row as a share of the largest number there.

    Where all of a row is small, the middle row of that output stands in for it: an answer near zero is no less exact
    for being near zero. Whole numbers, which a threshold or a choice made, are not compared: the metric of the task
    tells what they are worth. ``reason`` says where the share comes from.

    A ``calibrated`` one cuts values to ranges that are taken from rows of the data: it cannot be made without them, and
    is judged on them alone.
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
