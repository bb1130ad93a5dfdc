"""The fusion autoencoder: features of all inputs side by side, one code."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo import Batch, Input, Losses, Tensors
from zoo_joint.joint_model import JointModel, JointPosterior


class Concatenation(JointPosterior):
    """The features of all inputs, zeros for an absent one, with a flag each, through layers to a code in -1..1."""

    def __init__(self, feature_dims: Mapping[str, int], latent_dim: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.feature_dims = dict(feature_dims)
        sizes = (sum(feature_dims.values()) + len(feature_dims), *hidden)
        layers: list[nn.Module] = []
        for size, wider in pairwise(sizes):
            layers += [nn.Linear(size, wider), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], latent_dim), nn.Tanh())

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Return the code."""
        some = next(iter(features.values()))
        parts: list[Tensor] = []
        for name, size in self.feature_dims.items():
            if name in features:
                there = present[name].unsqueeze(-1)
                parts += [torch.where(there, features[name], torch.zeros_like(features[name])), there.to(some.dtype)]
            else:
                parts.append(some.new_zeros(some.shape[0], size + 1))
        return {"latent": self.layers(torch.cat(parts, dim=-1))}


class Fusion(JointModel):
    """An autoencoder of all inputs at once: features side by side, through ``hidden`` layers, to one code.

    The loss of a row is the negative log-likelihood of each of its inputs given the code. Gaps: an absent input gives
    zeros and a flag to the code, and is not in the loss.

    Source: Ngiam et al. 2011, "Multimodal deep learning".
    """

    def __init__(self, inputs: Mapping[str, Input], latent_dim: int, *, hidden: tuple[int, ...] = (128,)) -> None:
        super().__init__(inputs, latent_dim, "fusion")
        self.posterior = Concatenation(self.feature_dims, latent_dim, hidden)

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Return nothing."""
        return {}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return a term ``reconstruction_<input>`` each, in nats."""
        latent = self.posterior(self.features(batch), batch.present)["latent"]
        terms = {}
        for name, present in batch.present.items():
            nats = self.nats(name, latent, batch)
            terms[f"reconstruction_{name}"] = torch.where(present, nats, torch.zeros_like(nats))
        return self.losses_of(terms, batch)
