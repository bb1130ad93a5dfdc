"""MMVAE: the joint posterior is a mixture of the experts, with several samples of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from zoo import Batch, Input, Losses, Tensors, decode
from zoo_joint.experts import GaussianExperts
from zoo_joint.joint_model import Term, any_present, only
from zoo_joint.joint_vae import DensityPosterior, JointVAE, deployed
from zoo_joint.mixtures import Mixture, standard_normal


class MixtureOfExperts(DensityPosterior):
    """The mixture, with equal weights, of the experts of the present inputs."""

    def __init__(self, feature_dims: Mapping[str, int], latent_dim: int) -> None:
        super().__init__()
        self.experts = GaussianExperts(feature_dims, latent_dim)

    def mixture(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Mixture:
        """Return the experts; an absent one has the weight zero."""
        experts, there = self.experts(features, present)
        return Mixture.of_equals(experts, there.to(experts.mean.dtype))

    def alone(self, name: str, features: Tensor) -> Tensors:
        """Return the expert of the input, which is the whole mixture."""
        return deployed(self.experts.alone(name, features))


class MMVAE(JointVAE):
    """The multimodal VAE with a mixture of experts and an importance-weighted bound.

    K = ``samples`` latents z_mk are drawn from each of the M present experts q_m. Each is decoded to every present
    input x_i. The loss of a row is, in nats,

        -1/M Σ_m log 1/K Σ_k p(z_mk) Π_i p(x_i | z_mk) / q(z_mk | x),    q(z | x) = 1/M Σ_m q_m(z)

    Here experts and prior are Gaussian, the prior is N(0, I), and gradients are the plain ones; the paper has Laplace
    distributions, a learnt prior and doubly reparametrised gradients. The likelihood of held-out rows is estimated from
    ``importance_samples`` latents per row.

    Gaps: an absent input has no expert and is not in the loss.

    Source: Shi et al. 2019, "Variational mixture-of-experts autoencoders", arXiv 1911.03393.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        samples: Annotated[int, Ge(1)] = 10,
        importance_samples: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(inputs, latent_dim, "mmvae", importance_samples=importance_samples)
        self.posterior: MixtureOfExperts = MixtureOfExperts(self.feature_dims, latent_dim)
        self.samples = samples

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw the noise of ``samples`` latents of each expert."""
        shape = (rows, len(self.modalities), self.samples, self.latent_dim)
        return {"latent": torch.randn(shape, generator=generator)}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the term ``bound`` in nats."""
        mixture = self.posterior.mixture(self.features(batch), batch.present)
        experts = mixture.components
        spread = (0.5 * experts.log_var).exp().unsqueeze(1)
        latents = experts.mean.unsqueeze(1) + spread * noise["latent"].permute(1, 2, 0, 3).to(experts.mean)
        log_weights = standard_normal(latents).sum(dim=-1) - mixture.log_prob(latents)
        for name, present in batch.present.items():
            log_weights = log_weights + only(present, decode(self._decoder(name), latents).log_prob(batch.inputs[name]))
        bounds = log_weights.logsumexp(dim=1) - math.log(self.samples)
        rows = any_present(batch)
        return self.losses_of({"bound": Term(-(mixture.shares * bounds).sum(dim=0), rows)}, rows)
