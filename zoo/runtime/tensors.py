"""Tensors and free axes as a manifest describes them: every value is checked on reading."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, get_args

from zoo.errors import IntegrityError, SpecError
from zoo.protocols import Axis, DType, NormalForm, TensorSpec
from zoo.recipes.naming import is_text
from zoo.recipes.tables import Table

_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_LARGEST_SIZE = 2**63 - 1
_LARGEST_NUMBER = 2**64


def read_tensors(table: Table, way: str, axes: Mapping[str, Axis]) -> dict[str, TensorSpec]:
    """Read the tensors of a graph with these free axes: ``way`` is ``inputs`` or ``outputs``.

    Raises SpecError if one is described wrongly, IntegrityError if a name is not allowed.
    """
    written = table.take(way, dict)
    if not written:
        raise SpecError(f"{table.where}: a graph has {way}")
    found = {}
    for name, described in written.items():
        checked_name(name)
        spec = found[name] = _spec(described, f"{table.where}.{way}.{name}")
        free = {axis for axis in spec.axes[1:] if isinstance(axis, str)}
        if way == "inputs" and not free <= axes.keys():
            raise SpecError(f"{table.where}: 'axes' lacks {', '.join(sorted(free - axes.keys()))} of {name!r}")
        if is_text(name) and (len(spec.axes), len(free)) != (2, 1):
            raise SpecError(f"{table.where}: {name!r} has a free axis after the batch, got {spec.axes}")
    return found


def read_axes(table: Table) -> dict[str, Axis]:
    """Read the free axes of a graph; raises SpecError if one is described wrongly."""
    return {name: _axis(axis, f"{table.where}.axes.{name}") for name, axis in table.take("axes", dict).items()}


def written_tensors(tensors: Mapping[str, TensorSpec]) -> dict[str, Any]:
    """Return tensors for a manifest."""
    return {name: _written(name, spec) for name, spec in tensors.items()}


def written_axes(axes: Mapping[str, Axis]) -> dict[str, Any]:
    """Return free axes for a manifest."""
    return {name: asdict(axis) for name, axis in axes.items()}


def checked_name(name: str) -> None:
    """Raise IntegrityError if a name is not allowed."""
    if not _NAME.fullmatch(name):
        raise IntegrityError(
            f"the manifest names a graph or tensor {name!r}, which is not a valid name; do not use this bundle"
        )


def _spec(written: Any, where: str) -> TensorSpec:
    table = Table(written, where)
    dtype, axes = table.take("dtype", str), table.take("axes", list)
    if dtype not in get_args(DType):
        raise SpecError(f"{where}: 'dtype' is one of {', '.join(get_args(DType))}, got {dtype!r}")
    if not axes or not all(isinstance(axis, str) or _is_size(axis) for axis in axes):
        raise SpecError(f"{where}: 'axes' are names and sizes, at least one, got {axes!r:.200}")
    low, high = (_bound(table.anything(key), f"{where}.{key}") for key in ("low", "high"))
    form = table.take("normal_form", str, "NFC")
    if form not in get_args(NormalForm):
        raise SpecError(f"{where}: 'normal_form' is one of {', '.join(get_args(NormalForm))}, got {form!r}")
    return TensorSpec(
        dtype,  # type: ignore[arg-type]  # it was just looked up
        tuple(axes),
        float("-inf") if low is None else low,
        float("inf") if high is None else high,
        logarithm=table.take("logarithm", bool, False),
        normal_form=form,  # type: ignore[arg-type]  # it was just looked up
    )


def _axis(written: Any, where: str) -> Axis:
    table = Table(written, where)
    smallest, largest = table.take("smallest", int), table.take("largest", int)
    if not 0 <= smallest <= largest <= _LARGEST_SIZE:
        raise SpecError(f"{where}: 'smallest' and 'largest' are sizes in this order, got {smallest} and {largest}")
    return Axis(smallest, largest, table.take("padded", bool, False))


def _written(name: str, spec: TensorSpec) -> dict[str, Any]:
    bounds = {key: value if math.isfinite(value) else None for key, value in (("low", spec.low), ("high", spec.high))}
    logarithm = {"logarithm": True} if spec.logarithm else {}
    form = {"normal_form": spec.normal_form} if is_text(name) else {}
    return {"dtype": spec.dtype, "axes": list(spec.axes), **bounds, **logarithm, **form}


def _is_size(axis: Any) -> bool:
    return type(axis) is int and 0 <= axis <= _LARGEST_SIZE


def _bound(value: Any, where: str) -> float | None:
    if value is not None and (type(value) not in (int, float) or not abs(value) <= _LARGEST_NUMBER):
        raise SpecError(f"{where}: expected a number, got {value!r:.80}")
    bound: float | None = value
    return bound
