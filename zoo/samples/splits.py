"""The samples of a split for a model: missing splits and inputs are reported before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from zoo.discovery.components import make_dataset
from zoo.discovery.plugins import Plugins
from zoo.errors import NotFoundError, UsageError, ZooError
from zoo.protocols import Dataset, Sample
from zoo.recipes.spec import Recipe

TRAIN, VALIDATION = "train", "validation"
_SPLITS = (TRAIN, VALIDATION, "test")


@dataclass(frozen=True)
class Splits:
    """The data of a recipe, for a model of ``inputs``; ``name`` is their name in the recipe."""

    name: str
    dataset: Dataset
    inputs: Sequence[str]
    _made: dict[str, Sequence[Sample]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, recipe: Recipe, plugins: Plugins) -> Splits:
        """Open the data of a recipe."""
        return cls(recipe.data.name, make_dataset(recipe.data, plugins), [entry.name for entry in recipe.spec.inputs])

    def where(self, split: str) -> str:
        """Return the words that name a split in a message."""
        return f"data {self.name!r}, split {split!r}"

    def read(self, split: str, *, advice: str, empty: str = "") -> Sequence[Sample]:
        """Return the samples of a split that have at least one of the inputs; ``advice`` says what to do if none has.

        ``empty`` says what to do if there is no sample at all, if that advice differs.

        Raises NotFoundError if there is no such split, UsageError if it is empty or has none of the inputs.
        """
        try:
            samples = self._samples(split)
        except KeyError as error:
            if error.args != (split,):
                raise
            raise NotFoundError(f"{self.where(split)} is not there; {self._told()}. {advice}") from error
        if not samples:
            raise UsageError(f"{self.where(split)} has no samples; {self._told()}. {empty or advice}")
        if len(absent(samples, self.inputs)) == len(self.inputs):
            self.require(samples, self.inputs, split, advice=advice)
        return samples

    def require(self, samples: Sequence[Sample], inputs: Iterable[str], split: str, *, advice: str) -> None:
        """Raise UsageError, naming the split and the inputs, if no sample has one of ``inputs``."""
        lacking = absent(samples, inputs)
        if not lacking:
            return
        holds = sorted({name for sample in samples for name, value in sample.inputs.items() if value is not None})
        elsewhere = [
            f"the split {other!r} has {joined(found)}"
            for other, others in self._others()
            if other != split and (found := [name for name in lacking if name not in absent(others, [name])])
        ]
        raise UsageError(
            f"{self.where(split)}: no sample has the input {joined(map(repr, lacking))}, they have "
            f"{joined(holds) or 'none'}{''.join(f'; {one}' for one in elsewhere)}. {advice}"
        )

    def _told(self) -> str:
        """Return which splits have samples."""
        found = [f"{split!r} has {len(samples)}" for split, samples in self._others() if samples]
        return f"the split {joined(found)}" if found else "no split has any"

    def _samples(self, split: str) -> Sequence[Sample]:
        """Return the samples of a split, computed once, since a data set may be slow."""
        if split not in self._made:
            self._made[split] = self.dataset.split(split)
        return self._made[split]

    def _others(self) -> Iterable[tuple[str, Sequence[Sample]]]:
        for split in _SPLITS:
            try:
                yield split, self._samples(split)
            except (ZooError, LookupError):  # it has no such split, and the message is about another one
                continue


def absent(samples: Sequence[Sample], inputs: Iterable[str]) -> list[str]:
    """Return the inputs that no sample has."""
    return [name for name in inputs if all(sample.inputs.get(name) is None for sample in samples)]


def joined(words: Iterable[str]) -> str:
    """Return words as a list in English: ``a, b and c``."""
    *first, last = [*words] or [""]
    return f"{', '.join(first)} and {last}" if first else last
