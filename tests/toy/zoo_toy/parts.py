"""A linear encoder of the sum of the vectors, and a Gaussian decoder of that sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo import Decoder, Encoder, Tensors, TensorSpec
from zoo_toy.modality import VectorsModality


def total(tensors: Tensors) -> Tensor:
    """Return the sum of the vectors of each row."""
    mask = tensors["mask"].unsqueeze(-1)
    return torch.where(mask, tensors["values"], torch.zeros_like(tensors["values"])).sum(1)


class LinearEncoder(Encoder):
    """A linear map of the sum of the vectors."""

    def __init__(self, modality: VectorsModality, *, features: int = 4) -> None:
        super().__init__()
        self.feature_dim = features
        self.linear = nn.Linear(modality.width, features)

    def forward(self, tensors: Tensors) -> Tensor:
        """Return one row of features a row of input."""
        features: Tensor = self.linear(total(tensors))
        return features


@dataclass(frozen=True)
class GaussianTotal:
    """A Gaussian of unit variance over the sum of the vectors, up to a constant."""

    mean: Tensor

    def log_prob(self, tensors: Tensors) -> Tensor:
        """Return the log-likelihood of each row."""
        return -0.5 * (total(tensors) - self.mean).square().sum(-1)

    def mode(self) -> Tensors:
        """Return the mean."""
        return {"total": self.mean}

    def target(self, tensors: Tensors) -> Tensors:
        """Return the sum of the vectors."""
        return {"total": total(tensors)}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw from each row's Gaussian."""
        return {"total": self.mean + torch.randn(self.mean.shape, generator=generator)}


class GaussianDecoder(Decoder):
    """A linear map to the mean."""

    def __init__(self, modality: VectorsModality, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.linear = nn.Linear(latent_dim, modality.width)

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The sum of the vectors."""
        return {"total": TensorSpec("float32", ("batch", self.linear.out_features))}

    def forward(self, latent: Tensor) -> GaussianTotal:
        """Return the distribution that each latent stands for."""
        return GaussianTotal(self.linear(latent))
