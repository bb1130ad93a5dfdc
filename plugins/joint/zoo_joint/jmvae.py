"""JMVAE: an encoder of all inputs together, and one of each alone that is kept close to it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from zoo_autoencoding.posteriors import GaussianPosterior

from zoo import Batch, Input, Losses, SpecError, Tensors
from zoo_joint.joint_model import Concatenation, any_present, only
from zoo_joint.joint_vae import DensityPosterior, JointVAE
from zoo_joint.mixtures import Gaussians, Mixture
from zoo_joint.mvae import ProductOfExperts


class JointOrProduct(DensityPosterior):
    """The joint encoder's Gaussian of rows that have every input, the product of the single experts of others."""

    def __init__(self, feature_dims: Mapping[str, int], latent_dim: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.single = ProductOfExperts(feature_dims, latent_dim, prior_expert=False)
        self.joined = Concatenation(feature_dims, hidden)
        self.head = GaussianPosterior(self.joined.feature_dim, latent_dim)

    def mixture(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Mixture:
        """Return the Gaussian of each row as the only component."""
        return Mixture.of_one(self.joint_and_experts(features, present)[0])

    def joint_and_experts(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[Gaussians, Gaussians, Tensor]:
        """Return the posterior of each row, the single experts, and which of these are there."""
        product, experts, there = self.single.joint_and_experts(features, present)
        if len(features) < len(there):
            return product, experts, there
        complete = there.all(dim=0).unsqueeze(-1)
        joint = self.head(self.joined(features, present))
        chosen = (
            torch.where(complete, joint[key], of_product)
            for key, of_product in (("mean", product.mean), ("log_var", product.log_var))
        )
        return Gaussians(*chosen), experts, there


class JMVAE(JointVAE):
    """The joint multimodal VAE.

    With q the posterior of a row, its loss in nats is its negative ELBO, plus ``alpha`` times the sum of KL(q ‖ expert)
    over its inputs, which teaches each single expert what the joint encoder knows. ``beta`` weighs the divergence from
    the prior. The joint encoder reads the features of the same encoders as the single experts, side by side, through
    ``hidden`` layers; in the paper they share nothing. ``importance_samples`` latents a row estimate the likelihood of
    held-out rows.

    Gaps: of a row that lacks an input, q is the product of the single experts that are there, in training as in what
    is deployed; an absent input is in no term.

    Source: Suzuki, Nakayama & Matsuo 2016, "Joint multimodal learning with deep generative models", the JMVAE-kl of
    section 3.3, arXiv 1611.01891.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        alpha: float = 0.1,
        beta: float = 1.0,
        hidden: tuple[int, ...] = (128,),
        importance_samples: int = 0,
    ) -> None:
        super().__init__(inputs, latent_dim, "jmvae", importance_samples=importance_samples)
        if not alpha > 0:
            raise SpecError(f"alpha weighs how the single experts learn from the joint one, above 0, got {alpha}")
        self.posterior: JointOrProduct = JointOrProduct(self.feature_dims, latent_dim, hidden)
        self.alpha = alpha
        self.beta = beta

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw a latent's noise."""
        return {"latent": torch.randn(rows, self.latent_dim, generator=generator)}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the terms ``kl``, ``reconstruction_<input>`` and ``kl_<input>``, the divergence from its expert."""
        joint, experts, there = self.posterior.joint_and_experts(self.features(batch), batch.present)
        latent = joint.sample(noise["latent"].unsqueeze(0))[0]
        terms = {"kl": joint.kl()[0], **self.reconstructions(latent, batch)}
        from_experts = only(there, joint.kl_to(experts))
        matched = {f"kl_{name}": kl for name, kl in zip(self.modalities, from_experts, strict=True)}
        weights = {"kl": self.beta, **dict.fromkeys(matched, self.alpha)}
        return self.losses_of({**terms, **matched}, any_present(batch), weights)
