"""Graphs in the folder of a bundle, and the files of fewer bits beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.judging import Case, Verdict, at_precision, cases_on, judge
from zoo.precisions.data import Data
from zoo.protocols import Exporter, Graph, Reduces
from zoo.runtime.bundle import FULL

# Its ranges are those that the calibration saw.
_CALIBRATED = "int8-static"


@dataclass(frozen=True)
class Placed:
    """A graph in the folder of a bundle, the cases that it was judged on, and how it fared."""

    graph: Graph
    path: Path
    cases: Sequence[Case]
    verdict: Verdict

    @property
    def name(self) -> str:
        """The name of the file without its suffix: the graph's, with the precision where it is not float32."""
        return self.path.stem

    def described(self) -> Mapping[str, Any]:
        """Return the file and its parity for a manifest."""
        return {"file": self.path.name, "parity": self.verdict.summary()}


def reduce_graph(placed: Placed, exporter: Exporter, precision: str, data: Data) -> Placed:
    """Write a graph at a precision beside the float32 one, and judge it.

    Raises ParityError where it misses the tolerance of its precision, UsageError where the exporter has none such.
    """
    graph = placed.graph
    path = placed.path.with_name(f"{graph.name}.{precision}{exporter.suffix}")
    _reduces(exporter, precision).reduce(placed.path, path, precision, data.calibration(graph))
    held_out = cases_on(graph, data.judged(graph))
    cases = at_precision(held_out if precision == _CALIBRATED else [*placed.cases, *held_out], precision)
    verdict = judge(graph, cases, exporter.open(graph, path), exporter.open(graph, path))
    return Placed(graph, path, cases[-len(held_out) :], verdict)


def _reduces(exporter: Exporter, precision: str) -> Reduces:
    if not isinstance(exporter, Reduces) or precision not in exporter.precisions:
        known = ", ".join([FULL, *exporter.precisions]) if isinstance(exporter, Reduces) else f"{FULL} alone"
        raise UsageError(f"this exporter has no precision {precision!r}; it has {known}")
    return exporter
