"""Pairs of vectors made from a seed, some of them spoilt where an option says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo import Sample


@dataclass(frozen=True)
class ToyDataset:
    """``rows`` pairs of which ``right`` is twice ``left``.

    ``gaps`` leaves out every third ``right``, ``apart`` one input of every row; the ``left`` at ``nan_at`` holds a NaN,
    and the one at ``broken_at`` cannot be read.
    """

    rows: int = 32
    gaps: bool = False
    apart: bool = False
    nan_at: int = -1
    broken_at: int = -1
    license = "CC0-1.0"

    @property
    def inputs(self) -> Mapping[str, str]:
        """Both inputs are vectors."""
        return {"left": "vectors", "right": "vectors"}

    def split(self, name: str) -> Sequence[Sample]:
        """Return the samples of a split."""
        generator = np.random.default_rng([ord(letter) for letter in name])
        return [self._sample(name, place, generator) for place in range(self.rows)]

    def _sample(self, split: str, place: int, generator: np.random.Generator) -> Sample:
        left = generator.standard_normal((generator.integers(1, 7), 3), dtype=np.float32)
        right: Any = None if self.gaps and place % 3 == 0 else (2 * left).tolist()
        if place == self.nan_at:
            left[0, 0] = np.nan
        if self.apart and place % 2:
            return Sample(f"{split}-{place}", {"left": None, "right": right})
        right = None if self.apart else right
        values = "nonsense" if place == self.broken_at else left.tolist()
        return Sample(f"{split}-{place}", {"left": values, "right": right}, {"parity": "odd" if place % 2 else "even"})
