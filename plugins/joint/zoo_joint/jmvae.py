"""JMVAE: a joint encoder of all inputs, and an encoder of each input that is fitted to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from zoo_autoencoding import GaussianPosterior

from zoo import Input, Tensors
from zoo_joint.joint_model import Concatenation
from zoo_joint.matched import MatchedPosterior, MatchedVAE
from zoo_joint.mixtures import Gaussians
from zoo_joint.mvae import ProductOfExperts


class JointOrProduct(MatchedPosterior):
    """The joint encoder's Gaussian for complete rows, the product of the single experts for other rows."""

    def __init__(self, feature_dims: Mapping[str, int], latent_dim: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.single = ProductOfExperts(feature_dims, latent_dim, prior_expert=False)
        self.joined = Concatenation(feature_dims, hidden)
        self.head = GaussianPosterior(self.joined.feature_dim, latent_dim)

    def joint_and_experts(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[Gaussians, Gaussians, Tensor]:
        """Return the posterior of each row, the single experts, and which of these are present."""
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

    def alone(self, name: str, features: Tensor) -> Tensors:
        """Return the single expert, since a row of one input is not complete."""
        return self.single.alone(name, features)


class JMVAE(MatchedVAE):
    """The joint multimodal VAE.

    With q the posterior of a row and q_i the single expert of its input x_i, the loss of the row is, in nats,

        Σ_i -E_q log p(x_i | z) + beta KL(q ‖ N(0, I)) + alpha Σ_i KL(q ‖ q_i)

    The last term fits each single expert to the joint encoder. The joint encoder reads the concatenated features of the
    same encoders as the single experts, through layers of ``hidden`` units; in the paper they share nothing. The
    likelihood of held-out rows is estimated from ``importance_samples`` latents per row.

    Gaps: if a row lacks an input, q is the product of the single experts that are present, in training and in deployed
    graphs. An absent input is in no term.

    Source: Suzuki, Nakayama & Matsuo 2016, "Joint multimodal learning with deep generative models", the JMVAE-kl of
    section 3.3, arXiv 1611.01891.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        alpha: Annotated[float, Gt(0)] = 0.1,
        beta: Annotated[float, Ge(0)] = 1.0,
        hidden: tuple[Annotated[int, Ge(1)], ...] = (128,),
        importance_samples: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(inputs, latent_dim, "jmvae", importance_samples=importance_samples)
        self.posterior: JointOrProduct = JointOrProduct(self.feature_dims, latent_dim, hidden)
        self.alpha = alpha
        self.beta = beta

    def weights(self) -> tuple[float, float, float]:
        """Return 1, beta and alpha."""
        return 1.0, self.beta, self.alpha
