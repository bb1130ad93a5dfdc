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

_NLL, _CONDITIONAL = "nll", "conditional_nll"


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
        """Yield what every joint model measures, and two estimates by ``samples`` latents, in nats per row.

        The latents are drawn from q, the posterior given the inputs ``given``. ``nll`` is an upper bound of that of
        these inputs, -log mean w with w = p(z) p(given | z) / q(z). ``conditional_nll`` is that of all other inputs
        given these by self-normalised importance sampling, -log (sum w p(others | z) / sum w); it is no bound. Both
        reach -log p(given) and -log p(others | given) with many latents; with few, the second rests on the one or two
        that weigh most.

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
