"""Rows of an entry's data as the inputs of its graphs, for calibrating, judging and measuring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from zoo.discovery.plugins import Plugins
from zoo.errors import UsageError
from zoo.evaluation.evaluate import HeldOut
from zoo.evaluation.latents import latents_of
from zoo.models.batches import load_rows, readable, to_batch
from zoo.models.build import Model
from zoo.offers import TakesRaw
from zoo.parity.precisions import PRECISIONS, Precision
from zoo.protocols import Graph, Sample
from zoo.recipes.naming import LATENT, PRESENT, inputs_of, presences, with_owner
from zoo.recipes.spec import Recipe
from zoo.runtime.gaps import with_gaps
from zoo.samples.missing import LeftOut
from zoo.samples.splits import TRAIN, Splits, joined

if TYPE_CHECKING:
    from zoo.protocols import Array

_CALIBRATION_ROWS, _JUDGED_ROWS, _ROWS_AT_ONCE = 128, 32, 8
_MEASURED = "Files of fewer bits are judged and measured on it: add some"


def drawn(samples: Sequence[Sample], rows: int, *, seed: int) -> list[Sample]:
    """Return ``rows`` of the samples, or all if there are fewer, drawn by ``seed`` and kept in order.

    A split may be sorted, so its first rows might all be of one kind.
    """
    chosen = np.random.default_rng(seed).permutation(len(samples))[:rows]
    return [samples[place] for place in sorted(chosen.tolist())]


@dataclass(frozen=True)
class Data:
    """Rows of an entry's data as the inputs of its graphs, without unreadable samples, which ``left_out`` holds."""

    model: Model
    recipe: Recipe
    splits: Splits
    held_out: HeldOut
    left_out: LeftOut = field(default_factory=LeftOut)

    @classmethod
    def load(cls, model: Model, recipe: Recipe, plugins: Plugins) -> Data:
        """Read the split that the recipe evaluates on.

        Raises ZooError if it cannot be read or has none of the model's inputs.
        """
        splits, left_out = Splits.of(recipe, plugins), LeftOut()
        held_out = HeldOut.load(splits, recipe.evaluation.split, model.modalities, advice=_MEASURED, skip=left_out)
        return cls(model, recipe, splits, held_out, left_out)

    def calibration(self, graph: Graph, precision: Precision) -> list[Mapping[str, Array]]:
        """Return inputs of a graph from rows that the model was trained on, drawn over the split.

        Raises UsageError, naming the split and the inputs, if no row has the inputs of the graph.
        """
        samples = drawn(self._training, _CALIBRATION_ROWS, seed=self.recipe.training.seed)
        found = list(readable(samples, self.model.modalities, skip=self.left_out))
        return self._required(graph, list(self._inputs(graph, found)), TRAIN, precision)

    def judged(self, graph: Graph) -> list[Mapping[str, Array]]:
        """Return inputs of a graph from held-out rows, drawn over the split; none if no row has its inputs."""
        samples = drawn(self.held_out.samples, _JUDGED_ROWS, seed=self.recipe.training.seed)
        return list(self._inputs(graph, samples))

    def required(self, graph: Graph, precision: Precision) -> list[Mapping[str, Array]]:
        """Return the same as ``judged``; if there are none, raises UsageError that names the split and the inputs."""
        return self._required(graph, self.judged(graph), self.recipe.evaluation.split, precision)

    @cached_property
    def _training(self) -> Sequence[Sample]:
        calibrated = " and ".join(precision.name for precision in PRECISIONS.values() if precision.calibrated)
        return self.splits.read(TRAIN, advice=f"Ranges are calibrated on it: add some, or leave {calibrated} out")

    def _required(
        self, graph: Graph, inputs: list[Mapping[str, Array]], split: str, precision: Precision
    ) -> list[Mapping[str, Array]]:
        if not inputs:
            names = joined(sorted(inputs_of(graph.inputs)))
            raise UsageError(
                f"{self.splits.where(split)}: no sample has all that {graph.name!r} takes: {names}; leave this graph "
                f"out by `graphs`, or the precision {precision.name}"
            )
        return inputs

    def _inputs(self, graph: Graph, samples: Sequence[Sample]) -> Iterator[Mapping[str, Array]]:
        """Yield inputs of a graph, a few rows at a time: rows that have its inputs, or the latents of such rows."""
        made = self._latents(graph, samples) if set(graph.inputs) == {LATENT} else self._arrays(graph, samples)
        rows = len(next(iter(made.values()))) if made else 0
        for start in range(0, rows, _ROWS_AT_ONCE):
            yield {name: array[start : start + _ROWS_AT_ONCE] for name, array in made.items()}

    def _arrays(self, graph: Graph, samples: Sequence[Sample]) -> dict[str, Array]:
        names = inputs_of(graph.inputs)
        gaps = bool(presences(graph.inputs))
        whole = samples if gaps else [s for s in samples if all(s.inputs.get(name) is not None for name in names)]
        if not whole:
            return {}
        batch = to_batch(whole, {name: self.model.modalities[name] for name in names})
        arrays: dict[str, Array] = {}
        for name in names:
            present = batch.present[name].numpy()
            found = {key: tensor.numpy() for key, tensor in batch.inputs[name].items()}
            modality = self.model.modalities[name]
            if isinstance(modality, TakesRaw):
                values = [s.inputs[name] for s, there in zip(whole, present, strict=True) if there]
                raw = modality.to_raw_arrays(values) if values and modality.raw_tensors else {}
                found |= {key: with_gaps(array, present) for key, array in raw.items()}
            arrays |= with_owner(name, {**found, PRESENT: present})
        return {name: arrays[name] for name in graph.inputs}

    def _latents(self, graph: Graph, samples: Sequence[Sample]) -> dict[str, Array]:
        there = [sample for sample in samples if any(value is not None for value in sample.inputs.values())]
        if not there:
            return {}
        found = latents_of(self.model, load_rows(there, self.model.modalities, where="calibration"))
        size = graph.inputs[LATENT].axes[1]
        fitting = [one for one in found.values() if one.values.shape[1] == size and bool(one.known.any())]
        if not fitting:
            return {}
        widest = fitting[-1]
        return {LATENT: widest.values[widest.known].numpy().astype(np.float32)}
