"""Every subset of a model's inputs, and the names of the metrics that are measured on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from zoo.evaluation.metrics import metric_name
from zoo.reading.lists import listed
from zoo.recipes.naming import JOINER, average_name

MOST_NAMED = 3


def every_subset(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every subset of the inputs except the empty one: the single ones first, all of them last."""
    listed(names, "names of inputs")
    return [some for size in range(1, len(names) + 1) for some in combinations(names, size)]


def subset_name(subset: Sequence[str]) -> str:
    """Return the name of a subset in metrics: ``picture+caption``."""
    return JOINER.join(listed(subset, "a subset of the inputs"))


def by_subset(names: Sequence[str], measured: Mapping[tuple[str, ...], Mapping[str, float]]) -> dict[str, float]:
    """Return metrics of subsets of the inputs ``names``, each name prefixed with the subset: ``picture+caption.nll``.

    With more than three inputs only single inputs are listed; subsets of one size are averaged, as ``2-of-5.nll``.
    """
    found: dict[str, list[float]] = {}
    for subset, metrics in measured.items():
        for row in rows_of(subset, names):
            for metric, value in metrics.items():
                found.setdefault(metric_name(row, metric), []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()}


def rows_of(subset: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the rows, in a table over the inputs ``names``, to which a subset contributes."""
    if len(names) <= MOST_NAMED:
        return [subset_name(subset)]
    return [*subset[: len(subset) == 1], average_name(len(subset), len(names))]
