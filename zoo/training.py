"""Trains a recipe: one loop for every objective, on Accelerate.

Everything random in a step follows from the seed and the step's number, so a run that goes on from a checkpoint takes
the very steps that it would have taken.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from torch import Tensor

from zoo.checkpoint import Checkpoint, load
from zoo.components import make_dataset, make_modalities
from zoo.errors import TrainingError, UsageError
from zoo.loading import Rows, fit_modality, load_rows
from zoo.model import Model, build
from zoo.modules import Losses, Objective
from zoo.plugins import Plugins, installed
from zoo.runs import Run
from zoo.spec import Recipe, Training

if TYPE_CHECKING:
    from torch.optim import Optimizer

_LOG_EVERY = 10
_STEPS, _ORDERS = 0, 1


@dataclass(frozen=True)
class Progress:
    """A step that was taken: its number from 1, the loss terms as means over the rows that count, and the model."""

    step: int
    steps: int
    rows: int
    terms: Mapping[str, float]
    model: Model


Observer = Callable[[Progress], None]


def train(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    observe: Observer | None = None,
    plugins: Plugins | None = None,
) -> Path:
    """Train a recipe and return the path of the last checkpoint, below the folder ``out``.

    ``resume`` goes on from the newest checkpoint in ``out``; without it ``out`` must hold none. ``observe`` is called
    after each step whose terms are logged.

    Raises TrainingError, naming the term and the step, where a loss is not finite; the last good checkpoint stays.
    """
    plugins = plugins or installed()
    run = Run(out)
    newest = run.newest(recipe) if resume else run.nothing_yet()
    if newest is not None and newest.step >= recipe.training.steps:
        return newest.weights
    checkpoint = load(newest.weights, plugins=plugins) if newest else None
    model, rows = _prepared(recipe, checkpoint, plugins)
    loop = _Loop(model, rows, recipe)
    if newest is not None:
        newest.restore(loop.optimisers)
    first = newest.step if newest else 0
    run.start(recipe, step=first)
    with run.stopping() as stop:
        for step in range(first, recipe.training.steps):
            losses = loop.step(step)
            last = step + 1 == recipe.training.steps
            if last or (step + 1) % _LOG_EVERY == 0 or step == 0:
                terms = _terms(losses)
                run.log({"step": step + 1, **terms})
                if observe is not None:
                    observe(Progress(step + 1, recipe.training.steps, loop.batch_size, terms, model))
            if last or (step + 1) % recipe.training.checkpoint_every == 0 or stop.asked:
                _check_weights(model, step + 1)
                run.save(step + 1, model, recipe, loop.optimisers)
            stop.now()
    saved = run.newest(recipe)
    if saved is None:
        raise TrainingError(f"{out} lost its checkpoint while training ended; was it deleted? Train again")
    return saved.weights


def _prepared(recipe: Recipe, checkpoint: Checkpoint | None, plugins: Plugins) -> tuple[Model, Rows]:
    samples = make_dataset(recipe.data, plugins).split("train")
    if checkpoint is not None:
        model = checkpoint.model
    else:
        modalities = {
            name: fit_modality(modality, samples, name)
            for name, modality in make_modalities(recipe.spec, plugins).items()
        }
        model = build(recipe.spec, modalities, seed=recipe.training.seed, plugins=plugins)
    model.objective.train()
    return model, load_rows(samples, model.modalities, where=f"data {recipe.data.name!r}, split 'train'")


class _Loop:
    """Model, rows and one optimiser a player, on whatever device and precision Accelerate was launched with."""

    def __init__(self, model: Model, rows: Rows, recipe: Recipe) -> None:
        self.settings = recipe.training
        self.accelerator = Accelerator()
        self.objective: Objective = self.accelerator.prepare_model(model.objective)
        self.plain = model.objective
        players = model.objective.players()
        self.optimisers = {player: _optimiser(list(owned), self.settings) for player, owned in players.items()}
        self.prepared = {name: self._prepared(made) for name, made in self.optimisers.items()}
        self.rows = rows
        self.batch_size = min(self.settings.batch_size, len(rows))
        self.steps_an_epoch = len(rows) // self.batch_size
        self.generator = torch.Generator()
        self.epoch = -1
        self.order = torch.empty(0, dtype=torch.int64)
        if self.accelerator.num_processes > 1:
            raise UsageError(
                f"training runs in one process, this is one of {self.accelerator.num_processes}; "
                "start it by `zoo train` alone, not by a launcher of several"
            )

    def step(self, step: int) -> Mapping[str, Losses]:
        """Take one step of every player; return the losses of each."""
        self.generator.manual_seed(_seed(self.settings.seed, _STEPS, step))
        torch.default_generator.manual_seed(self.generator.initial_seed())
        batch = self.rows.take(self._index(step)).to(self.accelerator.device)
        taken: dict[str, Losses] = {}
        for player, optimiser in self.prepared.items():
            noise = self.plain.noise(batch.rows, generator=self.generator)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(self.settings, step)
            noise = {name: tensor.to(self.accelerator.device) for name, tensor in noise.items()}
            losses: Losses = self.objective(batch, noise, player)
            if not math.isfinite(losses.loss.item()):
                raise _not_finite(losses, step + 1, self.settings)
            optimiser.zero_grad()
            self.accelerator.backward(losses.loss)
            optimiser.step()
            taken[player] = losses
        return taken

    def _prepared(self, optimiser: Optimizer) -> Optimizer:
        """Return the optimiser with the gradient scaler that half precision needs, itself where there is none."""
        if self.accelerator.scaler is None:
            return optimiser  # Accelerate's wrapper would look for optional packages on disk at every step
        scaled: Optimizer = self.accelerator.prepare_optimizer(optimiser)
        return scaled

    def _index(self, step: int) -> Tensor:
        """Return the rows of this step; the order of an epoch follows from seed and epoch."""
        epoch, position = divmod(step, self.steps_an_epoch)
        if epoch != self.epoch:
            shuffle = torch.Generator().manual_seed(_seed(self.settings.seed, _ORDERS, epoch))
            self.order = torch.randperm(len(self.rows), generator=shuffle)
            self.epoch = epoch
        start = position * self.batch_size
        return self.order[start : start + self.batch_size]


def learning_rate(settings: Training, step: int) -> float:
    """Return the learning rate of a step: a linear warm-up, then constant or a cosine down to zero."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    through = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * through))


def _terms(losses: Mapping[str, Losses]) -> dict[str, float]:
    """Return the loss of each player and the mean of each term, for the log."""
    terms: dict[str, float] = {}
    for player, taken in losses.items():
        terms["loss" if len(losses) == 1 else f"{player}.loss"] = taken.loss.item()
        terms |= {name: mean.item() for name, mean in taken.means().items()}
    return terms


def _seed(seed: int, stream: int, number: int) -> int:
    """Return a seed of its own for each number of each stream; torch's CPU generator takes 32 bits of it."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {stream} {number}".encode(), digest_size=4).digest(), "big")


def _optimiser(parameters: list[Any], settings: Training) -> Optimizer:
    if settings.weight_decay:
        matrices = [parameter for parameter in parameters if parameter.dim() > 1]
        vectors = [parameter for parameter in parameters if parameter.dim() <= 1]
        groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)
    return torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)


def _check_weights(model: Model, step: int) -> None:
    """Raise TrainingError where a step left weights that are no numbers: they must not replace a good checkpoint."""
    for name, parameter in model.objective.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise TrainingError(
                f"the weights {name!r} are not finite after step {step}, though its loss was; the last good checkpoint "
                "stays. Look for a gradient without a bound, such as that of a square root at zero"
            )


def _not_finite(losses: Losses, step: int, settings: Training) -> TrainingError:
    guilty = [name for name, term in losses.terms.items() if not bool(torch.isfinite(term).all())]
    named = f"the term {guilty[0]!r}" if guilty else "the loss"
    return TrainingError(
        f"{named} is {losses.loss.item()} at step {step}, expected a finite number; the last good checkpoint stays. "
        f"Lower training.learning_rate (it is {settings.learning_rate}) or look at the data of this step"
    )
