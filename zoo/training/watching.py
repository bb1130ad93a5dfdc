"""The metric that a training watches: its best checkpoint, the rate that falls on a plateau, and when to stop early."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoo.errors import SpecError, TrainingError
from zoo.evaluation.metrics import by_label, highest_is_best
from zoo.recipes.tables import Table
from zoo.recipes.training import Training
from zoo.training.choosing import Best


@dataclass(frozen=True)
class Watched:
    """What was measured so far of the metric ``training.best``.

    ``step`` is that of the best value, 0 if there is none yet. ``worse`` counts the measurements since then, ``waited``
    those since the rate was last lowered, which happened ``lowered`` times.
    """

    metric: str
    highest: bool
    value: float = 0.0
    step: int = 0
    worse: int = 0
    waited: int = 0
    lowered: int = 0

    @classmethod
    def of(cls, settings: Training, measured: Mapping[str, float]) -> Watched | None:
        """Return the start of watching the metric of these settings; None if they name none.

        Raises SpecError if no such metric is ``measured``, or if it is unknown whether a high value of it is good.
        """
        if not settings.best:
            return None
        if value_of(settings.best, measured) is None:
            raise SpecError(f"training.best: no metric {settings.best!r}; validation measures {', '.join(measured)}")
        highest = {"highest": True, "lowest": False}.get(settings.best_is, highest_is_best(settings.best))
        if highest is None:
            raise SpecError(
                f"training.best: whether a high {settings.best!r} is good is unknown; set training.best_is to "
                "'highest' or 'lowest'"
            )
        return cls(settings.best, highest)

    @classmethod
    def read(cls, value: Any, where: str) -> Watched:
        """Read what ``written`` returns."""
        table = Table(value, where)
        numbers = {key: table.take(key, int) for key in ("step", "worse", "waited", "lowered")}
        read = cls(table.take("metric", str), table.take("highest", bool), table.take("value", float), **numbers)
        table.done()
        return read

    def written(self) -> dict[str, Any]:
        """Return it in the form that a checkpoint keeps."""
        return dict(vars(self))

    def after(self, step: int, measured: Mapping[str, float], settings: Training) -> Watched:
        """Return what is known after a measurement at ``step``: ``step`` is its own if it is the best so far.

        Raises TrainingError if the metric was not measured.
        """
        value = value_of(self.metric, measured)
        if value is None:
            raise TrainingError(
                f"validation at step {step} did not measure {self.metric!r}, which training.best names; it measured "
                f"{', '.join(measured)}"
            )
        if math.isfinite(value) and (not self.step or (value > self.value if self.highest else value < self.value)):
            return replace(self, value=value, step=step, worse=0, waited=0)
        waited, lowered = self.waited + 1, self.lowered
        if settings.schedule == "plateau" and waited == settings.plateau_patience:
            waited, lowered = 0, lowered + 1
        return replace(self, worse=self.worse + 1, waited=waited, lowered=lowered)

    def ends(self, settings: Training) -> bool:
        """Return whether training stops here: ``training.stop_after`` measurements in a row were no better."""
        return bool(settings.stop_after) and self.worse >= settings.stop_after

    @property
    def best(self) -> Best | None:
        """The best checkpoint; None if there is none yet."""
        return Best(self.metric, self.highest, self.value, self.step) if self.step else None


def value_of(metric: str, measured: Mapping[str, float]) -> float | None:
    """Return a metric by its whole name, or the mean of those whose names end with it; None if there is none."""
    if metric in measured:
        return measured[metric]
    found = by_label(measured, metric)
    return math.fsum(found.values()) / len(found) if found else None
