"""The fusion autoencoder: concatenated features of all inputs, one code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from zoo import Batch, Input, Losses, Tensors
from zoo_joint.joint_model import Concatenation, JointModel, JointPosterior, any_present


class FusedCode(JointPosterior):
    """Concatenated features of all inputs, and layers from them to a code from -1 to 1."""

    def __init__(self, feature_dims: Mapping[str, int], latent_dim: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.joined = Concatenation(feature_dims, hidden)
        self.last = nn.Linear(self.joined.feature_dim, latent_dim)

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Return the code."""
        return {"latent": self.last(self.joined(features, present)).tanh()}


class Fusion(JointModel):
    """An autoencoder of all inputs together: layers of ``hidden`` units turn their concatenated features into one code.

    The loss of a row with the inputs x_i and the code c is Σ_i -log p(x_i | c), in nats. Gaps: a missing input enters
    the code as zeros and a flag, and is not in the loss.

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
        """Return one term ``reconstruction_<input>`` per input, in nats."""
        latent = self.posterior(self.features(batch), batch.present)["latent"]
        return self.losses_of(self.reconstructions(latent, batch), any_present(batch))
