"""MVAE: the joint posterior is the product of the experts that are there."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from zoo import Batch, Input, Losses, Tensors, decode
from zoo_joint.experts import GaussianExperts, Gaussians, products
from zoo_joint.joint_model import JointModel, JointPosterior


class ProductOfExperts(JointPosterior):
    """The product of the prior and of the expert of each input that is there."""

    def __init__(self, feature_dims: Mapping[str, int], latent_dim: int) -> None:
        super().__init__()
        self.experts = GaussianExperts(feature_dims, latent_dim)
        count = len(feature_dims)
        subsets = torch.cat([torch.ones(1, count, dtype=torch.bool), torch.eye(count, dtype=torch.bool)])
        self.register_buffer("subsets", subsets, persistent=False)

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Return the mean of the product."""
        experts, there = self.experts(features, present)
        return {"latent": products(experts, there, self._all[:1], prior_expert=True).mean[0]}

    def joint_and_single(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Gaussians:
        """Return the product of all that is there, then that of each input alone."""
        experts, there = self.experts(features, present)
        return products(experts, there, self._all, prior_expert=True)

    @property
    def _all(self) -> Tensor:
        return self.get_buffer("subsets")


class MVAE(JointModel):
    """The multimodal VAE with a product of experts.

    The loss of a row is its negative ELBO given all that is there; with ``subsampling``, plus that of each input given
    itself alone, which trains the experts to do without the others. ``beta`` weighs the KL divergences.

    Gaps: an absent input is no expert and is not in the loss; a row with one input has the joint ELBO alone, since
    that of its input is the same.

    Source: Wu & Goodman 2018, section 2, arXiv 1802.05335; of its sub-sampled terms the single inputs.
    """

    def __init__(
        self, inputs: Mapping[str, Input], latent_dim: int, *, beta: float = 1.0, subsampling: bool = True
    ) -> None:
        super().__init__(inputs, latent_dim, "mvae")
        self.posterior: ProductOfExperts = ProductOfExperts(self.feature_dims, latent_dim)
        self.beta = beta
        self.subsampling = subsampling

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw a latent's noise for the joint posterior and for each single one."""
        return {"latent": torch.randn(rows, 1 + len(self.modalities), self.latent_dim, generator=generator)}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return ``reconstruction_<input>`` and ``kl`` of the joint ELBO; ``alone_<input>`` is a negative ELBO each."""
        found = self.posterior.joint_and_single(self.features(batch), batch.present)
        kl, latents = found.kl(), found.sample(noise["latent"].transpose(0, 1))
        several = torch.stack([*batch.present.values()]).sum(dim=0) > 1
        terms = {"kl": kl[0]}
        for place, (name, present) in enumerate(batch.present.items()):
            chosen = latents[[0, 1 + place]] if self.subsampling else latents[:1]
            nats = -decode(self._decoder(name), chosen).log_prob(batch.inputs[name])
            terms[f"reconstruction_{name}"] = torch.where(present, nats[0], torch.zeros_like(nats[0]))
            if self.subsampling:
                alone = nats[1] + self.beta * kl[1 + place]
                terms[f"alone_{name}"] = torch.where(present & several, alone, torch.zeros_like(alone))
        return self.losses_of(terms, batch, {"kl": self.beta})
