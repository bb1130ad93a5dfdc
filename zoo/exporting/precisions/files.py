"""Graphs in the folder of a bundle, and the files of fewer bits beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ParityError, UsageError
from zoo.exporting.judging import Case, Verdict, at_precision, cases_on, judge, opened_twice
from zoo.exporting.precisions.data import Data
from zoo.exporting.precisions.ranges import check_ranges
from zoo.offers import Reduces
from zoo.protocols import Exporter, Graph
from zoo.runtime.manifest import FULL

if TYPE_CHECKING:
    from zoo.protocols import Array

# Its ranges are those that the calibration saw.
_CALIBRATED = "int8-static"


@dataclass(frozen=True)
class Placed:
    """A graph in the folder of a bundle, the cases that it was judged on, and how it fared.

    ``drawn_alone`` tells of a file of fewer bits that no row of the data judged it.
    """

    graph: Graph
    path: Path
    cases: Sequence[Case]
    verdict: Verdict
    drawn_alone: bool = False

    @property
    def name(self) -> str:
        """The name of the file without its suffix: the graph's, with the precision where it is not float32."""
        return self.path.stem

    def described(self) -> Mapping[str, Any]:
        """Return the file and its parity for a manifest."""
        return {"file": self.path.name, "parity": self.verdict.summary()}


def calibrates(precision: str) -> bool:
    """Tell whether files of a precision hold ranges that are taken from rows of the data."""
    return precision == _CALIBRATED


def reduce_graph(placed: Placed, exporter: Exporter, precisions: Sequence[str], data: Data | None) -> dict[str, Placed]:
    """Write a graph at each precision beside the float32 one, and judge it; return them by precision.

    Without data, or rows of it that have what the graph takes, the drawn cases alone judge a file.

    Raises ParityError where one misses the tolerance of its precision, UsageError where the exporter has none such, or
    there are no rows to calibrate one on.
    """
    graph = placed.graph
    held_out = cases_on(graph, data.judged(graph)) if data is not None else []
    found = {}
    for precision in precisions:
        reducer = _reduces(exporter, precision)
        calibration: Sequence[Mapping[str, Array]] = ()
        if calibrates(precision) and data is not None:
            calibration, full = data.calibration(graph), exporter.open(graph, placed.path)
            check_ranges(graph.name, calibration, data.required(graph), full)
        path = placed.path.with_name(f"{graph.name}.{precision}{exporter.suffix}")
        reducer.reduce(placed.path, path, precision, calibration)
        found[precision] = _judged(placed, exporter, precision, path, held_out)
    return found


def _judged(placed: Placed, exporter: Exporter, precision: str, path: Path, held_out: Sequence[Case]) -> Placed:
    graph = placed.graph
    cases = at_precision(held_out if calibrates(precision) else [*placed.cases, *held_out], precision)
    try:
        verdict = judge(graph, cases, *opened_twice(graph, path, exporter))
    except ParityError as error:
        told = str(error).partition(";")[0]
        raise ParityError(
            f"{told}: {graph.name!r} is not to be had in {precision}; leave the graph out by --graph, or the precision"
        ) from error
    return Placed(graph, path, cases[-len(held_out) :], verdict, drawn_alone=not held_out)


def _reduces(exporter: Exporter, precision: str) -> Reduces:
    if not isinstance(exporter, Reduces) or precision not in exporter.precisions:
        known = ", ".join([FULL, *exporter.precisions]) if isinstance(exporter, Reduces) else f"{FULL} alone"
        raise UsageError(f"this exporter has no precision {precision!r}; it has {known}")
    return exporter
