"""The parity contract: an exported graph must compute the same as torch, at sizes that the export never saw.

The reference is the same module in float64. For each row of an output, with the maxima over the row's numbers and K
the graph's ``parity_ulps``:

    |file − float64| ≤ max(8 · max |torch32 − float64|, K · 2⁻²³ · max |float64|)

For logarithms, max |float64| counts as at least 1. NaN and infinity must be in the same places; shapes and dtypes must
be the declared ones; padding must change nothing; two loads of one file must give the same bits.

torch32 is one of many results that float32 may give, and may be close to float64 by luck. So a row that fails is judged
again: it may also differ from float64 as much as the result changes if every intermediate number is perturbed by up to
``UNITS`` · 2⁻²³ of itself (see ``zoo.exporting.rounding``).

Whole numbers must be equal, unless the weights do not decide them: a row of them may differ by up to eight times the
change that results if the weights of the float64 module are perturbed by about K · 2⁻²³ of themselves. For example, if
the two most probable next words of a text are almost tied, no float32 file can tell them apart, and the text may differ
from that word on.
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
    """Inputs that a graph is judged on, the float64 results, and how far a row may differ from them.

    ``extreme`` means that values are far outside of what the modality draws: NaN, or numbers of another magnitude.
    """

    name: str
    inputs: Mapping[str, Array]
    expected: Mapping[str, Array]
    allowed: Mapping[str, Array]
    extreme: bool = False


@dataclass(frozen=True)
class Verdict:
    """The result of judging one graph: the number of cases, and the row that came closest to its tolerance.

    ``by_rounding`` names the cases that passed only by the second rule, on perturbed intermediate numbers.
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

    ``precision`` is given for a file with fewer bits than float32, which is judged by ``at_precision`` of the cases.
    ``explain`` is called on a failure: it takes the inputs and returns where the fault lies.

    Raises ParityError, naming the graph, the case, the output and the row, if the file fails. If torch in float32 is
    itself not finite, the error names the module that causes this instead of the file.
    """
    worst = Compared("", "", 0.0, 0.0)
    wider: list[str] = []
    count = 0
    for case in cases if precision is None else at_precision(cases, precision):
        held = case
        for name, inputs in regimes.forms(graph.inputs, graph.axes, case.name, case.inputs):
            try:
                if not count:  # so that random numbers, if the file draws any, differ between the two
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
    """Return the cases of a graph: extreme sizes, random sizes, and regimes (families) of values."""
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
    """Return a case with the wider tolerance of rounding: that of results whose intermediate numbers are perturbed."""
    allowed = dict(case.allowed)
    numbers = graph.outputs.keys() - _whole_numbers(graph)
    for made in moved_on_the_way(graph, case.inputs):
        for name in numbers:
            allowed[name] = np.maximum(allowed[name], apart(made[name], case.expected[name]))
    return replace(case, allowed=allowed)


def at_precision(cases: Iterable[Case], precision: Precision) -> list[Case]:
    """Return the cases for a file of ``precision``: with wider tolerances, and without extreme values."""
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
    """Return torch's results for a case; raises ParityError if they are not as the graph declares."""
    rows = len(next(iter(tensors.values())))
    shapes = ", ".join(f"{key} {tuple(tensor.shape)}" for key, tensor in tensors.items())
    here = f"{graph.name}, case {name!r}, torch itself, on {shapes}"
    try:
        made = {key: tensor.numpy() for key, tensor in module(tensors).items()}
    except (RuntimeError, ValueError, IndexError) as error:
        raise ParityError(
            f"{here}: the module cannot be run: {str(error).partition(chr(10))[0]}; it must compute at every size that "
            "its axes allow: write no size of the batch or of an axis in it as a number"
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
