"""The inputs that a graph is judged on: extreme sizes, drawn sizes, and regimes (families) of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from zoo.protocols import Axis, Graph, TensorSpec
from zoo.recipes.naming import input_of, of_owner, presences, with_owner

if TYPE_CHECKING:
    from zoo.protocols import Array

Named = tuple[str, Mapping[str, "Array"]]

EVERY_VALUE = "every value of"
_RANDOM_CASES = 4
_LARGEST_RANDOM_BATCH = 9
_MANY_ROWS = 64
_MOST_VALUES = 4096
_PADDING = 3


def usual(graph: Graph, generator: np.random.Generator) -> Iterator[Named]:
    """Yield inputs as the modality draws them, in all sizes, and with values at the ends of their range."""
    smallest = {axis: bounds.smallest for axis, bounds in graph.axes.items()}
    largest = {axis: bounds.largest for axis, bounds in graph.axes.items()}
    yield "one row, smallest", graph.draw(1, smallest, generator)
    yield "one row, largest", graph.draw(1, largest, generator)
    yield "three rows, largest", graph.draw(3, largest, generator)
    for _ in range(_RANDOM_CASES):
        sizes = {
            axis: int(generator.integers(bounds.smallest, bounds.largest, endpoint=True))
            for axis, bounds in graph.axes.items()
        }
        batch = int(generator.integers(2, _LARGEST_RANDOM_BATCH, endpoint=True))
        yield f"{batch} rows, drawn sizes {tuple(sizes.values())}", graph.draw(batch, sizes, generator)
    yield f"{_MANY_ROWS} rows, smallest", graph.draw(_MANY_ROWS, smallest, generator)
    if graph.reference is not None:
        for name, inputs in graph.reference.spelt(generator):
            yield f"{EVERY_VALUE} {name}", inputs
    base = _middle(graph, generator)
    yield "zeros", {name: np.zeros_like(array) for name, array in base.items()}
    for name, array in base.items():
        if array.dtype == bool:
            yield f"one row of {name} false", {**base, name: _with_row(array, False)}
            if array.ndim > 1:
                yield f"the second half of {name} false", {**base, name: _with_half(array)}
        elif np.isfinite(graph.inputs[name].high) and not (graph.reference and name in graph.reference.raw):
            yield f"{name} at its highest", {**base, name: np.full_like(array, graph.inputs[name].high)}
            if array.dtype.kind in "iu":
                yield f"{EVERY_VALUE} {name}", every_value(graph, name, generator)


def extreme(graph: Graph, generator: np.random.Generator) -> Iterator[Named]:
    """Yield inputs with unusually large or small numbers, with NaN and infinity, and with gaps (missing values)."""
    base = _middle(graph, generator)
    for name, array in base.items():
        if array.dtype.kind == "f":
            if not np.isfinite(graph.inputs[name].high):
                yield f"{name} × 100", {**base, name: array * np.float32(100)}
                yield f"{name} × 1e-6", {**base, name: array * np.float32(1e-6)}
                yield f"two infinities in {name}", {**base, name: _with_first(array, {1: np.inf, 2: -np.inf})}
            yield f"one NaN in {name}", {**base, name: _with_first(array, {1: np.nan})}
    for part, name in presences(base).items():
        gap = {**_filled(graph, base, part), name: _with_row(base[name], False)}
        yield f"a gap of {part} full of numbers", {**base, **gap}


def every_value(graph: Graph, name: str, generator: np.random.Generator) -> Mapping[str, Array]:
    """Return inputs that hold every whole number that a tensor may hold, or many of them, evenly spaced."""
    spec = graph.inputs[name]
    count = int(min(spec.high - spec.low + 1, _MOST_VALUES))
    values = np.linspace(spec.low, spec.high, count).round()
    sizes = {axis: bounds.largest if axis in spec.axes else bounds.smallest for axis, bounds in graph.axes.items()}
    row = graph.draw(1, sizes, generator)[name].size
    base = graph.draw(-(-count // row), sizes, generator)
    own = with_owner(part := input_of(name), of_owner(part, base))
    seen = {key: np.ones_like(array) for key, array in own.items() if array.dtype == bool}
    return {**base, **seen, name: np.resize(values, base[name].shape).astype(base[name].dtype)}


def forms(
    specs: Mapping[str, TensorSpec], axes: Mapping[str, Axis], name: str, inputs: Mapping[str, Array]
) -> Iterator[Named]:
    """Yield the inputs of a case, and, if possible, the same with more padding, which must give the same results."""
    yield name, inputs
    padded = with_padding(specs, axes, inputs)
    if padded is not None:
        yield f"{name}, padded", padded


def with_padding(
    specs: Mapping[str, TensorSpec], axes: Mapping[str, Axis], inputs: Mapping[str, Array]
) -> dict[str, Array] | None:
    """Return the inputs with zeros appended along every padded axis, None if that is impossible."""
    sizes = sizes_of(specs, inputs)
    grown = {
        axis
        for axis, bounds in axes.items()
        if bounds.padded and axis in sizes and sizes[axis] + _PADDING <= bounds.largest
    }
    if not grown:
        return None
    padded = {}
    for name, array in inputs.items():
        widths = [(0, _PADDING if axis in grown else 0) for axis in specs[name].axes]
        padded[name] = np.pad(array, widths)
    return padded


def sizes_of(specs: Mapping[str, TensorSpec], inputs: Mapping[str, Array]) -> dict[str | int, int]:
    """Return the size of each axis in ``inputs``."""
    return {
        axis: size for name, array in inputs.items() for axis, size in zip(specs[name].axes, array.shape, strict=True)
    }


def _middle(graph: Graph, generator: np.random.Generator) -> Mapping[str, Array]:
    sizes = {axis: (bounds.smallest + bounds.largest) // 2 for axis, bounds in graph.axes.items()}
    return graph.draw(4, sizes, generator)


def _with_row(array: Array, value: bool) -> Array:
    changed = array.copy()
    changed[1] = value
    return changed


def _with_half(mask: Array) -> Array:
    """Return a mask that hides the second half of each row."""
    changed = np.ones_like(mask)
    changed[:, (mask.shape[1] + 1) // 2 :] = False
    return changed


def _with_first(array: Array, values: Mapping[int, float]) -> Array:
    """Return a copy in which some rows have another first number."""
    changed = array.copy()
    for row, value in values.items():
        changed[row].flat[0] = value
    return changed


def _filled(graph: Graph, base: Mapping[str, Array], part: str) -> dict[str, Array]:
    """Return the tensors of an input whose second row is as full as possible: NaN, highest values, nothing masked."""
    filled = {}
    for name, array in with_owner(part, of_owner(part, base)).items():
        filled[name] = array.copy()
        filled[name][1] = np.nan if array.dtype.kind == "f" else graph.inputs[name].high
    return filled
