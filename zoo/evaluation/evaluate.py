"""Measures a model on held-out data, and compares the metrics with recorded ones."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from zoo.abilities import MeasuresAnswers, RunsGraphs
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import MetricError, NotFoundError, UsageError, ZooError
from zoo.evaluation.coherence import coherence
from zoo.evaluation.metrics import Metric, metric_name
from zoo.evaluation.probing import probed
from zoo.models.batches import Rows, RowsInMemory, RowsOnDemand, in_order, load_rows, readable
from zoo.models.build import Model
from zoo.models.graphs import evaluating
from zoo.modules import Batch
from zoo.protocols import Modality, Sample
from zoo.recipes.spec import Evaluation, Recipe
from zoo.samples.decoding import ALONE, Reading
from zoo.samples.missing import Skip
from zoo.samples.splits import TRAIN, Splits, absent, joined

_BATCH_ROWS = 256
_CHOOSE = "Choose another split, by `split` or evaluation.split, or add samples to this one"
_LATER = "Set evaluation.split to another split, or add samples to this one"
_FITTED = "Probes and classifiers are fitted on it: set evaluation.probe and evaluation.coherence to false, or add some"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOut:
    """A split to measure on: its samples, their rows, and its name in messages."""

    samples: Sequence[Sample]
    rows: Rows
    where: str

    @classmethod
    def load(
        cls,
        splits: Splits,
        split: str,
        modalities: Mapping[str, Modality],
        *,
        advice: str = _CHOOSE,
        skip: Skip | None = None,
        reading: Reading = ALONE,
    ) -> HeldOut:
        """Read a split, without unreadable samples if ``skip`` is given; ``advice`` says what to do if nothing is left.

        ``skip`` is called for each sample that is left out. ``reading`` says how files are read. If no sample has an
        input, a warning says so, since metrics that need it are not measured.
        """
        samples, where = splits.read(split, advice=advice), splits.where(split)
        rows = load_rows(samples, modalities, where=where, skip=skip, reading=reading)
        if skip is not None and isinstance(rows, RowsOnDemand):  # metrics need a sample for each row
            rows = RowsOnDemand(list(readable(rows.samples, modalities, skip=skip)), modalities)
        held_out = cls(rows.samples, rows, where)
        if lacking := absent(samples, modalities):
            _log.warning(
                "%s: no sample has the input %s; metrics that need it are not measured", where, joined(lacking)
            )
        return held_out

    def some(self, by: str = "") -> HeldOut:
        """Return two rows of every kind; rows differ in kind by their present inputs and by the label ``by``."""
        kinds: dict[object, list[int]] = {}
        for place, sample in enumerate(self.samples):
            there = tuple(name for name, value in sample.inputs.items() if value is not None)
            kinds.setdefault((there, sample.labels.get(by)), []).append(place)
        index = sorted(place for places in kinds.values() for place in places[:2])
        rows = RowsInMemory(self.rows.take(torch.tensor(index)))
        return HeldOut([self.samples[place] for place in index], rows, self.where)


def check_split(splits: Splits, evaluation: Evaluation) -> None:
    """Look for the split and the label that the evaluation of a recipe names, before the recipe is trained.

    A warning says so if the split is there and cannot be measured yet: training does not need it.

    Raises NotFoundError if the data have no such split, UsageError if its samples lack the label.
    """
    try:
        samples = splits.read(evaluation.split, advice=_LATER)
    except NotFoundError as error:
        raise NotFoundError(f"evaluation.split = {evaluation.split!r}: {error}") from error
    except ZooError as error:
        _log.warning("evaluation.split = %r cannot be measured: %s", evaluation.split, error)
    else:
        _check_label(samples, evaluation.by, splits.where(evaluation.split))


def evaluate(
    model: Model,
    recipe: Recipe,
    *,
    split: str = "",
    plugins: Plugins | None = None,
    seed: int = 0,
    skip: Skip | None = None,
    reading: Reading | None = None,
) -> dict[str, float]:
    """Return the metrics that the model's objective reports on a split, by name.

    If the recipe's evaluation names a label, the samples are grouped by it, and each metric's name begins with the
    label's value: ``zh.caption_to_picture.recall@10``. ``split`` overrides the recipe's split. If the recipe asks for
    probes, these are fitted on the split ``train`` and measured on the whole split: ``picture.latent.class.probe``. The
    same applies to the classifiers that judge coherence. The result depends only on ``seed``. With ``skip``, samples
    that cannot be read are left out, and ``skip`` is called for each. ``reading`` says how files are read.

    Raises UsageError if the split has no samples or none of the inputs; DataError if no row has the inputs that the
    objective measures or, without ``skip``, if a sample cannot be read. If no row has an input, a warning says so.
    """
    plugins = plugins or installed()
    splits = Splits.of(recipe, plugins)
    reading = reading or Reading(recipe.training.workers)
    wanted = split or recipe.evaluation.split
    held_out = HeldOut.load(splits, wanted, model.modalities, skip=skip, reading=reading)
    fitted = recipe.evaluation.probe or recipe.evaluation.coherence
    training = splits.read(TRAIN, advice=_FITTED) if fitted else ()
    if skip is not None:
        training = list(readable(training, model.modalities, skip=skip))
    measured = measure(model, recipe, held_out, seed=seed)
    if recipe.evaluation.probe:
        measured |= probed(model, training, held_out.samples, held_out.rows, seed=seed)
    if recipe.evaluation.coherence:
        measured |= coherence(model, plugins, training, held_out.samples, held_out.rows, seed=seed)
    return measured


def measure(
    model: Model, recipe: Recipe, held_out: HeldOut, *, seed: int = 0, run: RunsGraphs | None = None
) -> dict[str, float]:
    """Return the metrics of ``evaluate`` except the probes, on rows that are already loaded.

    With ``run``, only the metrics that can be computed from the outputs of deployed graphs, which ``run`` runs; empty
    if the objective has no such metrics.
    """
    by = recipe.evaluation.by
    _check_label(held_out.samples, by, held_out.where)
    measured: dict[str, float] = {}
    for value in sorted({sample.labels.get(by, "") for sample in held_out.samples}) if by else [""]:
        index = [place for place, sample in enumerate(held_out.samples) if not by or sample.labels.get(by, "") == value]
        for name, metric in _measured(model, held_out.rows, torch.tensor(index), seed, run).items():
            measured[metric_name(value, name)] = float(metric)
    return measured


def _check_label(samples: Sequence[Sample], by: str, where: str) -> None:
    lacking = sum(not sample.labels.get(by) for sample in samples) if by else 0
    if lacking:
        raise UsageError(f"{where}: {lacking} samples lack the label {by!r} that [evaluation] by names")


def verify(measured: Mapping[str, float], recorded: Mapping[str, Metric], name: str) -> None:
    """Raise MetricError if a recorded metric is missing or outside of its tolerance."""
    for metric, expected in recorded.items():
        found = measured.get(metric)
        if found is None or not abs(found - expected.value) <= expected.tolerance:
            raise MetricError(
                f"{name}: the metric {metric!r} is recorded as {expected.value} ± {expected.tolerance}, measured now "
                f"{'nothing' if found is None else found}; check the versions of the plugins with `zoo doctor`"
            )


def _measured(model: Model, rows: Rows, index: torch.Tensor, seed: int, run: RunsGraphs | None) -> Mapping[str, float]:
    device = next(model.objective.parameters()).device

    def batches() -> Iterator[Batch]:
        for batch in in_order(rows, index, _BATCH_ROWS):
            yield batch.to(device).with_clean_gaps()

    with evaluating(model.objective):
        if run is not None:
            answered = model.objective
            return answered.answer_metrics(batches(), run) if isinstance(answered, MeasuresAnswers) else {}
        return model.objective.metrics(batches(), generator=torch.Generator().manual_seed(seed))
