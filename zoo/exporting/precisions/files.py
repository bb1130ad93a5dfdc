"""Graphs in the folder of a bundle, and the files with fewer bits beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ParityError, PluginError, UsageError
from zoo.exporting.judging import Case, Verdict, at_precision, cases_on, judge, opened_twice
from zoo.exporting.precisions.data import Data
from zoo.exporting.precisions.ranges import check_ranges
from zoo.offers import Reduces
from zoo.parity.precisions import FULL, PRECISIONS, Precision
from zoo.protocols import Exporter, Graph
from zoo.runtime.records import JudgedFile

if TYPE_CHECKING:
    from zoo.protocols import Array


@dataclass(frozen=True)
class Placed:
    """A graph in the folder of a bundle, the cases that it was judged on, and the result.

    ``drawn_alone`` means that a file with fewer bits was judged only on drawn cases, not on rows of the data.
    """

    graph: Graph
    path: Path
    cases: Sequence[Case]
    verdict: Verdict
    drawn_alone: bool = False

    @property
    def name(self) -> str:
        """The name of the file without its suffix: the graph's, with the precision if it is not float32."""
        return self.path.stem

    def judged(self) -> JudgedFile:
        """Return the file and its parity for a manifest."""
        return JudgedFile(self.path.name, self.verdict.parity())


def asked_precisions(exporter: Exporter, names: Sequence[str]) -> list[Precision]:
    """Return the precisions with these names, except float32, which every bundle has.

    Raises UsageError if the exporter lacks one, PluginError if it offers one without a stated tolerance.
    """
    names = [name for name in names if name != FULL]
    if names:
        _reducer(exporter, names)
    return [PRECISIONS[name] for name in names]


def reduce_graph(
    placed: Placed, exporter: Exporter, precisions: Sequence[Precision], data: Data | None
) -> dict[str, Placed]:
    """Write a graph at each precision and judge it; return the files by the name of the precision.

    Without data, or if no row has the inputs of the graph, a file is judged only on drawn cases.

    Raises ParityError if a file misses the tolerance of its precision, UsageError if there are no rows to calibrate
    one.
    """
    graph, reducer = placed.graph, _reducer(exporter, [precision.name for precision in precisions])
    held_out = cases_on(graph, data.judged(graph)) if data is not None else []
    found = {}
    for precision in precisions:
        calibration: Sequence[Mapping[str, Array]] = ()
        if precision.calibrated and data is not None:
            calibration, full = data.calibration(graph, precision), exporter.open(graph, placed.path)
            check_ranges(graph.name, precision, calibration, data.required(graph, precision), full)
        path = placed.path.with_name(f"{graph.name}.{precision.name}{exporter.suffix}")
        reducer.reduce(placed.path, path, precision.name, calibration)
        found[precision.name] = _judged(placed, exporter, precision, path, held_out)
    return found


def _judged(placed: Placed, exporter: Exporter, precision: Precision, path: Path, held_out: Sequence[Case]) -> Placed:
    graph = placed.graph
    cases = at_precision(held_out if precision.calibrated else [*placed.cases, *held_out], precision)
    try:
        verdict = judge(graph, cases, *opened_twice(graph, path, exporter))
    except ParityError as error:
        told = str(error).partition(";")[0]
        raise ParityError(
            f"{told}: {graph.name!r} cannot be written in {precision.name}; leave the graph out by `graphs`, or the "
            "precision"
        ) from error
    return Placed(graph, path, cases[-len(held_out) :], verdict, drawn_alone=not held_out)


def _reducer(exporter: Exporter, names: Sequence[str]) -> Reduces:
    if not isinstance(exporter, Reduces):
        raise UsageError(f"this exporter has no precision {names[0]!r}; it has only {FULL}")
    for name in exporter.precisions:
        if name not in PRECISIONS:
            raise PluginError(
                f"the exporter {type(exporter).__name__} offers the precision {name!r}, for which the zoo states no "
                f"tolerance; it may offer {', '.join(PRECISIONS)}"
            )
    for name in names:
        if name not in exporter.precisions:
            known = ", ".join([FULL, *exporter.precisions])
            raise UsageError(f"this exporter has no precision {name!r}; it has {known}")
    return exporter
