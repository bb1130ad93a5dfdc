"""Samples that are left out because they cannot be read; missing files are reported before any file is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.errors import DataError
from zoo.protocols import Dataset, Sample

_SHOWN = 10

# Called for each sample that is left out, with the reason.
Skip = Callable[[Sample, DataError], None]


@dataclass(frozen=True)
class LeftOut:
    """Records the samples that are left out, each once: a ``Skip`` whose text is the message for a person."""

    errors: dict[str, DataError] = field(default_factory=dict)

    def __call__(self, sample: Sample, error: DataError) -> None:
        """Record why a sample is left out, by its key."""
        self.errors.setdefault(sample.key, error)

    def __repr__(self) -> str:
        return f"<left out: {len(self.errors)} samples>"

    def __str__(self) -> str:
        """Return their number and the first reason; empty if there are none."""
        if not self.errors:
            return ""
        first = next(iter(self.errors.values()))
        return f"samples that cannot be read: {len(self.errors)}, left out; the first: {first}"


class WithFiles:
    """A data set without the samples whose files are missing; ``skip`` is called for each of these."""

    def __init__(self, dataset: Dataset, skip: Skip) -> None:
        """Wrap ``dataset``."""
        self.dataset, self.skip, self.license = dataset, skip, dataset.license

    @property
    def inputs(self) -> Mapping[str, str]:
        """The modality of each input."""
        return self.dataset.inputs

    def split(self, name: str) -> Sequence[Sample]:
        """Return the samples of a split whose files exist."""
        return with_files(self.dataset.split(name), self.dataset.inputs, where="", skip=self.skip)


def with_files(samples: Sequence[Sample], inputs: Iterable[str], *, where: str, skip: Skip | None) -> Sequence[Sample]:
    """Return the samples whose files all exist; a value of the class Path names a file.

    ``skip`` is called for each of the others. Raises DataError, naming them, if ``skip`` is None.
    """
    names = list(inputs)
    missing = {
        position: lacking
        for position, sample in enumerate(samples)
        if (lacking := [name for name in names if _is_missing(sample.inputs.get(name))])
    }
    if not missing:
        return samples
    if skip is None:
        named = [
            f"{samples[position].key!r} {name} {samples[position].inputs[name]}"
            for position, lacking in missing.items()
            for name in lacking
        ]
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        raise DataError(
            f"{where}: {len(missing)} of {len(samples)} samples name files that are not there: "
            f"{', '.join(named[:_SHOWN])}{more}; correct the paths, put the files there, or leave such samples out by "
            "`skip_bad_samples=True`"
        )
    for position, lacking in missing.items():
        sample = samples[position]
        what = f"sample {sample.key!r}, input {lacking[0]!r}"
        skip(sample, DataError(f"{what}: there is no file {sample.inputs[lacking[0]]}; correct the path"))
    return [sample for position, sample in enumerate(samples) if position not in missing]


def _is_missing(value: object) -> bool:
    return isinstance(value, Path) and not os.path.isfile(value)
