"""Several inputs, one latent, a decoder for each: what all joint models have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from itertools import permutations
from typing import ClassVar, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from zoo import (
    Batch,
    DataError,
    Decoder,
    Encoder,
    Graph,
    Input,
    Losses,
    Objective,
    SpecError,
    Tensors,
    TensorSpec,
    decode_graph,
    embed_graph,
    encode_graph,
    translate_graph,
)


class JointPosterior(nn.Module, ABC):
    """From the features of the inputs that are there to one latent."""

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Return ``latent``, the one that is deployed, batch x latent.

        ``features`` may lack an input, which is then absent in every row. A row without any input gets the latent of
        nothing known, and it is finite.
        """


class JointModel(Objective, ABC):
    """Encodes each input, joins what is there into one latent, decodes every input from it."""

    needs_decoders: ClassVar[bool] = True

    def __init__(self, inputs: Mapping[str, Input], latent_dim: int, name: str) -> None:
        """``name`` is the objective's, for messages. A subclass sets ``posterior``."""
        super().__init__()
        if len(inputs) < 2:
            raise SpecError(
                f"the objective {name!r} joins inputs and needs at least two, got {', '.join(inputs) or 'none'}; "
                "add another table spec.inputs.NAME"
            )
        makers = {key: place.make_decoder for key, place in inputs.items() if place.make_decoder is not None}
        if lacking := [key for key in inputs if key not in makers]:
            raise SpecError(f"spec.inputs.{lacking[0]}: {name!r} decodes every input; add decoder = NAME")
        self.latent_dim = latent_dim
        self.modalities = {key: place.modality for key, place in inputs.items()}
        self.encoders = nn.ModuleDict({key: place.make_encoder() for key, place in inputs.items()})
        self.decoders = nn.ModuleDict({key: make(latent_dim) for key, make in makers.items()})
        self.posterior: JointPosterior

    @property
    def feature_dims(self) -> dict[str, int]:
        """The number of features of each input."""
        return {name: self._encoder(name).feature_dim for name in self.modalities}

    def features(self, batch: Batch) -> dict[str, Tensor]:
        """Return the features of each input."""
        return {name: encoder(batch.inputs[name]) for name, encoder in self.encoders.items()}

    @torch.no_grad()
    def metrics(self, batches: Iterable[Batch], *, generator: torch.Generator) -> Mapping[str, float]:
        """Return negative log-likelihoods in nats a row, each a mean over the rows that have what it takes.

        ``reconstruction_<input>`` decodes the latent of all that is there, ``translation_<a>_to_<b>`` that of ``a``
        alone; latents are those that are deployed. Raises DataError where no row has any input.
        """
        sums: dict[str, float] = {}
        rows: dict[str, float] = {}

        def count(name: str, nats: Tensor, among: Tensor) -> None:
            sums[name] = sums.get(name, 0.0) + torch.where(among, nats, torch.zeros_like(nats)).double().sum().item()
            rows[name] = rows.get(name, 0.0) + among.sum().item()

        for batch in batches:
            features = self.features(batch)
            latent = self.posterior(features, batch.present)["latent"]
            for name in self.modalities:
                count(f"reconstruction_{name}", self.nats(name, latent, batch), batch.present[name])
            for source, target in permutations(self.modalities, 2):
                alone = self.posterior({source: features[source]}, batch.present)["latent"]
                both = batch.present[source] & batch.present[target]
                count(f"translation_{source}_to_{target}", self.nats(target, alone, batch), both)
        if not any(rows.values()):
            raise DataError("no held-out row has any input; choose a split where some do")
        return {name: total / rows[name] for name, total in sums.items() if rows[name]}

    def graphs(self) -> Iterable[Graph]:
        """Yield ``encode_<input>``, ``decode_<input>``, ``translate_<a>_to_<b>``, and ``embed`` of all inputs."""
        latent = {"latent": TensorSpec("float32", ("batch", self.latent_dim))}
        alone = {name: _Alone(self.posterior, name) for name in self.modalities}
        for name, modality in self.modalities.items():
            yield encode_graph(name, modality, self._encoder(name), alone[name], latent)
            yield decode_graph(name, self._decoder(name))
        for source, target in permutations(self.modalities, 2):
            encoder, decoder = self._encoder(source), self._decoder(target)
            yield translate_graph(source, target, self.modalities[source], encoder, alone[source], decoder)
        encoders = {name: self._encoder(name) for name in self.modalities}
        yield embed_graph(self.modalities, encoders, self.posterior, latent)

    def nats(self, name: str, latent: Float[Tensor, "batch latent"], batch: Batch) -> Float[Tensor, " batch"]:
        """Return the negative log-likelihood of an input given a latent, in rows that lack it, too."""
        scores: Tensor = self.decoders[name](latent).log_prob(batch.inputs[name])
        return -scores

    def losses_of(
        self, terms: Mapping[str, Tensor], batch: Batch, weights: Mapping[str, float] | None = None
    ) -> Losses:
        """Return the mean of the sum of ``terms`` over the rows that have any input; ``weights`` multiply some."""
        weight = torch.stack([*batch.present.values()]).any(dim=0)
        kept = {name: torch.where(weight, term, torch.zeros_like(term)) for name, term in terms.items()}
        total = torch.stack([(weights or {}).get(name, 1.0) * term for name, term in kept.items()]).sum()
        share = weight.to(total.dtype)
        return Losses(total / share.sum().clamp(min=1), kept, share)

    def _encoder(self, name: str) -> Encoder:
        return cast(Encoder, self.encoders[name])

    def _decoder(self, name: str) -> Decoder:
        return cast(Decoder, self.decoders[name])


class _Alone(nn.Module):
    """The latent of one input where no other is there: the head of a graph."""

    def __init__(self, posterior: JointPosterior, name: str) -> None:
        super().__init__()
        self.posterior = posterior
        self.name = name

    def forward(self, features: Float[Tensor, "batch feature"]) -> dict[str, Tensor]:
        """Return the latent."""
        there: Bool[Tensor, " batch"] = torch.ones_like(features[:, 0], dtype=torch.bool)
        return {"latent": self.posterior({self.name: features}, {self.name: there})["latent"]}
