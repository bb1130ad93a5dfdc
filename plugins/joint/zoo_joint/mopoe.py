"""MoPoE: the joint posterior is a mixture of the products over all subsets."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zoo import Batch, Input, Losses, Tensors
from zoo_joint.experts import GaussianExperts, Gaussians, products, subsets_of
from zoo_joint.joint_model import JointModel, JointPosterior


class MixtureOfProducts(JointPosterior):
    """The mixture, in equal shares, of the product over each subset of the inputs that are there."""

    def __init__(self, feature_dims: Mapping[str, int], latent_dim: int) -> None:
        super().__init__()
        self.experts = GaussianExperts(feature_dims, latent_dim)
        self.register_buffer("subsets", subsets_of(len(feature_dims)), persistent=False)

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Return the mean of the mixture."""
        components, shares = self.components(features, present)
        return {"latent": (shares.unsqueeze(-1) * components.mean).sum(dim=0)}

    def components(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[Gaussians, Float[Tensor, "subset batch"]]:
        """Return the product of each subset, and its share; a subset of which an input is absent has none."""
        experts, there = self.experts(features, present)
        subsets = self.get_buffer("subsets")
        found = products(experts, there, subsets, prior_expert=False)
        members = subsets.to(found.mean)
        absent = torch.einsum("si,ib->sb", members, (~there).to(found.mean))
        complete = (absent == 0).to(found.mean)
        return found, complete / complete.sum(dim=0).clamp(min=1)


class MoPoE(JointModel):
    """The multimodal VAE with a mixture of products of experts.

    A latent is drawn from one component of the mixture, chosen by chance in each row; it decodes to every input that
    is there. The KL divergence is the mean over the components, an upper bound of that of the mixture. ``beta`` weighs
    it.

    Gaps: the mixture has the subsets of what is there, and an absent input is not in the loss.

    Source: Sutter et al. 2021, "Generalized multimodal ELBO", arXiv 2105.02470.
    """

    def __init__(self, inputs: Mapping[str, Input], latent_dim: int, *, beta: float = 1.0) -> None:
        super().__init__(inputs, latent_dim, "mopoe")
        self.posterior: MixtureOfProducts = MixtureOfProducts(self.feature_dims, latent_dim)
        self.beta = beta

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw what chooses a component, and a latent's noise."""
        return {
            "choice": torch.rand(rows, generator=generator),
            "latent": torch.randn(rows, self.latent_dim, generator=generator),
        }

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the terms ``reconstruction_<input>`` and ``kl`` in nats."""
        components, shares = self.posterior.components(self.features(batch), batch.present)
        reached = shares.cumsum(dim=0) > noise["choice"].to(shares)
        # The first component that the choice reaches; rounding may leave the last just short of one.
        chosen = torch.where(reached.any(dim=0), reached.to(torch.int8).argmax(dim=0), _last(shares))
        index = chosen.reshape(1, -1, 1).expand(1, -1, self.latent_dim)
        picked = Gaussians(components.mean.gather(0, index), components.log_var.gather(0, index))
        latent = picked.sample(noise["latent"].unsqueeze(0))[0]
        terms = {"kl": (shares * components.kl()).sum(dim=0)}
        for name, present in batch.present.items():
            nats = self.nats(name, latent, batch)
            terms[f"reconstruction_{name}"] = torch.where(present, nats, torch.zeros_like(nats))
        return self.losses_of(terms, batch, {"kl": self.beta})


def _last(shares: Float[Tensor, "subset batch"]) -> Tensor:
    """Return the last component of each row that has a share."""
    return len(shares) - 1 - (shares > 0).flip(0).to(torch.int8).argmax(dim=0)
