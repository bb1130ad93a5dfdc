"""Measures a model on held-out data, and compares the metrics with the registry's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from zoo.catalogue.registry import RegistryEntry
from zoo.catalogue.targets import Target
from zoo.discovery.plugins import Plugins, installed
from zoo.errors import UsageError
from zoo.evaluation.evaluate import evaluate as measure, verify
from zoo.evaluation.metrics import Metric, tabulated
from zoo.models.checkpoint import Checkpoint
from zoo.protocols import Progress
from zoo.recipes.arguments import checked
from zoo.samples.decoding import Reading
from zoo.samples.missing import LeftOut
from zoo.verbs.progress import told
from zoo.verbs.sources import opened
from zoo.verbs.texts import table


@dataclass(frozen=True, eq=False, repr=False)
class Measured(Mapping[str, float]):
    """Metrics by name, shown as the tables that ``zoo evaluate`` prints.

    ``split`` is the requested one, empty for the recipe's own; ``left_out`` says, by key, why samples could not be
    read; ``entry`` is the one that the model belongs to.
    """

    metrics: Mapping[str, float]
    inputs: tuple[str, ...]
    name: str = ""
    split: str = ""
    entry: RegistryEntry | None = None
    left_out: LeftOut = field(default_factory=LeftOut)

    def __getitem__(self, name: str) -> float:
        return self.metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    def __repr__(self) -> str:
        return "\n\n".join("\n".join(table(header, rows)) for header, rows in self.tables())

    def tables(self) -> list[tuple[Sequence[str], list[tuple[str, ...]]]]:
        """Return a table of inputs by metrics, if there are inputs to compare, and one of all other metrics.

        Each is its header and its rows.
        """
        compared, others = tabulated(self.metrics, self.inputs)
        found: list[tuple[Sequence[str], list[tuple[str, ...]]]] = []
        if compared:
            found.append((compared[0], compared[1:]))
        if others:
            found.append((("METRIC", "VALUE"), [(name, f"{self.metrics[name]:.4g}") for name in others]))
        return found

    def verify(self) -> int:
        """Compare with the metrics that the registry records for the entry, and return their number.

        Raises MetricError if one was not measured again within its tolerance, UsageError as ``recorded`` does.
        """
        expected = recorded(self.entry, self.split)
        verify(self.metrics, expected, self.name)
        return len(expected)


def recorded(entry: RegistryEntry | None, split: str) -> Mapping[str, Metric]:
    """Return the recorded metrics of an entry; raises UsageError if none are recorded for this model and split."""
    if entry is None or split:
        raise UsageError("`verify` compares an entry's recorded metrics on its own split; name an entry and no `split`")
    return entry.metrics


@checked
def evaluate(
    source: str | os.PathLike[str] | RegistryEntry | Target | Checkpoint,
    *,
    split: str = "",
    skip_bad_samples: bool = False,
    seed: int = 0,
    last: bool = False,
    progress: Progress | None = None,
    plugins: Plugins | None = None,
) -> Measured:
    """Measure a model on its recipe's held-out split, or on ``split``.

    The model is a Checkpoint, or that of an entry (or its name), of a run's folder or of a checkpoint file. If
    the recipe's evaluation names a label, the samples are grouped by it, and each metric begins with the label's
    value: ``zh.caption_to_picture.recall@10``. Of a run that watched a metric the best checkpoint is measured, or with
    ``last`` the newest. ``skip_bad_samples`` leaves out samples that cannot be read.
    ``progress`` is called with the number of values read and their total. The result depends only on ``seed``.

    Raises UnknownNameError with the nearest name; UsageError if the split has no samples or none of the inputs;
    DataError if no row has the inputs that the objective measures or, unless skipped, a sample cannot be read.
    """
    plugins = plugins or installed()
    left_out = LeftOut()
    with told(progress, "evaluating") as advance:
        model = opened(source, plugins, advance, last=last)
        reading = Reading(
            model.checkpoint.recipe.training.workers, lambda done, total: advance(done, total, "values read")
        )
        metrics = measure(
            model.checkpoint.model,
            model.checkpoint.recipe,
            split=split,
            plugins=plugins,
            seed=seed,
            skip=left_out if skip_bad_samples else None,
            reading=reading,
        )
    return Measured(metrics, tuple(model.checkpoint.model.modalities), model.name, split, model.entry, left_out)
