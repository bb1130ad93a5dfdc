"""Trains a recipe: one loop for every objective, on Accelerate.

All randomness in a step comes from the seed and the step's number. So a run that is resumed from a checkpoint takes
exactly the steps that it would have taken without the interruption.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zoo.discovery.plugins import Plugins, installed
from zoo.errors import TrainingError
from zoo.evaluation.evaluate import HeldOut, measure
from zoo.evaluation.metrics import metric_name
from zoo.models.batches import Rows
from zoo.models.build import Model
from zoo.recipes.changes import Changes, refuse, told
from zoo.recipes.naming import check_distinct
from zoo.recipes.spec import Recipe
from zoo.samples.decoding import Reading
from zoo.samples.splits import VALIDATION, joined
from zoo.training.counting import Watch, WithoutRows
from zoo.training.launching import accelerator_for, is_first_process
from zoo.training.loop import Loop
from zoo.training.optimisers import same_state
from zoo.training.ordering import Order, batches
from zoo.training.preparing import prepare
from zoo.training.runs import FROZEN, UNREAD, Run
from zoo.training.stopping import Stop, Stopped, stopping
from zoo.training.unread import Unread

_LOG_EVERY = 10
# The key in the log for terms that no row contributed to.
WITHOUT_ROWS = "without_rows"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TakenStep:
    """A step that was taken: its number from 1, the means of the loss terms over the rows that count, and the model."""

    step: int
    steps: int
    rows: int
    terms: Mapping[str, float]
    model: Model


Observer = Callable[[TakenStep], None]


def train(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    accept_changes: bool = False,
    skip_bad_samples: bool = False,
    observe: Observer | None = None,
    observe_reading: Callable[[int, int], None] | None = None,
    plugins: Plugins | None = None,
) -> Path:
    """Train a recipe and return the path of the last checkpoint, below the folder ``out``.

    ``resume`` continues from the newest checkpoint in ``out``; without it ``out`` must hold none. If a setting that
    affects the steps changed since then, ``accept_changes`` allows it: a learning rate, an option of the data, the
    number of rows or of processes, but not the spec. ``log.jsonl`` records the step from which the change applies.
    ``skip_bad_samples`` leaves out samples that cannot be read, and lists them in ``skipped.jsonl``. ``observe`` is
    called after each step whose terms are logged, ``observe_reading`` with the number of values read so far and their
    total. SIGTERM and Ctrl-C leave a checkpoint and raise SystemExit with 143 or 130.

    Raises IntegrityError, naming each changed key with both values, if a change is not accepted; DataError, naming the
    sample, if it cannot be read; SpecError if names of inputs are ambiguous; TrainingError, naming the term and the
    step, if a loss is not finite or memory runs out. The last good checkpoint stays.
    """
    plugins = plugins or installed()
    run = Run(out)
    newest, changed = None, dict[str, tuple[Any, Any]]()
    if not resume:
        run.nothing_yet()
        check_distinct([entry.name for entry in recipe.spec.inputs])
    elif newest := run.newest():
        changed = newest.changes(recipe)
        refuse(changed, newest.folder, accepted=accept_changes)
        if newest.step >= recipe.training.steps:
            return newest.weights
    with stopping() as stop, ExitStack() as alone:
        accelerator = accelerator_for(recipe.training, out)
        alone.enter_context(run.held(newest) if is_first_process() else nullcontext())
        reading = Reading(recipe.training.workers, observe_reading)
        try:
            with stop.at_once():  # there are no weights yet, or they are already saved
                prepared = prepare(recipe, newest, plugins, run.skip if skip_bad_samples else None, reading)
        except Stopped:
            stop.now()
        model, rows = prepared.model, prepared.rows
        launched = {"rows": len(rows), "processes": accelerator.num_processes}
        loop = Loop(model, recipe.training, accelerator)
        if newest is not None:
            changed = newest.changes(recipe, **launched)
            refuse(changed, newest.folder, accepted=accept_changes)
            if same_state(newest.recipe.training, recipe.training):
                newest.restore(loop.optimisers, loop.places(newest.recipe.training))
        first = newest.step if newest else 0
        writer = _Writer(run, recipe, model, loop, prepared.held_out, launched)
        writer.start(first, changed, prepared.unread)
        _take_steps(recipe, rows, loop, writer, stop, observe, first=first)
    accelerator.end_training()
    saved = run.newest()
    if saved is None:
        raise TrainingError(f"{out} lost its checkpoint while training ended; was it deleted? Train again")
    return saved.weights


def _take_steps(
    recipe: Recipe, rows: Rows, loop: Loop, writer: _Writer, stop: Stop, observe: Observer | None, *, first: int
) -> None:
    settings = recipe.training
    order = Order(len(rows), settings.batch_size, settings.seed)
    steps = range(first, settings.steps)
    watch = Watch(loop, first=first, last=settings.steps, epoch=len(rows) // order.batch_size)
    for step, batch in zip(steps, batches(rows, order, loop.share, steps, workers=settings.workers), strict=True):
        losses = loop.step(step, batch, order.batch_size)
        done, last = step + 1, step + 1 == settings.steps
        if last or done % _LOG_EVERY == 0 or step == 0:
            terms = loop.terms(losses)
            writer.log(done, terms)
            if observe is not None and is_first_process():
                observe(TakenStep(done, settings.steps, order.batch_size, terms, writer.model))
        writer.tell(watch.after(done))
        stopped = loop.agreed(stop.asked)
        if last or done % settings.checkpoint_every == 0 or stopped:
            writer.save(done)
        if stopped:
            stop.now()
        if writer.held_out is not None and (last or done % settings.validate_every == 0):
            try:
                with stop.at_once():
                    measured = measure(writer.model, recipe, writer.held_out)
            except Stopped:
                writer.save(done)
                stop.now()
            writer.log(done, {metric_name(VALIDATION, name): value for name, value in measured.items()})


@dataclass(frozen=True)
class _Writer:
    """Writes the files of a run, in the first process only."""

    run: Run
    recipe: Recipe
    model: Model
    loop: Loop
    held_out: HeldOut | None
    launched: Mapping[str, int]

    def start(self, step: int, changed: Changes, unread: Mapping[str, Unread]) -> None:
        """Test whether a checkpoint can be written, write the recipe and the changes, open the log and the trackers."""
        if is_first_process():
            first = min(step + self.recipe.training.checkpoint_every, self.recipe.training.steps)
            owned = [parameter for parameters in self.loop.owned.values() for parameter in parameters]
            self.run.rehearse(first, self.model, self.recipe, owned)
            self.run.start(self.recipe, step=step, changed=changed)
            if changed:
                _log.warning("from step %d on, %s", step + 1, told(changed))
            if unread and (changed or step == 0):
                self.run.log({"step": step, UNREAD: {name: one.written() for name, one in unread.items()}})
            if frozen := self.loop.frozen.told():
                _log.warning(frozen)
                if changed or step == 0:
                    self.run.log({"step": step, FROZEN: list(self.loop.frozen.weights)})
            for sentence in (sentence for name, one in unread.items() for sentence in one.told(name)):
                _log.warning(sentence)
        self.loop.accelerator.init_trackers(self.run.folder.name, config=_flat(self.recipe.written()))

    def log(self, step: int, terms: Mapping[str, float]) -> None:
        """Add a line to the log, and pass it to the trackers."""
        if is_first_process():
            self.run.log({"step": step, **terms})
        if self.recipe.training.trackers:
            self.loop.accelerator.log(dict(terms), step=step)

    def tell(self, found: WithoutRows | None) -> None:
        """Warn of terms that no row contributed to, and add a line to the log, if there are any."""
        if found is not None and is_first_process():
            self.run.log({"step": found.last, WITHOUT_ROWS: list(found.terms)})
            _log.warning(
                "no row of the steps %d to %d contributed to %s: it teaches the model nothing",
                found.first,
                found.last,
                joined(found.terms),
            )

    def save(self, step: int) -> None:
        """Commit a checkpoint."""
        _check_weights(self.model, step)
        if is_first_process():
            self.run.save(step, self.model, self.recipe, self.loop.optimisers, self.launched)
        self.loop.accelerator.wait_for_everyone()


def _flat(tables: Mapping[str, object], prefix: str = "") -> dict[str, int | float | str | bool]:
    """Return a recipe by dotted keys, as trackers expect it."""
    flat: dict[str, int | float | str | bool] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, int | float | str) else str(value)
    return flat


def _check_weights(model: Model, step: int) -> None:
    """Raise TrainingError if a step made weights NaN or infinite: these must not replace a good checkpoint."""
    for name, parameter in model.objective.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise TrainingError(
                f"the weights {name!r} are not finite after step {step}, though its loss was; the last good checkpoint "
                "stays. Look for a gradient without a bound, such as that of a square root at zero"
            )
