"""Posteriors of a latent given features: a point, or a Gaussian.

A posterior is a module from features to its parameters, named as the outputs of the graph ``encode_<input>``;
``latent``, one of them, is the deployed latent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Tensors, TensorSpec, limited


class Posterior(nn.Module, ABC):
    """The contract, built as ``Posterior(feature_dim, latent_dim)``."""

    latent_dim: int

    @property
    @abstractmethod
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The parameters that ``forward`` returns."""

    @abstractmethod
    def forward(self, features: Float[Tensor, "batch feature"]) -> Tensors:
        """Return the parameters, ``latent`` among them."""

    @abstractmethod
    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw the random numbers that ``sample`` needs."""

    @abstractmethod
    def sample(self, parameters: Tensors, noise: Tensors) -> Float[Tensor, "batch latent"]:
        """Return a latent for each row, a differentiable function of ``parameters``."""


class PointPosterior(Posterior):
    """A single latent, without uncertainty."""

    def __init__(self, feature_dim: int, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.head = nn.Linear(feature_dim, latent_dim)

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The latent."""
        return {"latent": TensorSpec("float32", ("batch", self.latent_dim))}

    def forward(self, features: Float[Tensor, "batch feature"]) -> Tensors:
        """Return the latent."""
        return {"latent": self.head(features)}

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Return nothing."""
        return {}

    def sample(self, parameters: Tensors, noise: Tensors) -> Float[Tensor, "batch latent"]:
        """Return the latent."""
        return parameters["latent"]


class GaussianPosterior(Posterior):
    """A Gaussian with a mean and a variance for each dimension; its mean is the deployed latent.

    The logarithm of the variance lies between -60 and 60; see ``zoo.limited``.

    Source: Kingma & Welling 2014, eq. 9 and 10, arXiv 1312.6114.
    """

    def __init__(self, feature_dim: int, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.head = nn.Linear(feature_dim, 2 * latent_dim)

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The latent, which is the mean, and the logarithm of the variance."""
        row = TensorSpec("float32", ("batch", self.latent_dim))
        return {"latent": row, "mean": row, "log_var": row}

    def forward(self, features: Float[Tensor, "batch feature"]) -> Tensors:
        """Return the mean, under two names, and the logarithm of the variance."""
        mean, log_var = self.head(features).chunk(2, dim=-1)
        return {"latent": mean, "mean": mean, "log_var": limited(log_var)}

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw ``latent`` from N(0, I)."""
        return {"latent": torch.randn(rows, self.latent_dim, generator=generator)}

    def sample(self, parameters: Tensors, noise: Tensors) -> Float[Tensor, "batch latent"]:
        """Return mean + standard deviation * noise."""
        mean, log_var = parameters["mean"], parameters["log_var"]
        return mean + (0.5 * log_var).exp() * noise["latent"].to(mean)
