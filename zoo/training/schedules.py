"""Learning rates by step: a warm-up, then a schedule by name; each is a function of the step and of past plateaus."""

from __future__ import annotations

import math

from zoo.recipes.training import Training

# The first rate of a cycle, and its last one, as fractions of the highest.
CYCLE_START, CYCLE_END = 1 / 25, 1 / 250_000
# The fraction of a cycle in which the rate rises, if no warm-up is given.
CYCLE_RISE = 0.3


def learning_rate(settings: Training, step: int, base: float | None = None, *, lowered: int = 0) -> float:
    """Return the learning rate of a step, counted from 0, of a part whose highest one is ``base``.

    Without ``base`` that is ``training.learning_rate``, L. With the step s, w warm-up steps, S steps in all, the
    fraction f for ``floor`` and t = (s − w) / (S − w):

        rate = L · (s + 1) / w                                   for s < w
        rate = L                                                 then, by "constant"
        rate = L · (1 − (1 − f) · t)                             then, by "linear"
        rate = L · (f + (1 − f) · (1 + cos(π · t)) / 2)          then, by "cosine"

    The schedule "one-cycle" rises by half a cosine from L / 25 to L in w steps, or in three tenths of all if w is 0,
    and falls by half a cosine to L / 250000, or to f · L if that is higher. By "plateau" the rate is L times
    ``plateau_factor`` to the power of ``lowered``, the number of plateaus so far, or f · L if that is higher.

    Sources: Loshchilov & Hutter 2017, arXiv 1608.03983, equation 5, without restarts, for the cosine; Smith & Topin
    2018, arXiv 1708.07120, for one cycle, with the cosines and fractions of torch's ``OneCycleLR``.
    """
    base = settings.learning_rate if base is None else base
    if settings.schedule == "one-cycle":
        return base * _of_cycle(settings, step)
    if step < settings.warmup_steps:
        return base * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return base
    if settings.schedule == "plateau":
        return base * max(settings.floor, settings.plateau_factor**lowered)
    through = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    if settings.schedule == "linear":
        return base * (1 - (1 - settings.floor) * through)
    cosine = 0.5 * (1 + math.cos(math.pi * through))
    return base * (settings.floor + (1 - settings.floor) * cosine) if settings.floor else base * cosine


def _of_cycle(settings: Training, step: int) -> float:
    rise = settings.warmup_steps or max(1, round(CYCLE_RISE * settings.steps))
    if step < rise:
        return _between(CYCLE_START, 1.0, step / rise)
    return _between(1.0, max(CYCLE_END, settings.floor), (step - rise) / max(1, settings.steps - 1 - rise))


def _between(first: float, last: float, through: float) -> float:
    """Return a value on half a cosine from ``first`` to ``last``."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, through)))
