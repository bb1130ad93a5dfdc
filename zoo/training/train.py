"""Trains a recipe: one loop for every objective, on Accelerate.

All randomness in a step comes from the seed and the step's number. So a run that is resumed from a checkpoint takes
exactly the steps that it would have taken without the interruption.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.discovery.plugins import Plugins, installed
from zoo.errors import TrainingError
from zoo.models.batches import Rows
from zoo.models.build import Model
from zoo.recipes.changes import refuse
from zoo.recipes.naming import check_distinct
from zoo.recipes.spec import Recipe
from zoo.recipes.training import Training
from zoo.samples.decoding import Reading
from zoo.training.averaging import put
from zoo.training.counting import Watch
from zoo.training.launching import accelerator_for, is_first_process
from zoo.training.loop import Loop
from zoo.training.optimisers import same_state
from zoo.training.ordering import Order, batches
from zoo.training.preparing import prepare
from zoo.training.runs import Run
from zoo.training.saved import SavedStep
from zoo.training.starting import Start
from zoo.training.stopping import Stop, Stopped, stopping
from zoo.training.validating import Validation
from zoo.training.writing import Writer

_LOG_EVERY = 10


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
    start: Start | None = None,
    observe: Observer | None = None,
    observe_reading: Callable[[int, int], None] | None = None,
    plugins: Plugins | None = None,
) -> Path:
    """Train a recipe and return the path of the last checkpoint, below the folder ``out``.

    ``resume`` continues from the newest checkpoint in ``out``; without it ``out`` must hold none. If a setting that
    affects the steps changed since then, ``accept_changes`` allows it: a learning rate, an option of the data, the
    number of rows or of processes, but not the spec. ``log.jsonl`` records the step from which the change applies.
    ``start`` holds weights to start from, unless there is a checkpoint to continue from; ``from.json`` records what was
    taken. ``skip_bad_samples`` leaves out samples that cannot be read, and lists them in ``skipped.jsonl``.
    ``observe`` is called after each step whose terms are logged, ``observe_reading`` with the number of values read so
    far and their total. SIGTERM and Ctrl-C leave a checkpoint and raise SystemExit with 143 or 130.

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
        if _ended(newest, recipe.training):
            return newest.weights
    with stopping() as stop, ExitStack() as alone:
        accelerator = accelerator_for(recipe.training, out)
        alone.enter_context(run.held(newest) if is_first_process() else nullcontext())
        reading = Reading(recipe.training.workers, observe_reading)
        try:
            with stop.at_once():  # there are no weights yet, or they are already saved
                prepared = prepare(recipe, newest, plugins, run.skip if skip_bad_samples else None, reading, start)
        except Stopped:
            stop.now()
        model, rows = prepared.model, prepared.rows
        recipe = replace(recipe, training=recipe.training.counted(len(rows)))
        launched = {"rows": len(rows), "processes": accelerator.num_processes}
        loop = Loop(model, recipe.training, accelerator)
        if newest is not None:
            changed = newest.changes(recipe, **launched)
            refuse(changed, newest.folder, accepted=accept_changes)
            if same_state(newest.recipe.training, recipe.training):
                newest.restore(loop.optimisers, loop.places(newest.recipe.training))
            put(model.objective, newest.live(), newest.folder)
        first = newest.step if newest else 0
        validation = Validation(model, recipe, loop, prepared.held_out, prepared.watched, newest)
        writer = Writer(run, recipe, model, loop, validation, launched)
        writer.start(first, changed, prepared)
        _take_steps(recipe, rows, loop, writer, stop, observe, first=first)
    accelerator.end_training()
    saved = run.newest()
    if saved is None:
        raise TrainingError(f"{out} lost its checkpoint while training ended; was it deleted? Train again")
    return saved.weights


def _ended(newest: SavedStep, settings: Training) -> bool:
    """Return whether a training that continues from ``newest`` has no step left."""
    rows = newest.launched.get("rows", 0)
    steps = settings.counted(rows).steps if rows else settings.steps
    return newest.step >= steps or (newest.watched is not None and newest.watched.ends(settings))


def _take_steps(
    recipe: Recipe, rows: Rows, loop: Loop, writer: Writer, stop: Stop, observe: Observer | None, *, first: int
) -> None:
    settings = recipe.training
    order = Order(len(rows), settings.batch_size, settings.seed)
    steps = range(first, settings.steps)
    validation = writer.validation
    if validation.is_missing(first):
        _measure(writer, first, stop)
        writer.save(first)
    watch = Watch(loop, first=first, last=settings.steps, epoch=len(rows) // order.batch_size)
    for step, batch in zip(steps, batches(rows, order, loop.share, steps, workers=settings.workers), strict=True):
        losses = loop.step(step, batch, order.batch_size)
        done, last = step + 1, step + 1 == settings.steps
        if last or done % _LOG_EVERY == 0 or step == 0:
            terms = loop.terms(losses)
            writer.log(done, terms)
            if observe is not None and is_first_process():
                with loop.averaged():
                    observe(TakenStep(done, settings.steps, order.batch_size, terms, writer.model))
        writer.tell(watch.after(done))
        stopped = loop.agreed(stop.asked)
        if stopped:
            writer.save(done)
            stop.now()
        if due := validation.is_due(done, last=last):
            _measure(writer, done, stop)
        ends = due and validation.ends
        if last or ends or done % settings.checkpoint_every == 0 or (due and validation.is_best):
            writer.save(done)
        if ends and not last:
            writer.end(done)
            break


def _measure(writer: Writer, step: int, stop: Stop) -> None:
    """Measure the split ``validation``; after a signal there is a checkpoint, and ``resume`` measures first."""
    measured: Mapping[str, float] | None = None
    with writer.loop.averaged(), suppress(Stopped), stop.at_once():
        measured = writer.validation.measure()
    if measured is None:
        writer.save(step)
        stop.now()
    else:
        writer.log(step, writer.validation.after(step, measured))
