"""Joint models whose latent has a density, and the likelihood of held-out rows under them."""

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

_NLL, _CONDITIONAL = "nll", "conditional_nll"


class DensityPosterior(JointPosterior, ABC):
    """A mixture of Gaussians; its mean and the logarithm of its variance are deployed."""

    outputs: ClassVar[tuple[str, ...]] = ("latent", "log_var")

    @abstractmethod
    def mixture(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Mixture:
        """Return the posterior given the present inputs; without any, N(0, I) or a mixture of zero weights."""

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Return the mean as ``latent``, and ``log_var``."""
        mixture = self.mixture(features, present)
        return {"latent": mixture.mean(), "log_var": mixture.log_variance()}


def deployed(gaussian: Gaussians) -> Tensors:
    """Return the outputs of a ``DensityPosterior`` that is one Gaussian."""
    return {"latent": gaussian.mean, "log_var": gaussian.log_var}


class JointVAE(JointModel, ABC):
    """A joint model with N(0, I) as the prior of its latent."""

    posterior: DensityPosterior

    def measured(
        self, given: Mapping[str, Tensor], batch: Batch, *, samples: int, generator: torch.Generator
    ) -> Iterator[Measured]:
        """Yield the measurements of every joint model, and two estimates from ``samples`` latents, in nats per row.

        The latents z_k are drawn from q, the posterior given the inputs ``given``. With the weights w_k = p(z_k)
        p(given | z_k) / q(z_k):

            nll             = -log mean_k w_k
            conditional_nll = -log (Σ_k w_k p(others | z_k) / Σ_k w_k)

        The expectation of ``nll`` is an upper bound of -log p(given). ``conditional_nll`` estimates -log p(others |
        given) by self-normalised importance sampling and is not a bound. Both converge with many latents; with few,
        ``conditional_nll`` depends on the one or two largest weights.

        Source: Burda et al. 2016, eq. 8, arXiv 1509.00519, for the first; Owen 2013, "Monte Carlo theory, methods and
        examples", section 9.2, for the second.
        """
        yield from super().measured(given, batch, samples=samples, generator=generator)
        if not samples:
            return
        mixture = self.posterior.mixture(given, batch.present)
        scores: dict[str, list[Tensor]] = {_NLL: [], _CONDITIONAL: []}
        rows: dict[str, Tensor] = {}
        for _ in range(samples):
            latent = mixture.draw(generator=generator)
            ratio = standard_normal(latent).sum(dim=-1) - mixture.log_prob(latent)
            nats = {name: self.nats(name, latent, batch) for name in self.decoders}
            for one in self.scored(given, batch, nats, (_NLL, _CONDITIONAL)):
                scores[one.name].append(ratio - one.values if one.name == _NLL else -one.values)
                rows[one.name] = one.rows
        log_weights = torch.stack(scores[_NLL])
        evidence = log_weights.logsumexp(dim=0)
        yield Measured(_NLL, math.log(samples) - evidence, rows[_NLL])
        if _CONDITIONAL in rows:
            together = (log_weights + torch.stack(scores[_CONDITIONAL])).logsumexp(dim=0)
            yield Measured(_CONDITIONAL, evidence - together, rows[_CONDITIONAL])
