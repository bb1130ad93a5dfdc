"""One step of training: every player's loss and update, on any device, precision and number of processes.

A player is a set of parameters with its own loss; most objectives have one. A batch may be split into parts
(``accumulate``) and over several processes. Each part's loss is weighted by its rows that count, term by term for an
objective that is a ``CountsByTerm``. Objectives that compare rows compare those of all parts. So the gradient
equals that of the whole batch, wherever values are missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from zoo.abilities import CountsByTerm
from zoo.errors import TrainingError
from zoo.models.build import Model
from zoo.models.parts import Parts
from zoo.modules import Batch, Losses, Tensors
from zoo.recipes.training import Training
from zoo.training.averaging import Averages
from zoo.training.cached_gradients import CachedGradients
from zoo.training.freezing import freeze, frozen_parameters
from zoo.training.optimisers import HIGHEST, grouped, optimisers
from zoo.training.ordering import STEPS, Share, seed_of
from zoo.training.schedules import learning_rate

if TYPE_CHECKING:
    from torch.optim import Optimizer

_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


class Loop:
    """A model and the optimisers of each player, ready to take steps."""

    def __init__(self, model: Model, settings: Training, accelerator: Accelerator) -> None:
        self.settings = settings
        self.accelerator = accelerator
        self.plain = model.objective
        self.parts = Parts.of(model)
        self._players = {player: list(owned) for player, owned in model.objective.players().items()}
        self.frozen = freeze(model, self.parts, settings)
        self.wrapped: nn.Module = accelerator.prepare_model(model.objective)
        self.objective = torch.compile(self.wrapped) if settings.compile else self.wrapped
        self.cached = CachedGradients.of(model.objective, settings, accelerator)
        self.owned = self._owned(settings)
        made = {player: optimisers(owned, self.parts, settings) for player, owned in self.owned.items()}
        self.optimisers = {_named(player, end): one for player, ends in made.items() for end, one in ends.items()}
        self.prepared = {player: [self._prepared(one) for one in ends.values()] for player, ends in made.items()}
        self.share = Share(accelerator.process_index, accelerator.num_processes)
        self.generator = torch.Generator()
        self._contributed: dict[str, Tensor] = {}
        self.plain.keep_bounds()
        self.lowered = 0  # how often the learning rate was lowered on a plateau
        self.averages = Averages(self.plain, settings.ema) if settings.ema else None

    def step(self, step: int, batch: Batch, rows: int) -> Mapping[str, Losses]:
        """Take one step of every player on this process's share of ``rows``; return the losses of each.

        Raises TrainingError if a loss is not finite or memory runs out.
        """
        if not self.plain.training:  # code that used the model since the last step may have changed its mode
            self.wrapped.train()
        self.frozen.hold()
        self.generator.manual_seed(seed_of(self.settings.seed, STEPS, step))
        torch.default_generator.manual_seed(seed_of(self.settings.seed, STEPS, step, self.share.process))
        with _enough_memory(step + 1, batch.rows, self.settings):
            batch = batch.to(self.accelerator.device)
            losses = {player: self._update(player, batch, rows, step) for player in self.prepared}
        if self.averages is not None:
            self.averages.update(step)
        return losses

    def averaged(self) -> AbstractContextManager[None]:
        """Let the model have the weights that are measured and saved within the block: with ``ema`` the averages."""
        return nullcontext() if self.averages is None else self.averages.in_place()

    def agreed(self, flag: bool) -> bool:
        """Return whether ``flag`` is true in any process."""
        return flag if self.share.processes == 1 else bool(self._summed(float(flag)))

    def places(self, before: Training) -> dict[str, list[int | None]]:
        """Return, by optimiser, where each parameter of one made with the settings ``before`` is; None if nowhere."""
        then, now = self._in_order(before), self._in_order(self.settings)
        found: dict[str, list[int | None]] = {}
        for name, parameters in then.items():
            order = {id(parameter): place for place, parameter in enumerate(now.get(name, ()))}
            found[name] = [order.get(id(parameter)) for parameter in parameters]
        return found

    def _owned(self, settings: Training) -> dict[str, list[nn.Parameter]]:
        """Return the parameters that each player trains with these settings."""
        frozen = frozen_parameters(self.parts, settings)
        return {player: [one for one in owned if id(one) not in frozen] for player, owned in self._players.items()}

    def _in_order(self, settings: Training) -> dict[str, list[nn.Parameter]]:
        """Return the parameters of each optimiser, in its order."""
        return {
            _named(player, end): [parameter for group in groups for parameter in group["params"]]
            for player, owned in self._owned(settings).items()
            for end, groups in grouped(owned, self.parts, settings).items()
        }

    def _update(self, player: str, batch: Batch, rows: int, step: int) -> Losses:
        drawn = self.plain.noise(rows, generator=self.generator)
        noise = {
            name: self.share.of(tensor)[: batch.rows].to(self.accelerator.device) for name, tensor in drawn.items()
        }
        for optimiser in self.prepared[player]:
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(self.settings, step, group[HIGHEST], lowered=self.lowered)
            optimiser.zero_grad()
        if self.cached is not None:
            check, owned = partial(self._check, step=step), self.owned[player]
            losses = self.cached.backward(batch, noise, player=player, parameters=owned, check=check)
        elif self.share.processes == 1 and self.settings.accumulate == 1:
            losses = self.objective(batch, noise, player)
            self._check(losses, step)
            self.accelerator.backward(losses.loss)
        else:
            losses = self._in_parts(player, batch, noise, step)
        if self.settings.clip_norm:
            self._clip(player)
        for optimiser in self.prepared[player]:
            optimiser.step()
        self.plain.keep_bounds()
        for name, count in losses.counts().items():
            self._contributed[name] = self._contributed.get(name, 0) + count
        return losses

    def _clip(self, player: str) -> None:
        """Shorten the gradient of a player that is longer than ``training.clip_norm``."""
        if self.accelerator.scaler is not None:
            for optimiser in self.prepared[player]:
                self.accelerator.unscale_gradients(optimiser)
        nn.utils.clip_grad_norm_(self.owned[player], self.settings.clip_norm)

    def _in_parts(self, player: str, batch: Batch, noise: Tensors, step: int) -> Losses:
        """Add up the gradients of all parts, each divided by the number of rows that count in the whole batch."""
        parts = torch.arange(batch.rows).tensor_split(self.settings.accumulate)
        taken: list[Losses] = []
        totals = self._totals(batch, player)
        for number, index in enumerate(parts, start=1):
            index = index.to(self.accelerator.device)
            last = number == len(parts)
            with nullcontext() if last else self.accelerator.no_sync(self.wrapped):
                losses = self.objective(
                    batch.take(index), {name: tensor[index] for name, tensor in noise.items()}, player
                )
                self._check(losses, step)
                self.accelerator.backward(_divided(losses, totals) if totals else losses.loss * losses.weight.sum())
            taken.append(losses.detached())
        whole = _joined(taken, by_term=bool(totals))
        rows = 1.0 if totals else self._summed(float(whole.weight.sum()))
        scale = self.share.processes / max(1.0, rows)  # the exchange of gradients averages over processes
        for parameter in self.owned[player]:
            if parameter.grad is not None:
                parameter.grad.mul_(scale)
        return whole

    def _totals(self, batch: Batch, player: str) -> dict[str, float]:
        """Return over how many rows, in all processes, each term is averaged; empty if all terms share their rows."""
        if not isinstance(self.plain, CountsByTerm):
            return {}
        counted = self.plain.counted(batch, player=player)
        return {name: self._summed(float(rows.sum())) for name, rows in counted.items()}

    def _check(self, losses: Losses, step: int) -> None:
        finite = math.isfinite(losses.loss.item())
        if self.agreed(not finite):
            raise _not_finite(losses, step + 1, self.settings)

    def _summed(self, value: float) -> float:
        if self.share.processes == 1:
            return value
        summed: Tensor = self.accelerator.reduce(torch.tensor(value, device=self.accelerator.device), "sum")
        return summed.item()

    def terms(self, losses: Mapping[str, Losses]) -> dict[str, float]:
        """Return, for the log, the loss of each player and the mean of each term over all processes.

        A mean is taken over the rows that the term applies to; a term without such rows is left out.
        """
        terms: dict[str, float] = {}
        for player, taken in losses.items():
            loss = "loss" if len(losses) == 1 else f"{player}.loss"
            rows = {name: self._summed(taken.rows_of(name).sum().item()) for name in taken.terms}
            sums = {name: self._summed(term.sum().item()) for name, term in taken.terms.items()}
            means = {name: sums[name] / count for name, count in rows.items() if count}
            if self.share.processes == 1:
                terms[loss] = taken.loss.item()
            elif isinstance(self.plain, CountsByTerm):
                terms[loss] = sum(means.values())
            else:
                weight = taken.weight.sum()
                terms[loss] = self._summed((taken.loss * weight).item()) / max(1.0, self._summed(weight.item()))
            terms |= means
        return terms

    def contributions(self) -> dict[str, int]:
        """Return how many rows contributed to each term since the last call, in all processes.

        A term without such rows has 0. All processes call this after the same steps.
        """
        found = {name: round(self._summed(float(count))) for name, count in self._contributed.items()}
        self._contributed = {}
        return found

    def _prepared(self, optimiser: Optimizer) -> Optimizer:
        """Return the optimiser with the gradient scaler that half precision needs, or unchanged if it needs none."""
        if self.accelerator.scaler is None:
            return optimiser  # Accelerate's wrapper would look for optional packages on disk at every step
        scaled: Optimizer = self.accelerator.prepare_optimizer(optimiser)
        return scaled


def _named(player: str, end: str) -> str:
    """Return the name of an optimiser, as it is saved."""
    return f"{player}/{end}" if end else player


def _divided(losses: Losses, totals: Mapping[str, float]) -> Tensor:
    """Return one part's share of a loss that is a sum of means: each term is divided by the rows of all parts."""
    return torch.stack([losses.terms[name].sum() / max(1.0, rows) for name, rows in totals.items()]).sum()


def _joined(parts: Sequence[Losses], *, by_term: bool) -> Losses:
    terms = {name: torch.cat([part.terms[name] for part in parts]) for name in parts[0].terms}
    rows = {name: torch.cat([part.rows[name] for part in parts]) for name in parts[0].rows}
    if by_term:
        return Losses.of_means(terms, rows)
    weight = torch.cat([part.weight for part in parts])
    loss = torch.stack([part.loss * part.weight.sum() for part in parts]).sum() / weight.sum().clamp(min=1)
    return Losses(loss, terms, weight, rows)


def _not_finite(losses: Losses, step: int, settings: Training) -> TrainingError:
    guilty = [name for name, term in losses.terms.items() if not bool(torch.isfinite(term).all())]
    named = f"the term {guilty[0]!r}" if guilty else "the loss"
    return TrainingError(
        f"{named} is {losses.loss.item()} at step {step}, expected a finite number; the last good checkpoint stays. "
        f"Lower training.learning_rate (it is {settings.learning_rate}) or look at the data of this step"
    )


@contextmanager
def _enough_memory(step: int, rows: int, settings: Training) -> Iterator[None]:
    """Turn the many errors of allocators into one that says which setting to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(sign in str(error) for sign in _MEMORY):
            raise
        parts = settings.accumulate
        raise TrainingError(
            f"out of memory at step {step} with {rows} rows in {parts} part{'s' * (parts > 1)}; the last good "
            f"checkpoint stays. Take the same batch in more parts, with training.accumulate={2 * parts}, or fewer "
            f"rows, with training.batch_size={max(1, settings.batch_size // 2)}, and continue with `resume=True` and "
            "`accept_changes=True`"
        ) from error
