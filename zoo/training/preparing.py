"""The start of a training: the data are checked first, then read; the model is built last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.discovery.components import component_class, make_modalities
from zoo.discovery.plugins import Plugins
from zoo.errors import UsageError
from zoo.evaluation.evaluate import HeldOut, check_split, measure
from zoo.models.batches import Rows, fit_modality, load_rows
from zoo.models.build import Model, build
from zoo.models.checkpoint import load
from zoo.modules import Objective
from zoo.protocols import Modality, Sample
from zoo.recipes.spec import Recipe
from zoo.samples.decoding import Reading
from zoo.samples.missing import Skip, with_files
from zoo.samples.splits import TRAIN, VALIDATION, Splits, joined
from zoo.training.dropping import dropped
from zoo.training.saved import SavedStep
from zoo.training.starting import Start, Started, take
from zoo.training.unread import Unread, unread
from zoo.training.watching import Watched

_TRAINED = "Add samples that have it to this split, or take the input out of the recipe's [spec.inputs]"
_FILLED = "Add samples to it"
_VALIDATED = "Add some, or set training.validate_every to 0"


@dataclass(frozen=True)
class Prepared:
    """A model to train, the rows to train it on, and those to validate on if the recipe validates.

    ``unread`` says, by input, how much of the training values the model does not see; ``watched`` is the start of
    watching a metric, if the recipe names one; ``started`` says which weights were taken to start from.
    """

    model: Model
    rows: Rows
    held_out: HeldOut | None
    unread: Mapping[str, Unread]
    watched: Watched | None = None
    started: Started | None = None


def prepare(
    recipe: Recipe,
    newest: SavedStep | None,
    plugins: Plugins,
    skip: Skip | None,
    reading: Reading,
    start: Start | None = None,
) -> Prepared:
    """Check the data of a recipe, read them, and build its model, or load the model of the checkpoint to resume from.

    ``skip`` is called for samples that cannot be read, which are then left out; ``reading`` says how files are read. A
    model that is built takes the weights of ``start`` that fit.

    Raises UsageError, naming the split and the input, if required data are missing, or if no weights of ``start`` fit;
    NotFoundError if the data lack the split that the recipe's evaluation names; DataError if a sample cannot be read.
    """
    splits = Splits.of(recipe, plugins)
    samples = _training_samples(splits, recipe, skip)
    _check_rows(samples, splits, recipe, plugins)
    check_split(splits, recipe.evaluation)
    if recipe.training.validate_every:
        splits.read(VALIDATION, advice=_VALIDATED)
    saved = load(newest.weights, plugins=plugins).model if newest is not None else None
    modalities = _fitted(recipe, samples, plugins, skip, start) if saved is None else saved.modalities
    compares = _objective(recipe, plugins).compares_rows
    rows = load_rows(samples, modalities, where=splits.where(TRAIN), skip=skip, reading=reading, grouped=compares)
    held_out = None
    if recipe.training.validate_every:
        held_out = HeldOut.load(splits, VALIDATION, modalities, advice=_VALIDATED, skip=skip, reading=reading)
    model = build(recipe.spec, modalities, seed=recipe.training.seed, plugins=plugins) if saved is None else saved
    started = take(model, start) if saved is None and start is not None else None
    watched = None
    if held_out is not None:  # metrics that cannot be measured are reported before the first step
        watched = Watched.of(recipe.training, measure(model, recipe, held_out.some(recipe.evaluation.by)))
    return Prepared(model, rows, held_out, unread(samples, rows, modalities), watched, started)


def _training_samples(splits: Splits, recipe: Recipe, skip: Skip | None) -> Sequence[Sample]:
    samples = splits.read(TRAIN, advice=_TRAINED, empty=_FILLED)
    splits.require(samples, splits.inputs, TRAIN, advice=_TRAINED)
    kept = dropped(samples, recipe.training.drop, seed=recipe.training.seed)
    splits.require(kept, splits.inputs, TRAIN, advice="training.drop removes all its values; lower the fraction")
    return with_files(kept, splits.inputs, where=splits.where(TRAIN), skip=skip)


def _check_rows(samples: Sequence[Sample], splits: Splits, recipe: Recipe, plugins: Plugins) -> None:
    """Raise UsageError if no row has enough inputs for the objective, or a batch has too few rows to compare."""
    objective = _objective(recipe, plugins)
    there = [sum(sample.inputs.get(name) is not None for name in splits.inputs) for sample in samples]
    if max(there, default=0) < objective.fewest_inputs:
        held = ((name, sum(sample.inputs.get(name) is not None for sample in samples)) for name in splits.inputs)
        needs = {2: "two"}.get(objective.fewest_inputs, str(objective.fewest_inputs))
        raise UsageError(
            f"No training row has {needs} inputs, and {recipe.spec.objective.name!r} learns only from such rows: in "
            f"{splits.where(TRAIN)}, {joined(f'{count} rows have {name}' for name, count in held)}. Put what belongs "
            "together into one row"
        )
    if objective.compares_rows and min(recipe.training.batch_size, len(samples)) < 2:
        raise UsageError(
            f"{recipe.spec.objective.name!r} compares the rows of a batch, and a batch has one: training.batch_size is "
            f"{recipe.training.batch_size}, {splits.where(TRAIN)} has {len(samples)} samples; take two rows or more"
        )


def _objective(recipe: Recipe, plugins: Plugins) -> type[Objective]:
    found: type[Objective] = component_class(plugins, "objective", recipe.spec.objective.name, Objective)
    return found


def _fitted(
    recipe: Recipe, samples: Sequence[Sample], plugins: Plugins, skip: Skip | None, start: Start | None
) -> Mapping[str, Modality]:
    made, kept = make_modalities(recipe.spec, plugins), start.fitted(recipe, plugins) if start is not None else {}
    return {name: kept.get(name) or fit_modality(modality, samples, name, skip=skip) for name, modality in made.items()}
