"""Files that samples name and that are not there: told of before anything is read, and all of them at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from zoo.errors import DataError
from zoo.protocols import Sample

_SHOWN = 10

# Told of each sample that is left out, since it cannot be read.
Skip = Callable[[Sample, DataError], None]


def with_files(samples: Sequence[Sample], inputs: Iterable[str], *, where: str, skip: Skip | None) -> Sequence[Sample]:
    """Return the samples of which every file is there: a value of the kind Path names one.

    ``skip`` is told of the others. Raises DataError, naming them, where nobody is to be told.
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
            f"{', '.join(named[:_SHOWN])}{more}; correct the paths, put the files there, or train without such samples "
            "by --on-bad-sample skip"
        )
    for position, lacking in missing.items():
        sample = samples[position]
        what = f"sample {sample.key!r}, input {lacking[0]!r}"
        skip(sample, DataError(f"{what}: there is no file {sample.inputs[lacking[0]]}; correct the path"))
    return [sample for position, sample in enumerate(samples) if position not in missing]


def _is_missing(value: object) -> bool:
    return isinstance(value, Path) and not os.path.isfile(value)
