"""The parity contract: an exported graph must compute what torch computes, at sizes that the export never saw.

The reference is the same module in float64. A row of an output may lie from it by at most
max(8 · |torch32 − f64|, K · 2⁻²³ · |f64|), each the largest over the row, with K the graph's ``parity_ulps``. NaN and
infinity must stand in the same places; shapes and dtypes must be the declared ones; padding must change nothing; two
loads of one file must give the same bits.

Whole numbers must be the same but where the weights do not decide them: a row of them may lie as far off, eightfold, as
it comes to lie when the weights of the float64 module are moved by about K · 2⁻²³ of themselves. So a text may read
otherwise from where its two most probable words all but tie, which no file in float32 can tell apart.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from zoo.errors import ParityError
from zoo.graphs import as_tensors
from zoo.parity import PRECISIONS, Compared, compare, reduced_tolerance, tolerance, usual_size
from zoo.protocols import Graph, RunsArrays

if TYPE_CHECKING:
    from zoo.protocols import Array

_RANDOM_CASES = 4
_LARGEST_RANDOM_BATCH = 9
_PADDING = 3
_MOVES = 2  # each to both sides: of two values that all but tie, one side lifts the one, one the other


@dataclass(frozen=True)
class Case:
    """Inputs that a graph is judged on, what float64 makes of them, and how far a row may lie from it.

    ``extreme`` says that values lie far outside of what the modality draws: NaN, or numbers of another size.
    """

    name: str
    inputs: Mapping[str, Array]
    expected: Mapping[str, Array]
    allowed: Mapping[str, Array]
    extreme: bool = False


@dataclass(frozen=True)
class Verdict:
    """How one graph fared: the number of cases, and where it came nearest to its tolerance."""

    graph: str
    cases: int
    worst: Compared
    parity_ulps: int
    parity_reason: str

    def summary(self) -> dict[str, Any]:
        """Return the verdict for a manifest."""
        return {
            "cases": self.cases,
            "parity_ulps": self.parity_ulps,
            "parity_reason": self.parity_reason,
            **asdict(self.worst),
        }


def judge(
    graph: Graph, cases: Iterable[Case], runner: RunsArrays, again: RunsArrays, precision: str | None = None
) -> Verdict:
    """Compare an exported graph with torch on every case; ``again`` is a second load of the same file.

    ``precision`` is the name of one of ``PRECISIONS`` where the file has fewer bits than float32; it is then held to
    ``at_precision`` of the cases.

    Raises ParityError, naming the graph, the case, the output and the row, where it misses.
    """
    worst = Compared("", "", 0.0, 0.0)
    count = 0
    for case in cases if precision is None else at_precision(cases, precision):
        found = runner(case.inputs)
        worst = max(worst, compare(graph.name, case.name, found, case.expected, case.allowed, graph.outputs))
        for name, array in again(case.inputs).items():
            if array.tobytes() != found[name].tobytes():
                raise ParityError(
                    f"{graph.name}, case {case.name!r}: two loads of the file give other bits in {name!r}; "
                    "the exporter's file is not deterministic"
                )
        padded = with_padding(graph, case.inputs)
        if padded is not None:
            longer = replace(case, name=f"{case.name}, padded")
            worst = max(
                worst, compare(graph.name, longer.name, runner(padded), case.expected, case.allowed, graph.outputs)
            )
            count += 1
        count += 1
    return Verdict(graph.name, count, worst, graph.parity_ulps, graph.parity_reason)


def make_cases(graph: Graph, *, seed: int = 0) -> list[Case]:
    """Return the cases of a graph: corners of its sizes, random sizes, and regimes of values."""
    double = copy.deepcopy(graph.module).double().eval()
    single = graph.module.eval()
    moved = list(_moved(double, graph.parity_ulps, seed)) if _whole_numbers(graph) else []
    generator = np.random.default_rng(seed)
    return [
        replace(_case(graph, single, double, moved, name, inputs), extreme=extreme)
        for extreme, draws in ((False, _drawn), (True, _extreme))
        for name, inputs in draws(graph, generator)
    ]


def at_precision(cases: Iterable[Case], precision: str) -> list[Case]:
    """Return the cases as a file of ``precision`` is judged by them: wider tolerances, and no extreme values."""
    stated = PRECISIONS[precision]
    kept = [case for case in cases if not case.extreme]
    outputs = kept[0].allowed if kept else ()
    usual = {name: usual_size(case.expected[name] for case in kept) for name in outputs}
    return [
        replace(
            case,
            allowed={
                name: np.maximum(case.allowed[name], reduced_tolerance(case.expected[name], usual[name], stated))
                for name in outputs
            },
        )
        for case in kept
    ]


def with_padding(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array] | None:
    """Return the inputs with zeros appended along every padded axis, None where that cannot be done."""
    sizes = sizes_of(graph, inputs)
    grown = {axis for axis, bounds in graph.axes.items() if bounds.padded and sizes[axis] + _PADDING <= bounds.largest}
    if not grown:
        return None
    padded = {}
    for name, array in inputs.items():
        widths = [(0, _PADDING if axis in grown else 0) for axis in graph.inputs[name].axes]
        padded[name] = np.pad(array, widths)
    return padded


def sizes_of(graph: Graph, inputs: Mapping[str, Array]) -> dict[str | int, int]:
    """Return the size of each free axis in ``inputs``."""
    return {
        axis: size
        for name, array in inputs.items()
        for axis, size in zip(graph.inputs[name].axes, array.shape, strict=True)
    }


def _drawn(graph: Graph, generator: np.random.Generator) -> Iterator[tuple[str, Mapping[str, Array]]]:
    """Yield inputs as the modality draws them, in all sizes, and with the values at the ends of their range."""
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
    base = _middle(graph, generator)
    yield "zeros", {name: np.zeros_like(array) for name, array in base.items()}
    for name, array in base.items():
        if graph.inputs[name].dtype == "bool":
            masked = array.copy()
            masked[1] = False
            yield f"one row of {name} false", {**base, name: masked}
        elif np.isfinite(graph.inputs[name].high):
            yield f"{name} at its highest", {**base, name: np.full_like(array, graph.inputs[name].high)}


def _extreme(graph: Graph, generator: np.random.Generator) -> Iterator[tuple[str, Mapping[str, Array]]]:
    """Yield inputs with numbers of another size than the modality draws, and with those that are none."""
    base = _middle(graph, generator)
    for name, array in base.items():
        if array.dtype.kind == "f" and not np.isfinite(graph.inputs[name].high):
            yield f"{name} × 100", {**base, name: array * np.float32(100)}
            yield f"{name} × 1e-6", {**base, name: array * np.float32(1e-6)}
            broken = array.copy()
            broken[1].flat[0] = np.nan
            yield f"one NaN in {name}", {**base, name: broken}


def _middle(graph: Graph, generator: np.random.Generator) -> Mapping[str, Array]:
    sizes = {axis: (bounds.smallest + bounds.largest) // 2 for axis, bounds in graph.axes.items()}
    return graph.draw(4, sizes, generator)


@torch.no_grad()
def _case(graph: Graph, single: Any, double: Any, moved: Sequence[Any], name: str, inputs: Mapping[str, Array]) -> Case:
    tensors = as_tensors(inputs)
    doubled = {key: tensor.double() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
    expected = {key: tensor.numpy() for key, tensor in double(doubled).items()}
    torch32 = {key: tensor.numpy() for key, tensor in single(tensors).items()}
    allowed = {key: tolerance(torch32[key], expected[key], graph.parity_ulps) for key in graph.outputs}
    for module in moved:
        made = module(doubled)
        for key in _whole_numbers(graph):
            apart = tolerance(made[key].numpy(), expected[key], graph.parity_ulps)
            allowed[key] = np.maximum(allowed[key], apart)
    return Case(name, inputs, expected, allowed)


def _whole_numbers(graph: Graph) -> list[str]:
    return [name for name, spec in graph.outputs.items() if not spec.dtype.startswith("float")]


@torch.no_grad()
def _moved(double: nn.Module, ulps: int, seed: int) -> Iterator[nn.Module]:
    """Yield copies of a module with its weights moved by about ``ulps`` · 2⁻²³ of themselves."""
    for move in range(_MOVES):
        for side in (-1, 1):
            generator = torch.Generator().manual_seed(seed + move)
            module = copy.deepcopy(double)
            for weight in module.parameters():
                share = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
                weight.mul_(1 + side * ulps * 2.0**-23 * share)
            yield module
