"""Measures the split ``validation`` on the way, and watches a metric of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from zoo.evaluation.evaluate import HeldOut, measure
from zoo.evaluation.metrics import metric_name
from zoo.models.build import Model
from zoo.recipes.spec import Recipe
from zoo.samples.splits import VALIDATION
from zoo.training.choosing import WEIGHTS, checkpoint_folder
from zoo.training.launching import is_first_process
from zoo.training.loop import Loop
from zoo.training.saved import SavedStep
from zoo.training.watching import Watched

_log = logging.getLogger(__name__)


class Validation:
    """The measurements of one training: the step of the last one, and what is known of the metric that is watched."""

    def __init__(
        self,
        model: Model,
        recipe: Recipe,
        loop: Loop,
        held_out: HeldOut | None,
        watched: Watched | None,
        newest: SavedStep | None,
    ) -> None:
        """``watched`` is the start of watching; a training that continues from ``newest`` knows what that one knew."""
        self._model, self._recipe, self._loop, self._held_out = model, recipe, loop, held_out
        self.measured = newest.measured if newest is not None else 0
        self.watched = _known(watched, newest)
        self._every = recipe.training.validate_every
        loop.lowered = self.watched.lowered if self.watched else 0

    @property
    def is_best(self) -> bool:
        """Whether the last measurement was the best one."""
        return self.watched is not None and 0 < self.watched.step == self.measured

    @property
    def ends(self) -> bool:
        """Whether training is to stop early."""
        return self.watched is not None and self.watched.ends(self._recipe.training)

    def is_due(self, step: int, *, last: bool = False) -> bool:
        """Return whether a measurement follows the step ``step``."""
        return self._held_out is not None and (last or step % self._every == 0)

    def is_missing(self, step: int) -> bool:
        """Return whether a training that continues from the step ``step`` was stopped before its measurement."""
        return step > 0 and self.measured is not None and self.measured != step and self.is_due(step)

    def measure(self) -> Mapping[str, float]:
        """Return the metrics of the split."""
        return {} if self._held_out is None else measure(self._model, self._recipe, self._held_out)

    def after(self, step: int, measured: Mapping[str, float]) -> dict[str, float]:
        """Note what was measured after the step ``step``, and return it as it is logged."""
        if self.watched is not None:
            lowered = self.watched.lowered
            self.watched = self.watched.after(step, measured, self._recipe.training)
            self._loop.lowered = self.watched.lowered
            if self.watched.lowered > lowered and is_first_process():
                _log.warning("step %d: %s is no better; the learning rate is lowered", step, self.watched.metric)
        self.measured = step
        return {metric_name(VALIDATION, name): value for name, value in measured.items()}


def _known(watched: Watched | None, newest: SavedStep | None) -> Watched | None:
    before = newest.watched if newest is not None else None
    if watched is None or newest is None or before is None:
        return watched
    if (before.metric, before.highest) != (watched.metric, watched.highest):
        return watched
    best = checkpoint_folder(newest.folder.parent, before.step) / WEIGHTS
    if before.step and not best.is_file():
        _log.warning("%s, the best checkpoint so far, is not there; the best is looked for anew", best.parent)
        return replace(watched, lowered=before.lowered)
    return before
