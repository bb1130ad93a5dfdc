"""The fusion autoencoder: features of all inputs side by side, one code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from zoo import Batch, Input, Losses, Tensors
from zoo_joint.joint_model import Concatenation, JointModel, JointPosterior, any_present


class FusedCode(JointPosterior):
    """The features of all inputs side by side, through layers to a code in -1..1."""

    def __init__(self, feature_dims: Mapping[str, int], latent_dim: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.joined = Concatenation(feature_dims, hidden)
        self.last = nn.Linear(self.joined.feature_dim, latent_dim)

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Return the code."""
        return {"latent": self.last(self.joined(features, present)).tanh()}


class Fusion(JointModel):
    """An autoencoder of all inputs at once: features side by side, through ``hidden`` layers, to one code.

    The loss of a row is the negative log-likelihood of each of its inputs given the code. Gaps: an absent input gives
    zeros and a flag to the code, and is not in the loss.

    Source: Ngiam et al. 2011, "Multimodal deep learning".
    """

    def __init__(
        self, inputs: Mapping[str, Input], latent_dim: int, *, hidden: tuple[Annotated[int, Ge(1)], ...] = (128,)
    ) -> None:
        super().__init__(inputs, latent_dim, "fusion")
        self.posterior = FusedCode(self.feature_dims, latent_dim, hidden)

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Return nothing."""
        return {}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return a term ``reconstruction_<input>`` each, in nats."""
        latent = self.posterior(self.features(batch), batch.present)["latent"]
        return self.losses_of(self.reconstructions(latent, batch), any_present(batch))
