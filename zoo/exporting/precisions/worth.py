"""How good each precision of a bundle is: size, latency, parity and the task's metrics, in one table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError
from zoo.evaluation.evaluate import measure
from zoo.evaluation.metrics import chance_beside
from zoo.exporting.precisions.data import Data
from zoo.exporting.precisions.files import Placed
from zoo.models.graphs import as_tensors
from zoo.modules import Tensors
from zoo.parity.precisions import FULL
from zoo.protocols import Exporter, RunsArrays
from zoo.runtime.records import Worth
from zoo.samples.splits import joined

if TYPE_CHECKING:
    from zoo.protocols import Array

_ROUNDS, _RUNS = 9, 10
# How far a metric may lie from that of float32: 0.01 for a fraction, a twentieth for anything else.
_POINT, _SHARE = 0.01, 0.05


def departures(one: Worth, full: Worth) -> list[str]:
    """Return the metrics that are not those of float32: a fraction within a point, others within a twentieth.

    A metric is a fraction if chance level is reported beside it. Those that departed furthest come first, as shares of
    what is allowed; a metric that was not measured departs.
    """
    shares = {}
    for name, value in full.metrics.items():
        is_fraction = bool(chance_beside(name, full.metrics)) and value <= 1
        allowed = _POINT if is_fraction else _SHARE * abs(value)
        off = abs(one.metrics.get(name, float("inf")) - value)
        if not off <= allowed:
            shares[name] = off / allowed if allowed else float("inf")
    return sorted(shares, key=lambda name: -shares[name])


def worth(
    by_precision: Mapping[str, Sequence[Placed]], weights: Path, exporter: Exporter, data: Data | None
) -> dict[str, Worth]:
    """Measure each precision on held-out rows; ``weights`` is the file that the float32 graphs may share.

    Without data there are no metrics. Latencies are medians over rounds in which the precisions take turns, on one
    thread.
    """
    runs = {
        precision: {one.graph.name: exporter.open(one.graph, one.path) for one in placed}
        for precision, placed in by_precision.items()
    }
    latencies = _latencies(runs, by_precision[FULL], data)
    found = {}
    for precision, placed in by_precision.items():
        files = [one.path for one in placed] + ([weights] if precision == FULL and weights.exists() else [])
        found[precision] = Worth(
            sum(path.stat().st_size for path in files),
            latencies[precision],
            max(one.verdict.worst.used for one in placed),
            _metrics(runs[precision], data),
        )
    return found


def recommended(found: Mapping[str, Worth]) -> str:
    """Return the best precision among those that keep the metrics: the fastest, or of about equal ones the smallest.

    It is float32 if no metric was measured.
    """
    full = found[FULL]
    if not full.metrics:
        return FULL
    held = {name: one for name, one in found.items() if not departures(one, full)}
    fastest = min(one.latency_ms for one in held.values())
    return min((name for name in held if held[name].latency_ms <= 1.1 * fastest), key=lambda n: held[n].size_bytes)


def losses(found: Mapping[str, Worth]) -> list[str]:
    """Return a sentence for each precision that does not keep the metrics of float32, with its worst metric."""
    full = found[FULL]
    told = []
    for precision, one in found.items():
        lost = [name for name in departures(one, full) if name in one.metrics]
        if lost:
            chance = full.metrics.get(chance_beside(lost[0], full.metrics))
            beside = "" if chance is None else f", by chance {chance:.4g}"
            told.append(
                f"{precision} does not keep the metrics of {FULL}: {lost[0]} is {one.metrics[lost[0]]:.4g}, in {FULL} "
                f"{full.metrics[lost[0]]:.4g}{beside}"
            )
    return told


def table(found: Mapping[str, Worth], drawn_alone: Iterable[str] = ()) -> list[str]:
    """Return a table in Markdown, a column per precision: first the lost metrics, at the end the recommendation.

    ``drawn_alone`` are the graphs whose files with fewer bits were judged only on drawn cases.
    """
    rows = {
        "size, MB": [f"{one.size_bytes / 1e6:.2f}" for one in found.values()],
        "one row through all graphs, ms": [f"{one.latency_ms:.3f}" for one in found.values()],
        "fraction of the tolerance used": [f"{one.used:.2f}" for one in found.values()],
    }
    metrics = found[FULL].metrics
    by_chance = {chance_beside(name, metrics) for name in metrics}
    for name in (name for name in metrics if name not in by_chance):
        rows[name] = [f"{one.metrics[name]:.4g}" if name in one.metrics else "-" for one in found.values()]
    lost = [f"**{sentence}.**" for sentence in losses(found)]
    return [
        *(line for sentence in lost for line in (sentence, "")),
        "| | " + " | ".join(found) + " |",
        "|---|" + "---|" * len(found),
        *(f"| {name} | {' | '.join(values)} |" for name, values in rows.items()),
        "",
        *_alone([f"`{graph}`" for graph in drawn_alone]),
        f"{_recommendation(found)} Latencies are of the machine that exported, one thread.",
    ]


def _alone(graphs: Sequence[str]) -> list[str]:
    if not graphs:
        return []
    return [f"At fewer bits {joined(graphs)} were judged only on drawn cases, on no row of data.", ""]


def _recommendation(found: Mapping[str, Worth]) -> str:
    if not found[FULL].metrics:
        return f"No metric of the task was measured, so only `{FULL}` is recommended."
    return (
        f"Recommended on a CPU: `{recommended(found)}`. It is the fastest one whose metrics agree with those of "
        f"`{FULL}`, fractions within a point and others within 5 %, or the smallest of several that are about as fast."
    )


def _latencies(
    runs: Mapping[str, Mapping[str, RunsArrays]], graphs: Sequence[Placed], data: Data | None
) -> dict[str, float]:
    rows = {one.graph.name: _one_row(one, data) for one in graphs}
    taken: dict[str, list[float]] = {precision: [] for precision in runs}
    for _ in range(_ROUNDS):
        for precision, opened in runs.items():
            start = time.perf_counter()
            for _ in range(_RUNS):
                for name, run in opened.items():
                    run(rows[name])
            taken[precision].append((time.perf_counter() - start) / _RUNS * 1e3)
    return {precision: statistics.median(times) for precision, times in taken.items()}


def _one_row(placed: Placed, data: Data | None) -> dict[str, Array]:
    """Return a held-out row of a graph, or a drawn one if there is none."""
    rows = data.judged(placed.graph) if data is not None else []
    some = rows[0] if rows else next(case.inputs for case in placed.cases if not case.extreme)
    return {name: array[:1] for name, array in some.items()}


def _metrics(runs: Mapping[str, RunsArrays], data: Data | None) -> dict[str, float]:
    """Return the task's metrics from the graphs' outputs; none without rows, or if they need a missing graph."""
    if data is None:
        return {}

    def run(graph: str, tensors: Tensors) -> Tensors:
        if graph not in runs:
            raise _LeftOut
        return as_tensors(dict(runs[graph]({name: tensor.numpy() for name, tensor in tensors.items()})))

    try:
        return measure(data.model, data.recipe, data.held_out, run=run)
    except (_LeftOut, DataError):  # a DataError means that no row has the measured inputs
        return {}


class _LeftOut(Exception):
    """The bundle lacks a graph."""
