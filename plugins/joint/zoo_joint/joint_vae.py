"""Joint models whose latent has a density: how probable held-out rows are under them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from zoo import Batch, Tensors
from zoo_joint.joint_model import JointModel, JointPosterior
from zoo_joint.mixtures import Gaussians, Mixture, standard_normal
from zoo_joint.subset_metrics import Measured


class DensityPosterior(JointPosterior, ABC):
    """A mixture of Gaussians; its mean is what is deployed, with the logarithm of its variance."""

    outputs: ClassVar[tuple[str, ...]] = ("latent", "log_var")

    @abstractmethod
    def mixture(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Mixture:
        """Return the posterior given what is there; of a row without any input, N(0, I) or a mixture of no shares."""

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Return the mean as ``latent``, and ``log_var``."""
        mixture = self.mixture(features, present)
        return {"latent": mixture.mean(), "log_var": mixture.log_variance()}


def deployed(gaussian: Gaussians) -> Tensors:
    """Return what a ``DensityPosterior`` gives where it is one Gaussian."""
    return {"latent": gaussian.mean, "log_var": gaussian.log_var}


class JointVAE(JointModel, ABC):
    """A joint model with N(0, I) as the prior of its latent."""

    posterior: DensityPosterior

    def measured(
        self, given: Mapping[str, Tensor], batch: Batch, *, samples: int, generator: torch.Generator
    ) -> Iterator[Measured]:
        """Yield what every joint model measures, and two bounds by ``samples`` latents, in nats a row.

        ``nll`` is that of the inputs that are given: -log mean p(z) p(x | z) / q(z | x). ``conditional_nll`` is that of
        all other inputs given these: -log mean p(others | z). The latents are drawn from q, the posterior given these.

        Source: Burda et al. 2016, eq. 8, arXiv 1509.00519, for the first.
        """
        yield from super().measured(given, batch, samples=samples, generator=generator)
        if not samples:
            return
        mixture = self.posterior.mixture(given, batch.present)
        weights: dict[str, list[Tensor]] = {"nll": [], "conditional_nll": []}
        rows: dict[str, Tensor] = {}
        for _ in range(samples):
            latent = mixture.draw(generator=generator)
            importance = standard_normal(latent).sum(dim=-1) - mixture.log_prob(latent)
            nats = {name: self.nats(name, latent, batch) for name in self.decoders}
            for one in self.scored(given, batch, nats, ("nll", "conditional_nll")):
                weights[one.name].append(-one.values + (importance if one.name == "nll" else 0.0))
                rows[one.name] = one.rows
        for name, counted in rows.items():
            bound = torch.stack(weights[name]).logsumexp(dim=0) - math.log(samples)
            yield Measured(name, -bound, counted)
