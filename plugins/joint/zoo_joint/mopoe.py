"""MoPoE: the joint posterior is a mixture of the products over all subsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from zoo import Batch, Input, Losses, Tensors
from zoo_joint.experts import GaussianExperts, products, subsets_of
from zoo_joint.joint_model import Term, any_present
from zoo_joint.joint_vae import DensityPosterior, JointVAE, deployed
from zoo_joint.mixtures import Mixture


class MixtureOfProducts(DensityPosterior):
    """The mixture, with equal weights, of the products of experts over each subset of the present inputs."""

    def __init__(self, feature_dims: Mapping[str, int], latent_dim: int) -> None:
        super().__init__()
        self.experts = GaussianExperts(feature_dims, latent_dim)
        self.register_buffer("subsets", subsets_of(len(feature_dims)), persistent=False)

    def mixture(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Mixture:
        """Return the product of each subset, with its weight; it is zero for a subset with an absent input."""
        experts, there = self.experts(features, present)
        subsets = self.get_buffer("subsets")
        found = products(experts, there, subsets, prior_expert=False)
        absent = torch.einsum("si,ib->sb", subsets.to(found.mean), (~there).to(found.mean))
        return Mixture.of_equals(found, (absent == 0).to(found.mean))

    def alone(self, name: str, features: Tensor) -> Tensors:
        """Return the expert of the input, which is the only product with a weight above zero."""
        return deployed(self.experts.alone(name, features))


class MoPoE(JointVAE):
    """The multimodal VAE with a mixture of products of experts.

    With q_s the product of the experts of the subset s, and S the number of subsets of the present inputs x_i, the
    posterior is q = 1/S Σ_s q_s, and the loss of a row is, in nats,

        Σ_i -E_q log p(x_i | z) + beta/S Σ_s KL(q_s ‖ N(0, I))

    The second term is an upper bound of beta KL(q ‖ N(0, I)). The expectation is estimated from one latent, drawn from
    one component that is chosen at random in each row. The likelihood of held-out rows is estimated from
    ``importance_samples`` latents per row.

    Gaps: the mixture has the subsets of the present inputs, and an absent input is not in the loss.

    Source: Sutter et al. 2021, "Generalized multimodal ELBO", arXiv 2105.02470.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        beta: Annotated[float, Ge(0)] = 1.0,
        importance_samples: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(inputs, latent_dim, "mopoe", importance_samples=importance_samples)
        self.posterior: MixtureOfProducts = MixtureOfProducts(self.feature_dims, latent_dim)
        self.beta = beta

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw a number that chooses the component, and a latent's noise."""
        return {
            "choice": torch.rand(rows, generator=generator),
            "latent": torch.randn(rows, self.latent_dim, generator=generator),
        }

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the terms ``kl`` and ``reconstruction_<input>`` in nats."""
        mixture = self.posterior.mixture(self.features(batch), batch.present)
        latent = mixture.choose(noise["choice"]).sample(noise["latent"].unsqueeze(0))[0]
        kl = (mixture.shares * mixture.components.kl()).sum(dim=0)
        rows = any_present(batch)
        return self.losses_of({"kl": Term(kl, rows, self.beta), **self.reconstructions(latent, batch)}, rows)
