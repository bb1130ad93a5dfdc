"""Keeps NaN and infinity: OpenVINO's CPU plugin loses them in some operations, which are corrected here.

With a NaN, ``Relu``, ``Clamp``, ``Maximum``, ``Minimum`` and ``ReduceMax`` return the other value, ``Exp`` returns
infinity, and a ``Softmax`` with a NaN or an infinity in its row has zeros beside it. A broken input would then give a
plausible result. The largest of values that are all -inf is the lowest number of float32, and the smallest of values
that are all inf is the highest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from zoo_openvino.importing import openvino, ops

Node = Any  # the package has no types


def keep_special_values(model: openvino.Model) -> None:
    """Correct every operation of ``model`` that loses NaN or infinity, in place."""
    for operation in model.get_ordered_ops():
        kind = operation.get_type_name()
        if kind in _LOST and operation.get_output_element_type(0).is_real():
            made = operation.output(0)
            readers = made.get_target_inputs()  # except for those that are added here
            bounded = _infinite(operation, _BOUNDED[kind]) if kind in _BOUNDED else operation
            kept = ops.select(_LOST[kind](operation), _number(math.nan), bounded).output(0)
            for reader in readers:
                reader.replace_source_output(kept)
            kept.get_tensor().set_names(made.get_tensor().get_names())
            made.get_tensor().set_names(set())


def _number(value: float) -> Node:
    return ops.constant(value, openvino.Type.f32)


def _infinite(operation: Node, infinity: float) -> Node:
    """Return a reduction with this infinity where it reduces nothing else."""
    source, axes = operation.input_values()
    all_are = ops.reduce_logical_and(ops.equal(source, _number(infinity)), axes, keep_dims=operation.get_keep_dims())
    return ops.select(all_are, _number(infinity), operation)


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

# For each kind of operation that stops at the largest numbers of float32, the infinity that it does not reach.
_BOUNDED = {"ReduceMax": -math.inf, "ReduceMin": math.inf}
