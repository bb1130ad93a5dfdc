"""The parity contract: an exported graph must compute what torch computes, at sizes that the export never saw.

The reference is the same module in float64. A row of an output may lie from it by at most
max(8 · |torch32 − f64|, K · 2⁻²³ · |f64|), each the largest over the row, with K the graph's ``parity_ulps``; a row of
logarithms counts as at least 1 in size. NaN and infinity must stand in the same places; shapes and dtypes must be the
declared ones; padding must change nothing; two loads of one file must give the same bits.

torch32 is one answer of the many that float32 may give, and may lie near float64 by luck. So a row that misses may lie
as far off as it comes to lie when each number on the way to it is moved by up to ``UNITS`` · 2⁻²³ of itself, which is
what an answer may be off by (``zoo.exporting.rounding``).

Whole numbers must be the same but where the weights do not decide them: a row of them may lie as far off, eightfold, as
it comes to lie when the weights of the float64 module are moved by about K · 2⁻²³ of themselves. So a text may read
otherwise from where its two most probable words all but tie, which no file in float32 can tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from zoo.errors import ParityError, ZooError
from zoo.exporting.overflowing import overflow
from zoo.exporting.rounding import moved_on_the_way, moved_weights
from zoo.models.graphs import evaluating
from zoo.models.reference import as_float64, in_float64, judged
from zoo.parity import regimes
from zoo.parity.precisions import Precision
from zoo.parity.tolerance import Compared, apart, compare, reduced_tolerance, tolerance, usual_size
from zoo.protocols import Exporter, Graph, RunsArrays
from zoo.runtime.records import Parity

if TYPE_CHECKING:
    from zoo.protocols import Array


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
    """How one graph fared: the number of cases, and where it came nearest to its tolerance.

    ``by_rounding`` names the cases that passed by what rounding costs, and not by the distance of torch in float32.
    """

    graph: str
    cases: int
    worst: Compared
    parity_ulps: int
    parity_reason: str
    by_rounding: tuple[str, ...] = ()

    def parity(self) -> Parity:
        """Return the verdict for a manifest."""
        return Parity(
            self.cases, self.parity_ulps, self.parity_reason, **asdict(self.worst), by_rounding=self.by_rounding
        )


def judge(
    graph: Graph,
    cases: Iterable[Case],
    runner: RunsArrays,
    again: RunsArrays,
    precision: Precision | None = None,
    *,
    explain: Callable[[Mapping[str, Array]], str] | None = None,
) -> Verdict:
    """Compare an exported graph with torch on every case; ``again`` is a second load of the same file.

    ``precision`` is that of a file of fewer bits than float32, which is held to ``at_precision`` of the cases.
    ``explain`` is asked on a miss: it takes the inputs and tells where the fault lies.

    Raises ParityError, naming the graph, the case, the output and the row, where it misses; where torch in float32 is
    itself not finite, naming the module that is to blame in place of the file.
    """
    worst = Compared("", "", 0.0, 0.0)
    wider: list[str] = []
    count = 0
    for case in cases if precision is None else at_precision(cases, precision):
        held = case
        for name, inputs in regimes.forms(graph.inputs, graph.axes, case.name, case.inputs):
            try:
                if not count:  # so that random numbers, should the file draw any, are not the same in both
                    _run(graph, name, again, inputs)
                held, compared = _settled(graph, held, name, inputs, runner, again, single=precision is None)
            except ParityError as error:
                if precision is None and (lost := overflow(graph, inputs)):
                    raise ParityError(f"{graph.name}, case {name!r}: {lost}") from error
                if explain is None:
                    raise
                raise ParityError(f"{error}. {explain(inputs)}") from error
            worst = max(worst, compared)
            count += 1
        if held is not case:
            wider.append(case.name)
    return Verdict(graph.name, count, worst, graph.parity_ulps, graph.parity_reason, tuple(wider))


def opened_twice(graph: Graph, path: Path, exporter: Exporter) -> tuple[RunsArrays, RunsArrays]:
    """Return two loads of a file that was just written.

    Raises ParityError if it cannot be loaded.
    """
    try:
        return exporter.open(graph, path), exporter.open(graph, path)
    except ZooError as error:
        told = str(error.__cause__ or error).strip().partition("\n")[0]
        raise ParityError(
            f"{graph.name}: the file that the exporter wrote cannot be loaded: {told}; look for an operation in the "
            "encoder or decoder whose number of axes follows from a size, such as squeeze()"
        ) from error


def _settled(
    graph: Graph,
    case: Case,
    name: str,
    inputs: Mapping[str, Array],
    runner: RunsArrays,
    again: RunsArrays,
    *,
    single: bool,
) -> tuple[Case, Compared]:
    """Judge one form of a case, on a miss in float32 by what rounding costs; return also the case that it passed."""
    try:
        return case, _judged(graph, case, name, inputs, runner, again)
    except ParityError:
        if not single:
            raise
    wider = by_rounding(graph, case)
    return wider, _judged(graph, wider, name, inputs, runner, again)


def _judged(
    graph: Graph, case: Case, name: str, inputs: Mapping[str, Array], runner: RunsArrays, again: RunsArrays
) -> Compared:
    found, once_more = (_run(graph, name, run, inputs) for run in (runner, again))
    worst = compare(graph.name, name, found, case.expected, case.allowed, graph.outputs)
    for output, array in once_more.items():
        if array.tobytes() != found[output].tobytes():
            raise ParityError(
                f"{graph.name}, case {name!r}: two loads of the file give other bits in {output!r}; "
                "the exporter's file is not deterministic"
            )
    return worst


def _run(graph: Graph, name: str, runner: RunsArrays, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    try:
        return runner(inputs)
    except ZooError as error:
        raise ParityError(f"{graph.name}, case {name!r}: the file cannot be run: {error}") from error


def make_cases(graph: Graph, *, seed: int = 0) -> list[Case]:
    """Return the cases of a graph: corners of its sizes, random sizes, and regimes of values."""
    generator = np.random.default_rng(seed)
    usual = list(regimes.usual(graph, generator))
    cases = _cases(graph, [*usual, *regimes.extreme(graph, generator)], seed)
    return [replace(case, extreme=place >= len(usual)) for place, case in enumerate(cases)]


def cases_on(graph: Graph, inputs: Iterable[Mapping[str, Array]], *, seed: int = 0) -> list[Case]:
    """Return cases of given inputs, such as rows of a data set."""
    return _cases(graph, [(f"data {place}", arrays) for place, arrays in enumerate(inputs)], seed)


def _cases(graph: Graph, named: Iterable[tuple[str, Mapping[str, Array]]], seed: int) -> list[Case]:
    single = graph.module if graph.reference is None else graph.reference.module
    double = in_float64(single)
    moved = list(moved_weights(double, graph.parity_ulps, seed)) if _whole_numbers(graph) else []
    with evaluating(single):
        return [_case(graph, double, moved, name, inputs) for name, inputs in named]


def by_rounding(graph: Graph, case: Case) -> Case:
    """Return a case whose rows of numbers may lie as far off as those whose numbers on the way are moved by chance."""
    allowed = dict(case.allowed)
    numbers = graph.outputs.keys() - _whole_numbers(graph)
    for made in moved_on_the_way(graph, case.inputs):
        for name in numbers:
            allowed[name] = np.maximum(allowed[name], apart(made[name], case.expected[name]))
    return replace(case, allowed=allowed)


def at_precision(cases: Iterable[Case], precision: Precision) -> list[Case]:
    """Return the cases as a file of ``precision`` is judged by them: wider tolerances, and no extreme values."""
    kept = [case for case in cases if not case.extreme]
    outputs = kept[0].allowed if kept else ()
    usual = {name: usual_size(case.expected[name] for case in kept) for name in outputs}
    return [
        replace(
            case,
            allowed={
                name: np.maximum(case.allowed[name], reduced_tolerance(case.expected[name], usual[name], precision))
                for name in outputs
            },
        )
        for case in kept
    ]


def _case(graph: Graph, double: Any, moved: Sequence[Any], name: str, inputs: Mapping[str, Array]) -> Case:
    single, tensors = judged(graph, inputs)
    doubled = as_float64(tensors)
    expected, torch32 = (_made(graph, name, module, given) for module, given in ((double, doubled), (single, tensors)))
    allowed = {
        key: tolerance(torch32[key], expected[key], graph.parity_ulps, logarithm=spec.logarithm)
        for key, spec in graph.outputs.items()
    }
    for module in moved:
        made = module(doubled)
        for key in _whole_numbers(graph):
            apart = tolerance(made[key].numpy(), expected[key], graph.parity_ulps)
            allowed[key] = np.maximum(allowed[key], apart)
    return Case(name, inputs, expected, allowed)


def _made(graph: Graph, name: str, module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[str, Array]:
    """Return what torch makes of a case; raises ParityError if that is not what the graph declares."""
    rows = len(next(iter(tensors.values())))
    shapes = ", ".join(f"{key} {tuple(tensor.shape)}" for key, tensor in tensors.items())
    here = f"{graph.name}, case {name!r}, torch itself, on {shapes}"
    try:
        made = {key: tensor.numpy() for key, tensor in module(tensors).items()}
    except (RuntimeError, ValueError, IndexError) as error:
        raise ParityError(
            f"{here}: the module cannot be run: {str(error).partition(chr(10))[0]}; it must compute at every size that "
            "its axes allow: let no size of the batch or of an axis stand in it as a number"
        ) from error
    for key, spec in graph.outputs.items():
        if key not in made:
            raise ParityError(f"{here}: the module gives no output {key!r}; it gives {', '.join(made)}")
        shape = made[key].shape
        fits = len(shape) == len(spec.axes) and all(
            size == (rows if axis == "batch" else axis)
            for axis, size in zip(spec.axes, shape, strict=True)
            if axis == "batch" or isinstance(axis, int)
        )
        if not fits:
            raise ParityError(
                f"{here}: the output {key!r} has shape {shape}, declared are the axes {spec.axes}, the batch "
                f"is {rows}; look for a number in the place of a size, or a squeeze() that drops an axis of size 1"
            )
    return made


def _whole_numbers(graph: Graph) -> list[str]:
    return [name for name, spec in graph.outputs.items() if not spec.dtype.startswith("float")]
