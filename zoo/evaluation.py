"""Measures a model on held-out data, and compares with what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from zoo.coherence import coherence
from zoo.components import make_dataset
from zoo.errors import MetricError, UsageError
from zoo.loading import Rows, in_order, load_rows, readable
from zoo.missing import Skip
from zoo.model import Model
from zoo.modules import Batch, MeasuresAnswers, RunsGraphs
from zoo.plugins import Plugins, installed
from zoo.probing import probed
from zoo.protocols import Dataset, Sample
from zoo.registry import Metric
from zoo.spec import Recipe

_BATCH_ROWS = 256


@dataclass(frozen=True)
class HeldOut:
    """A split to measure on: its samples, their rows, and the words that name it in a message."""

    samples: Sequence[Sample]
    rows: Rows
    where: str

    @classmethod
    def load(cls, dataset: Dataset, split: str, model: Model, recipe: Recipe, *, skip: Skip | None = None) -> HeldOut:
        """Read a split of the recipe's data for a model, without the samples of which ``skip`` is told."""
        where = f"data {recipe.data.name!r}, split {split!r}"
        samples = dataset.split(split)
        if skip is not None:
            samples = list(readable(samples, model.modalities, skip=skip))
        return cls(samples, load_rows(samples, model.modalities, where=where), where)


def evaluate(
    model: Model, recipe: Recipe, *, split: str = "", plugins: Plugins | None = None, seed: int = 0
) -> dict[str, float]:
    """Return the metrics that the model's objective reports on a split, by name.

    Where the recipe's evaluation names a label, the samples are taken apart by it, and each name begins with the
    label's value: ``zh.caption_to_picture.recall@10``. ``split`` overrides the recipe's. Where it asks for
    probes, they are fitted on the split ``train`` and measured on the whole split: ``picture.latent.class.probe``,
    see ``zoo.probing``; likewise for the classifiers of ``zoo.coherence``. Deterministic for one ``seed``.
    """
    plugins = plugins or installed()
    dataset = make_dataset(recipe.data, plugins)
    held_out = HeldOut.load(dataset, split or recipe.evaluation.split, model, recipe)
    measured = measure(model, recipe, held_out, seed=seed)
    training = dataset.split("train") if recipe.evaluation.probe or recipe.evaluation.coherence else ()
    if recipe.evaluation.probe:
        measured |= probed(model, training, held_out.samples, held_out.rows, seed=seed)
    if recipe.evaluation.coherence:
        measured |= coherence(model, plugins, training, held_out.samples, held_out.rows, seed=seed)
    return measured


def measure(
    model: Model, recipe: Recipe, held_out: HeldOut, *, seed: int = 0, run: RunsGraphs | None = None
) -> dict[str, float]:
    """Return the metrics of ``evaluate`` but for the probes, on rows that are loaded already.

    With ``run`` those that follow from the answers of deployed graphs, which it runs; none where the objective has no
    such metrics.
    """
    by = recipe.evaluation.by
    measured: dict[str, float] = {}
    for value in sorted({sample.labels.get(by, "") for sample in held_out.samples}) if by else [""]:
        index = [place for place, sample in enumerate(held_out.samples) if not by or sample.labels.get(by, "") == value]
        prefix = f"{value}." if value else ""
        if by and not value:
            raise UsageError(f"{held_out.where}: {len(index)} samples lack the label {by!r} that [evaluation] by names")
        for name, metric in _measured(model, held_out.rows, torch.tensor(index), seed, run).items():
            measured[f"{prefix}{name}"] = float(metric)
    return measured


def verify(measured: Mapping[str, float], recorded: Mapping[str, Metric], name: str) -> None:
    """Raise MetricError where a recorded metric was not measured again within its tolerance."""
    for metric, expected in recorded.items():
        found = measured.get(metric)
        if found is None or not abs(found - expected.value) <= expected.tolerance:
            raise MetricError(
                f"{name}: the metric {metric!r} is recorded as {expected.value} ± {expected.tolerance}, measured now "
                f"{'nothing' if found is None else found}; check the versions of the plugins with `zoo doctor`"
            )


@torch.no_grad()
def _measured(model: Model, rows: Rows, index: torch.Tensor, seed: int, run: RunsGraphs | None) -> Mapping[str, float]:
    training = model.objective.training
    model.objective.eval()
    device = next(model.objective.parameters()).device

    def batches() -> Iterator[Batch]:
        for batch in in_order(rows, index, _BATCH_ROWS):
            yield batch.to(device).with_clean_gaps()

    try:
        if run is not None:
            answered = model.objective
            return answered.answer_metrics(batches(), run) if isinstance(answered, MeasuresAnswers) else {}
        return model.objective.metrics(batches(), generator=torch.Generator().manual_seed(seed))
    finally:
        model.objective.train(training)
