"""Removes values from the samples before training, so that a model learns to work with missing values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoo.protocols import Sample


def dropped(samples: Sequence[Sample], shares: Mapping[str, float], *, seed: int) -> Sequence[Sample]:
    """Return the samples with a fraction of each input's values removed.

    Whether a value is removed depends only on the seed, the sample's key and the input. So more data, or another order,
    changes nothing, and a larger fraction removes all values that a smaller one removes, and more.
    """
    if not shares:
        return samples

    def kept(sample: Sample) -> dict[str, Any]:
        return {name: None if _goes(sample.key, name, shares, seed) else v for name, v in sample.inputs.items()}

    return [replace(sample, inputs=kept(sample)) for sample in samples]


def _goes(key: str, name: str, shares: Mapping[str, float], seed: int) -> bool:
    digest = hashlib.sha256(f"{seed}/{name}/{key}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8]) < shares.get(name, 0) * 2**64
