"""MVAE: the joint posterior is the product of the present experts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge
from jaxtyping import Bool
from torch import Tensor

from zoo import Batch, Input, Losses, Tensors, decode
from zoo_joint.experts import GaussianExperts, all_and_single, products, with_prior
from zoo_joint.joint_model import Term, any_present
from zoo_joint.joint_vae import JointVAE, deployed
from zoo_joint.matched import MatchedPosterior
from zoo_joint.mixtures import Gaussians


class ProductOfExperts(MatchedPosterior):
    """The product of the expert of each present input, and of the prior if ``prior_expert``."""

    def __init__(self, feature_dims: Mapping[str, int], latent_dim: int, *, prior_expert: bool) -> None:
        super().__init__()
        self.experts = GaussianExperts(feature_dims, latent_dim)
        self.prior_expert = prior_expert
        self.register_buffer("subsets", all_and_single(len(feature_dims)), persistent=False)

    def joint_and_single(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Gaussians:
        """Return the product of all present experts, then that of each input alone."""
        experts, there = self.experts(features, present)
        return products(experts, there, self._all, prior_expert=self.prior_expert)

    def joint_and_experts(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[Gaussians, Gaussians, Bool[Tensor, "input batch"]]:
        """Return the product of all present experts, the experts, and which of them are present."""
        experts, there = self.experts(features, present)
        return products(experts, there, self._all[:1], prior_expert=self.prior_expert), experts, there

    def alone(self, name: str, features: Tensor) -> Tensors:
        """Return the product of one expert, and of the prior if ``prior_expert``."""
        expert = self.experts.alone(name, features)
        return deployed(with_prior(expert) if self.prior_expert else expert)

    @property
    def _all(self) -> Tensor:
        return self.get_buffer("subsets")


class MVAE(JointVAE):
    """The multimodal VAE with a product of experts.

    With X the present inputs of a row, and q(z | Y) the product of the experts of the inputs Y, the loss of the row is,
    in nats,

        L(X) + Σ_i L({x_i})  with ``subsampling``, else  L(X)
        L(Y) = Σ_{y in Y} -E_q log p(y | z) + beta KL(q(z | Y) ‖ N(0, I))

    The terms of single inputs train each expert to work without the others. The likelihood of held-out rows is
    estimated from ``importance_samples`` latents per row.

    Gaps: an absent input has no expert and is not in the loss. A row with one input has only L(X), since L({x_i}) is
        the same.

    Source: Wu & Goodman 2018, section 2, arXiv 1802.05335; of its sub-sampled terms, those of single inputs.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        beta: Annotated[float, Ge(0)] = 1.0,
        subsampling: bool = True,
        importance_samples: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(inputs, latent_dim, "mvae", importance_samples=importance_samples)
        self.posterior: ProductOfExperts = ProductOfExperts(self.feature_dims, latent_dim, prior_expert=True)
        self.beta = beta
        self.subsampling = subsampling

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw a latent's noise for the joint posterior and for each single one."""
        return {"latent": torch.randn(rows, 1 + len(self.modalities), self.latent_dim, generator=generator)}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return ``reconstruction_<input>`` and ``kl`` of L(X), and each L({x_i}) as ``alone_<input>``."""
        found = self.posterior.joint_and_single(self.features(batch), batch.present)
        kl, latents = found.kl(), found.sample(noise["latent"].transpose(0, 1))
        several = torch.stack([*batch.present.values()]).sum(dim=0) > 1
        terms = {"kl": Term(kl[0], any_present(batch), self.beta)}
        for place, (name, present) in enumerate(batch.present.items()):
            chosen = latents[[0, 1 + place]] if self.subsampling else latents[:1]
            nats = -decode(self._decoder(name), chosen).log_prob(batch.inputs[name])
            terms[f"reconstruction_{name}"] = Term(nats[0], present)
            if self.subsampling:
                terms[f"alone_{name}"] = Term(nats[1] + self.beta * kl[1 + place], present & several)
        return self.losses_of(terms, any_present(batch))
