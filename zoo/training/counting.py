"""Counts, per epoch, the terms of a loss that had no row: what they should teach is not learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zoo.errors import TrainingError
from zoo.training.loop import Loop


@dataclass(frozen=True)
class WithoutRows:
    """Terms that no row contributed to in the steps from ``first`` to ``last``."""

    first: int
    last: int
    terms: Sequence[str]


class Watch:
    """Reports, at the end of each epoch, the terms without a row; if training ends within an epoch, it reports then."""

    def __init__(self, loop: Loop, *, first: int, last: int, epoch: int) -> None:
        """Training begins after the step ``first`` and ends with ``last``; an epoch has ``epoch`` steps."""
        self._loop = loop
        self._begun = self._since = first
        self._last = last
        self._epoch = epoch
        self._told: set[str] = set()

    def after(self, done: int) -> WithoutRows | None:
        """Return, after the step ``done``, the terms without a row that were not reported before, or None.

        All processes call this after every step. Raises TrainingError if no term had any row in a whole epoch, or run.
        """
        over = done == self._last and self._since == self._begun
        if done % self._epoch and not over:
            return None
        since, self._since = self._since, done
        contributed = self._loop.contributions()
        if since % self._epoch and not over:
            return None  # the rest of an epoch whose other rows were used before this run was resumed
        found = WithoutRows(since + 1, done, [name for name, rows in contributed.items() if not rows])
        if found.terms and len(found.terms) == len(contributed) and since % self._epoch == 0:
            raise TrainingError(
                f"no row of the steps {found.first} to {done} contributed to the loss, so that nothing is learnt; its "
                f"terms are {', '.join(found.terms)}. Look at which inputs the rows have: `zoo data RECIPE` counts them"
            )
        new = [name for name in found.terms if name not in self._told]
        self._told.update(new)
        return WithoutRows(found.first, done, new) if new else None
