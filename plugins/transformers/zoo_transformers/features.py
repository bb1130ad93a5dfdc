"""The objective ``features``: encoders that were trained elsewhere, deployed as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zoo import (
    Batch,
    Encoder,
    Graph,
    Input,
    Losses,
    Objective,
    SpecError,
    Tensors,
    TensorSpec,
    TrainingError,
    encode_graph,
)

SMALLEST_SQUARED_NORM = 1e-24


class Features(Objective):
    """The graph ``encode_<input>`` of each input: its features are its embedding. There is nothing to train.

    The embedding is the first ``latent_dim`` numbers of the features, so a model that was trained for several sizes
    (Matryoshka) is deployed at any of them. With ``normalise`` it is then scaled to length one.

    Raises SpecError if an encoder has fewer features than ``latent_dim``. A training step raises TrainingError.
    """

    contract_exceptions = MappingProxyType({"check": "it has no loss: it deploys encoders as they are"})

    def __init__(self, inputs: Mapping[str, Input], latent_dim: int, *, normalise: bool = True) -> None:
        super().__init__()
        self.modalities = {name: place.modality for name, place in inputs.items()}
        self.latent_dim, self.normalise = latent_dim, normalise
        self.encoders = nn.ModuleDict({name: place.make_encoder() for name, place in inputs.items()})
        for name in inputs:
            if self._encoder(name).feature_dim < latent_dim:
                raise SpecError(
                    f"the objective 'features' takes the first latent_dim features of each encoder; that of {name!r} "
                    f"has {self._encoder(name).feature_dim}, got latent_dim {latent_dim}"
                )

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Return nothing."""
        return {}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Raise TrainingError: there is no loss."""
        raise TrainingError(_no_loss("trained"))

    def metrics(self, batches: Iterable[Batch], *, generator: torch.Generator) -> Mapping[str, float]:
        """Raise SpecError: there is nothing to measure."""
        raise SpecError(_no_loss("measured"))

    def graphs(self) -> Iterable[Graph]:
        """Yield ``encode_<input>`` for each input, with the output ``embedding``."""
        bound = 1 if self.normalise else float("inf")
        outputs = {"embedding": TensorSpec("float32", ("batch", self.latent_dim), -bound, bound)}
        for name, modality in self.modalities.items():
            head = FirstFeatures(self.latent_dim, normalise=self.normalise)
            yield encode_graph(name, modality, self._encoder(name), head, outputs)

    def _encoder(self, name: str) -> Encoder:
        return cast(Encoder, self.encoders[name])


class FirstFeatures(nn.Module):
    """The first features as an embedding, of length one if ``normalise``; a row of zeros stays zero."""

    def __init__(self, size: int, *, normalise: bool) -> None:
        super().__init__()
        self.size, self.normalise = size, normalise

    def forward(self, features: Float[Tensor, "batch feature"]) -> dict[str, Float[Tensor, "batch latent"]]:
        """Return the embedding, by its name."""
        first = features[:, : self.size]
        if not self.normalise:
            return {"embedding": first}
        squared_norm = first.square().sum(dim=-1, keepdim=True)
        return {"embedding": first * squared_norm.clamp(min=SMALLEST_SQUARED_NORM).rsqrt()}


def _no_loss(verb: str) -> str:
    return (
        f"the objective 'features' deploys encoders as they are, and cannot be {verb}; choose one that trains, "
        "such as `options=['spec.objective=infonce']` with two inputs"
    )
