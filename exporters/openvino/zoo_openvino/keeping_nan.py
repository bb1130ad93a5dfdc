"""Keeps NaN: OpenVINO's CPU plugin loses it in some operations, which are corrected here.

With a NaN, ``Relu``, ``Clamp``, ``Maximum``, ``Minimum`` and ``ReduceMax`` return the other value, ``Exp`` returns
infinity, and a ``Softmax`` with a NaN or an infinity in its row has zeros beside it. A broken input would then give a
plausible result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zoo_openvino.importing import openvino, ops

Node = Any  # the package has no types


def keep_nan(model: openvino.Model) -> None:
    """Correct every operation of ``model`` that loses NaN, in place."""
    for operation in model.get_ordered_ops():
        lost = _LOST.get(operation.get_type_name())
        if lost is not None and operation.get_output_element_type(0).is_real():
            made = operation.output(0)
            readers = made.get_target_inputs()  # except for those that are added here
            kept = ops.select(lost(operation), _nan(), operation).output(0)
            for reader in readers:
                reader.replace_source_output(kept)
            kept.get_tensor().set_names(made.get_tensor().get_names())
            made.get_tensor().set_names(set())


def _nan() -> Node:
    return ops.constant(float("nan"), openvino.Type.f32)


def _in_an_input(operation: Node) -> Node:
    """Return where one of the inputs is NaN."""
    first, *others = (ops.is_nan(source) for source in operation.input_values())
    for other in others:
        first = ops.logical_or(first, other)
    return first


def _in_the_rows(operation: Node) -> Node:
    """Return the rows that hold NaN, for an operation that keeps the shape."""
    axis = ops.constant([operation.get_axis()], openvino.Type.i64)
    return ops.reduce_logical_or(ops.is_nan(operation), axis, keep_dims=True)


def _in_what_is_reduced(operation: Node) -> Node:
    """Return the places at which a reduced number is NaN."""
    source, axes = operation.input_values()
    return ops.reduce_logical_or(ops.is_nan(source), axes, keep_dims=operation.get_keep_dims())


# For each kind of operation, the places at which it has lost NaN.
_LOST: dict[str, Callable[[Node], Node]] = {
    "Relu": _in_an_input,
    "Clamp": _in_an_input,
    "Exp": _in_an_input,
    "Maximum": _in_an_input,
    "Minimum": _in_an_input,
    "ReduceMax": _in_what_is_reduced,
    "ReduceMin": _in_what_is_reduced,
    "Softmax": _in_the_rows,
    "LogSoftmax": _in_the_rows,
}
