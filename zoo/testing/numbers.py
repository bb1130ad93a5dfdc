"""The smallest possible parts of a model, for testing an objective against its contract.

A modality of four numbers per value, an encoder of one layer, a decoder of one layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from zoo.errors import DataError
from zoo.modules import Batch, Decoder, Encoder, Input, Tensors
from zoo.protocols import Axis, TensorSpec

SIZE, FEATURES = 4, 6


@dataclass(frozen=True)
class Numbers:
    """Four numbers per value."""

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The numbers as they are."""
        return {"numbers": TensorSpec("float32", ("batch", SIZE))}

    @property
    def axes(self) -> Mapping[str, Axis]:
        """No free axis."""
        return {}

    def fit(self, values: Iterable[Any]) -> Numbers:
        """Learn nothing."""
        return self

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return an empty state, since nothing is learnt."""
        return {}

    def with_state(self, state: Mapping[str, NDArray[Any]]) -> Numbers:
        """Return the modality itself, since nothing is learnt."""
        return self

    def to_arrays(self, values: Sequence[Any]) -> Mapping[str, NDArray[Any]]:
        """Return one row per value. Raises DataError for a value that is not four numbers."""
        for place, value in enumerate(values):
            if np.shape(value) != (SIZE,):
                raise DataError(f"value {place}: expected {SIZE} numbers, got {value!r}")
        return {"numbers": np.asarray(values, np.float32).reshape(-1, SIZE)}

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Sequence[Any]:
        """Return the rows."""
        return list(arrays["numbers"])

    def example(
        self, batch: int, sizes: Mapping[str, int], *, generator: np.random.Generator
    ) -> Mapping[str, NDArray[Any]]:
        """Draw standard normal numbers."""
        return {"numbers": generator.standard_normal((batch, SIZE), np.float32)}

    def draw(self, value: Any) -> Image.Image:
        """Return a strip of four greys, black at -3 and below, white at 3 and above."""
        greys = np.clip((np.asarray(value) + 3) / 6 * 255, 0, 255).astype(np.uint8)
        return Image.fromarray(greys[None]).resize((4 * SIZE, 4), Image.Resampling.NEAREST)


class NumbersEncoder(Encoder):
    """One layer and a tanh."""

    def __init__(self, modality: Numbers) -> None:
        super().__init__()
        self.feature_dim = FEATURES
        self.layer = nn.Linear(SIZE, FEATURES)

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return the features."""
        features: Tensor = self.layer(tensors["numbers"]).tanh()
        return features


@dataclass(frozen=True)
class UnitGaussian:
    """A Gaussian of unit variance around each row's mean.

    log p(x) = −½ Σ (x − mean)² − ½ n log 2π, for the n numbers x of a row
    """

    mean: Float[Tensor, "batch number"]

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the log-likelihood of each row, in nats."""
        scores: Tensor = torch.distributions.Normal(self.mean, 1.0).log_prob(tensors["numbers"]).sum(-1)
        return scores

    def mode(self) -> Tensors:
        """Return the mean."""
        return {"numbers": self.mean}

    def target(self, tensors: Tensors) -> Tensors:
        """Return the numbers."""
        return {"numbers": tensors["numbers"]}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw from each row's Gaussian."""
        return {"numbers": self.mean + torch.randn(self.mean.shape, generator=generator)}


class NumbersDecoder(Decoder):
    """One layer to the mean."""

    def __init__(self, modality: Numbers, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.layer = nn.Linear(latent_dim, SIZE)

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The mean."""
        return {"numbers": TensorSpec("float32", ("batch", SIZE))}

    def forward(self, latent: Float[Tensor, "batch latent"]) -> UnitGaussian:
        """Return the distribution for each latent."""
        return UnitGaussian(self.layer(latent))


def number_inputs(*names: str) -> dict[str, Input]:
    """Return an input of numbers for each name."""
    modality = Numbers()
    place = Input(modality, lambda: NumbersEncoder(modality), lambda latent_dim: NumbersDecoder(modality, latent_dim))
    return dict.fromkeys(names, place)


def number_batch(*names: str, rows: int = 8, seed: int = 0) -> Batch:
    """Return a batch without gaps (missing values) for these inputs."""
    generator = torch.Generator().manual_seed(seed)
    return Batch(
        {name: {"numbers": torch.randn(rows, SIZE, generator=generator)} for name in names},
        {name: torch.ones(rows, dtype=torch.bool) for name in names},
    )
