"""A measured number; how metrics are shown: with the chance level, and as a table of inputs by metrics. No torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from zoo.recipes.naming import is_average, is_of_inputs

CHANCE = "chance"
_BY_CHANCE = "by chance"
_HEADER = "inputs"
# Metrics of which a high value is good, or a low one, by their own name or its last word.
_HIGHEST = ("accuracy", "coherence", "knn", "map", "precision", "probe", "recall")
_LOWEST = ("error", "loss", "nats", "nll", "rank")


@dataclass(frozen=True)
class Metric:
    """A measured number, and how far a repeated measurement may lie from it."""

    value: float
    tolerance: float


def metric_name(*parts: str) -> str:
    """Join the parts of a metric's name, skipping empty ones: a label's value, the inputs, the measure.

    As in ``zh.caption_to_picture.recall@10``.
    """
    return ".".join(filter(None, parts))


def metric_parts(metric: str) -> tuple[str, str, str]:
    """Return the subject of a metric, its own name, and its cut-off: ``picture``, ``recall``, ``10``."""
    of, _, last = metric.rpartition(".")
    name, _, place = last.partition("@")
    return of, name, place


def highest_is_best(metric: str) -> bool | None:
    """Return whether a high value of a metric is good; None if it is unknown."""
    _, name, _ = metric_parts(metric)
    word = name.split("_")[-1]
    if name == "effective_rank" or word in _HIGHEST:
        return True
    return False if word in _LOWEST else None


def by_label(metrics: Mapping[str, float], metric: str) -> dict[str, float]:
    """Return a metric by the values of the label that rows were grouped by."""
    end = f".{metric}"
    return {name.removesuffix(end): value for name, value in metrics.items() if name.endswith(end)}


def chance_beside(metric: str, metrics: Collection[str]) -> str:
    """Return the name of the metric that holds the chance level of ``metric``, empty if there is none.

    It is ``chance@10`` beside ``recall@10``, ``chance_map`` beside ``map``, or ``chance`` beside ``probe``.
    """
    of, name, place = metric_parts(metric)
    if name.startswith(CHANCE):
        return ""
    at = f"@{place}" if place else ""
    names = (f"{CHANCE}{at}", f"{CHANCE}_{name}{at}", CHANCE)
    return next((beside for beside in (metric_name(of, name) for name in names) if beside in metrics), "")


def row_and_column(metric: str, inputs: Sequence[str]) -> tuple[str, str]:
    """Return the row and the column of a metric in a table of inputs by metrics; the row is empty if it has no inputs.

    ``zh.caption_to_picture.map`` is in the row ``zh.caption_to_picture``, ``2-of-5.nll`` in the row ``2-of-5``.
    """
    parts = metric.split(".")
    for place, part in enumerate(parts[:-1]):
        if _is_row(part, inputs):
            return ".".join(parts[: place + 1]), ".".join(parts[place + 1 :])
    return "", metric


def tabulated(metrics: Mapping[str, float], inputs: Sequence[str]) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return a table of the metrics, with one row per subset of inputs, and the metrics that do not fit into it.

    The first row is the header; averages are below the subsets that they average. If the chance level is known, the
    last row shows it, as a range if it varies. With fewer than two rows to compare, there is no table.
    """
    chances = {name: beside for name in metrics if (beside := chance_beside(name, metrics))}
    shown = [name for name in metrics if name not in chances.values()]
    places = {name: row_and_column(name, inputs) for name in shown}
    rows = sorted(dict.fromkeys(row for row, _ in places.values() if row), key=is_average)
    if len(rows) < 2:
        return [], shown
    columns = list(dict.fromkeys(column for row, column in places.values() if row))
    cells = {place: f"{metrics[name]:.4g}" for name, place in places.items()}
    table = [(_HEADER, *columns), *((row, *(cells.get((row, column), "") for column in columns)) for row in rows)]
    if chances:
        known = {
            column: [
                metrics[chances[name]] for name, at in places.items() if at[0] and at[1] == column and name in chances
            ]
            for column in columns
        }
        table.append((_BY_CHANCE, *(_range(known[column]) for column in columns)))
    return table, [name for name, (row, _) in places.items() if not row]


def _range(values: Sequence[float]) -> str:
    ends = sorted({f"{value:.4g}" for value in (min(values), max(values))}, key=float) if values else []
    return " to ".join(ends)


def _is_row(part: str, inputs: Sequence[str]) -> bool:
    return is_of_inputs(part, inputs) or is_average(part)
