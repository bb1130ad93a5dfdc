"""Values that are taken away from the samples before a training, so that a model learns to do without them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoo.protocols import Sample


def dropped(samples: Sequence[Sample], shares: Mapping[str, float], *, seed: int) -> Sequence[Sample]:
    """Return the samples with a share of each input's values taken away.

    Whether a value goes follows from the seed, the sample's key and the input alone: more data, or another order,
    changes nothing, and a larger share takes away what a smaller one does and more.
    """
    if not shares:
        return samples

    def kept(sample: Sample) -> dict[str, Any]:
        return {name: None if _goes(sample.key, name, shares, seed) else v for name, v in sample.inputs.items()}

    return [replace(sample, inputs=kept(sample)) for sample in samples]


def _goes(key: str, name: str, shares: Mapping[str, float], seed: int) -> bool:
    digest = hashlib.sha256(f"{seed}/{name}/{key}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8]) < shares.get(name, 0) * 2**64
