"""The common part of MVTCAE and JMVAE: joint models whose posterior is kept close to each single expert."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from jaxtyping import Bool
from torch import Tensor

from zoo import Batch, Losses, Tensors
from zoo_joint.joint_model import Term, any_present
from zoo_joint.joint_vae import DensityPosterior, JointVAE
from zoo_joint.mixtures import Gaussians, Mixture


class MatchedPosterior(DensityPosterior, ABC):
    """One Gaussian per row, and one expert per input."""

    @abstractmethod
    def joint_and_experts(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[Gaussians, Gaussians, Bool[Tensor, "input batch"]]:
        """Return the Gaussian given all present inputs, the experts, and which of them are present."""

    def mixture(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Mixture:
        """Return the Gaussian of each row as the only component."""
        return Mixture.of_one(self.joint_and_experts(features, present)[0])


class MatchedVAE(JointVAE, ABC):
    """The loss is a weighted sum of reconstructions, KL(q ‖ prior), and KL(q ‖ expert) of each present input."""

    posterior: MatchedPosterior

    @abstractmethod
    def weights(self) -> tuple[float, float, float]:
        """Return the weights of reconstructions, of KL(q ‖ prior) and of KL(q ‖ expert)."""

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw a latent's noise."""
        return {"latent": torch.randn(rows, self.latent_dim, generator=generator)}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the terms ``kl``, ``reconstruction_<input>`` and ``kl_<input>``, the divergence from its expert."""
        joint, experts, there = self.posterior.joint_and_experts(self.features(batch), batch.present)
        rebuilt, prior, expert = self.weights()
        rows = any_present(batch)
        apart = joint.kl_to(experts)
        terms = {
            "kl": Term(joint.kl()[0], rows, prior),
            **self.reconstructions(joint.sample(noise["latent"].unsqueeze(0))[0], batch, rebuilt),
            **{f"kl_{name}": Term(apart[place], there[place], expert) for place, name in enumerate(self.modalities)},
        }
        return self.losses_of(terms, rows)
