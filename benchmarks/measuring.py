"""Two ways to do the same thing, timed in turn, and what their medians must be to each other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 9


@dataclass(frozen=True)
class Comparison:
    """What ours took and what the other took: medians, in ``unit``.

    The ratio of the two is judged, or ours alone if there is no other: it must be at most ``at_most``, or at least
    ``at_least`` if more is better. Without either, the reader judges it.
    """

    what: str
    ours: float
    other: float | None
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def ratio(self) -> float | None:
        """The ratio of ours to the other's; None if there is no other."""
        return None if self.other is None else self.ours / self.other

    @property
    def target(self) -> str:
        """The requirement on the ratio, or on ours if there is no other."""
        if self.at_most is None and self.at_least is None:
            return "-"
        bound = f"<= {self.at_most}" if self.at_most is not None else f">= {self.at_least}"
        return bound if self.other is not None else f"{bound} {self.unit}"

    @property
    def ok(self) -> bool:
        """Whether the target is met."""
        judged = self.ours if self.ratio is None else self.ratio
        return (self.at_most is None or judged <= self.at_most) and (self.at_least is None or judged >= self.at_least)


def alternating(ours: Callable[[], object], other: Callable[[], object], *, rounds: int) -> tuple[float, float]:
    """Return the median seconds of both after a warm-up each; they take turns at going first."""
    ours()
    other()
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        pair = [(ours, took[0]), (other, took[1])]
        for function, seconds in pair if number % 2 == 0 else reversed(pair):
            seconds.append(timed(function))
    return statistics.median(took[0]), statistics.median(took[1])


def timed(function: Callable[[], object]) -> float:
    """Return how many seconds one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
