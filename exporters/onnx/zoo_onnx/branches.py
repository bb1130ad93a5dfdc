"""Finds a branch on a size that a trace froze: the place at which a module behaves differently at other sizes."""

from __future__ import annotations

import copy
import itertools
import linecache
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zoo import Graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Lines = list[tuple[str, int, str]]

_EXAMPLE_ROWS = 2
_LIBRARIES = (str(Path(torch.__file__).parent), sysconfig.get_path("stdlib"))
_AGREES = 1e-6
_CURE = "Write one way for all sizes, such as a mask or torch.where, or bound the axis so that a single way is left"


def example_inputs(graph: Graph) -> Mapping[str, Array]:
    """Return the inputs that a graph is traced on."""
    sizes = {axis: _example_size(bounds.smallest, bounds.largest) for axis, bounds in graph.axes.items()}
    return graph.draw(_EXAMPLE_ROWS, sizes, np.random.default_rng(0))


def other_inputs(graph: Graph) -> Mapping[str, Array]:
    """Return inputs of other sizes than those of the trace: another number of rows, another size of each axis."""
    traced = {axis: _example_size(bounds.smallest, bounds.largest) for axis, bounds in graph.axes.items()}
    sizes = {axis: size - 1 if size > graph.axes[axis].smallest else size + 1 for axis, size in traced.items()}
    return graph.draw(_EXAMPLE_ROWS + 1, sizes, np.random.default_rng(0))


def _example_size(smallest: int, largest: int) -> int:
    """Return a size that is neither 0 nor 1, which tracing takes for constants, nor becomes one of them by strides."""
    return min(largest, max(smallest, 2) + max(3, (largest - smallest) // 2))


def frozen_branch(graph: Graph, traced: Mapping[str, Array] | None, inputs: Mapping[str, Array]) -> str:
    """Return a sentence about the frozen branch, or "" if the trace computes the same as the module on ``inputs``.

    ``traced`` are the outputs of the trace on ``inputs`` in float64; None if it cannot be run on them.
    """
    double = copy.deepcopy(graph.module).double().eval()
    with torch.no_grad():
        made = {name: tensor.numpy() for name, tensor in double(_tensors(inputs)).items()}
    if traced is not None and all(_agree(traced[name], made[name]) for name in graph.outputs):
        return ""
    return frozen_at(where_ways_part(graph, inputs))


def frozen_at(place: str) -> str:
    """Return the sentence that a branch was frozen at ``place``, which is "" if unknown."""
    at = f" at {place}" if place else ""
    return (
        f"A branch on a size was frozen{at}: the module goes another way at other sizes than it was traced at. {_CURE}"
    )


def where_ways_part(graph: Graph, inputs: Mapping[str, Array]) -> str:
    """Return the last line that a module runs both on ``inputs`` and on the traced ones, "" if all lines are the same.

    Lines of torch and of Python's own library are left out.
    """
    here, stopped = _lines(graph, inputs)
    there, _ = _lines(graph, example_inputs(graph))
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(here, there, strict=False))
    together = [line for line, _ in pairs]
    if not together or (len(together) == len(here) == len(there) and not stopped):
        return ""
    return shown_line(*together[-1])


def shown_line(path: str, line: int, function: str) -> str:
    """Return a line of Python as messages show it."""
    return f"{Path(path).name}, line {line}, in {function} (`{linecache.getline(path, line).strip()}`)"


def _lines(graph: Graph, inputs: Mapping[str, Array]) -> tuple[Lines, bool]:
    """Return the lines of Python that a module runs, as file, number and function, and whether an error stopped it."""
    lines: Lines = []

    def on_call(frame: FrameType, event: str, _: Any) -> Any:
        return None if frame.f_code.co_filename.startswith(_LIBRARIES) else on_line

    def on_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            lines.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        return on_line

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        with torch.no_grad():
            graph.module(_tensors(inputs, double=False))
    except (RuntimeError, ValueError, IndexError):
        return lines, True
    finally:
        sys.settrace(before)
    return lines, False


def _tensors(inputs: Mapping[str, Array], *, double: bool = True) -> dict[str, torch.Tensor]:
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.items()}
    if double:
        return {name: t.double() if t.is_floating_point() else t for name, t in tensors.items()}
    return tensors


def _agree(traced: Array, made: Array) -> bool:
    """Return whether a trace computes the same as its module, except for the order of additions."""
    if traced.shape != made.shape:
        return False
    size = np.abs(made[np.isfinite(made)]).max(initial=0) if made.dtype.kind == "f" else 0
    return bool(np.allclose(traced, made, rtol=_AGREES, atol=_AGREES * size, equal_nan=True))
