"""MMVAE: the joint posterior is a mixture of the experts, with several samples of each."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zoo import Batch, Input, Losses, SpecError, Tensors, decode
from zoo_joint.experts import GaussianExperts, Gaussians
from zoo_joint.joint_model import JointModel, JointPosterior


class MixtureOfExperts(JointPosterior):
    """The mixture, in equal shares, of the experts of the inputs that are there."""

    def __init__(self, feature_dims: Mapping[str, int], latent_dim: int) -> None:
        super().__init__()
        self.experts = GaussianExperts(feature_dims, latent_dim)

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Return the mean of the mixture."""
        experts, there = self.experts(features, present)
        share = there.unsqueeze(-1).to(experts.mean.dtype)
        return {"latent": (share * experts.mean).sum(dim=0) / share.sum(dim=0).clamp(min=1)}


class MMVAE(JointModel):
    """The multimodal VAE with a mixture of experts and an importance-weighted bound.

    ``samples`` latents are drawn from each expert that is there, and each decodes to every input that is there. The
    loss is the negative of the mean over the experts of log mean_k p(z) p(x | z) / q(z | x), with the mixture as q.
    Here experts and prior are Gaussian, the prior N(0, I), and gradients are the plain ones; the paper has Laplace
    distributions, a learnt prior and doubly reparametrised gradients.

    Gaps: an absent input is no expert and is not in the loss.

    Source: Shi et al. 2019, "Variational mixture-of-experts autoencoders", arXiv 1911.03393.
    """

    def __init__(self, inputs: Mapping[str, Input], latent_dim: int, *, samples: int = 10) -> None:
        super().__init__(inputs, latent_dim, "mmvae")
        if samples < 1:
            raise SpecError(f"samples is a number of latents from each expert, at least 1, got {samples}")
        self.posterior: MixtureOfExperts = MixtureOfExperts(self.feature_dims, latent_dim)
        self.samples = samples

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw the noise of ``samples`` latents of each expert."""
        shape = (rows, len(self.modalities), self.samples, self.latent_dim)
        return {"latent": torch.randn(shape, generator=generator)}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the term ``bound`` in nats."""
        experts, there = self.posterior.experts(self.features(batch), batch.present)
        spread = (0.5 * experts.log_var).exp().unsqueeze(1)
        latents = experts.mean.unsqueeze(1) + spread * noise["latent"].permute(1, 2, 0, 3).to(experts.mean)
        log_weights = _normal(latents).sum(dim=-1) - self._log_mixture(latents, experts, there)
        for name, present in batch.present.items():
            scores = decode(self._decoder(name), latents).log_prob(batch.inputs[name])
            log_weights = log_weights + torch.where(present, scores, torch.zeros_like(scores))
        bounds = log_weights.logsumexp(dim=1) - math.log(self.samples)
        share = there.to(bounds.dtype)
        kept = torch.where(there, bounds, torch.zeros_like(bounds))
        return self.losses_of({"bound": -kept.sum(dim=0) / share.sum(dim=0).clamp(min=1)}, batch)

    def _log_mixture(
        self, latents: Float[Tensor, "input sample batch latent"], experts: Gaussians, there: Tensor
    ) -> Float[Tensor, "input sample batch"]:
        """Return log q(z | x) of each latent under the experts that are there."""
        scaled = (latents.unsqueeze(2) - experts.mean) * (-0.5 * experts.log_var).exp()
        each = (_normal(scaled) - 0.5 * experts.log_var).sum(dim=-1)
        # An absent expert has no share: its density, e^-inf, has no gradient either. A row of nothing counts them all.
        counted = there | ~there.any(dim=0)
        masked = each.masked_fill(~counted, -math.inf)
        return masked.logsumexp(dim=2) - counted.sum(dim=0).to(each.dtype).log()


def _normal(values: Tensor) -> Tensor:
    """Return the log-density of N(0, 1)."""
    return -0.5 * (values.square() + math.log(2 * math.pi))
