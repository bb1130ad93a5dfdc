"""MVTCAE: the joint posterior is a product of experts that is kept close to each of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from zoo import Batch, Input, Losses, SpecError, Tensors
from zoo_joint.joint_model import any_present, only
from zoo_joint.joint_vae import JointVAE
from zoo_joint.mvae import ProductOfExperts


class MVTCAE(JointVAE):
    """The multi-view total-correlation autoencoder.

    With q the product of the experts of the n inputs that are there, the loss of a row is, in nats, (n - alpha) / n
    times the negative log-likelihoods of its inputs, plus ``beta`` times (1 - alpha) KL(q ‖ prior) and alpha / n times
    the sum of KL(q ‖ expert) over the inputs. ``alpha`` near 1 weighs the conditional information bottleneck, which
    makes each expert alone stand for all; near 0 the ordinary one. ``importance_samples`` latents a row estimate the
    likelihood of held-out rows.

    Gaps: an absent input is no expert and is in no term; n is the number of inputs that a row has.

    Source: Hwang et al. 2021, "Multi-view representation learning via total correlation objective", NeurIPS 34; the
    weights are those of the authors' code.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        alpha: float = 0.9,
        beta: float = 1.0,
        importance_samples: int = 0,
    ) -> None:
        super().__init__(inputs, latent_dim, "mvtcae", importance_samples=importance_samples)
        if not 0 <= alpha <= 1:
            raise SpecError(f"alpha is the share of the conditional bottleneck, from 0 to 1, got {alpha}")
        self.posterior: ProductOfExperts = ProductOfExperts(self.feature_dims, latent_dim, prior_expert=False)
        self.alpha = alpha
        self.beta = beta

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw a latent's noise."""
        return {"latent": torch.randn(rows, self.latent_dim, generator=generator)}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the terms ``kl``, ``reconstruction_<input>`` and ``kl_<input>``, the divergence from its expert."""
        joint, experts, there = self.posterior.joint_and_experts(self.features(batch), batch.present)
        latent = joint.sample(noise["latent"].unsqueeze(0))[0]
        reconstructions = self.reconstructions(latent, batch)
        from_experts = only(there, joint.kl_to(experts))
        terms = {"kl": joint.kl()[0], **reconstructions}
        terms |= {f"kl_{name}": kl for name, kl in zip(self.modalities, from_experts, strict=True)}
        share = self.alpha / there.sum(dim=0).clamp(min=1)
        weights: dict[str, float | Tensor] = {"kl": self.beta * (1 - self.alpha)}
        weights |= dict.fromkeys(reconstructions, 1 - share)
        weights |= {f"kl_{name}": self.beta * share for name in self.modalities}
        return self.losses_of(terms, any_present(batch), weights)
