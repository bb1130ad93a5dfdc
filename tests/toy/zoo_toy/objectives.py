"""Objectives that are linear from end to end: two reconstruct, one compares rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from zoo import (
    Batch,
    Graph,
    Input,
    Losses,
    Objective,
    Tensors,
    TensorSpec,
    decode_graph,
    encode_graph,
    reconstruct_graph,
)


class Head(nn.Module):
    """A linear map to one named output."""

    def __init__(self, features: int, latent_dim: int, name: str) -> None:
        super().__init__()
        self.linear = nn.Linear(features, latent_dim)
        self.name = name

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Return the output by its name."""
        return {self.name: self.linear(features)}


class ToyAutoencoder(Objective):
    """The mean latent of the inputs that are there decodes to each of them; ``beta`` keeps latents small."""

    needs_decoders = True

    def __init__(self, inputs: Mapping[str, Input], latent_dim: int, *, beta: float = 0.1) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.beta = beta
        self.modalities = {name: given.modality for name, given in inputs.items()}
        self.encoders = nn.ModuleDict({name: given.make_encoder() for name, given in inputs.items()})
        self.heads = nn.ModuleDict(
            {name: Head(e.feature_dim, latent_dim, "latent") for name, e in self.encoders.items()}
        )
        makers = {name: given.make_decoder for name, given in inputs.items()}
        self.decoders = nn.ModuleDict({name: make(latent_dim) for name, make in makers.items() if make})

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Draw the noise of the latent."""
        return {"latent": torch.randn(rows, self.latent_dim, generator=generator)}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the error of each input that is there and the size of the latent."""
        latent, known = self._latent(batch)
        noisy = latent + 0.1 * noise["latent"]
        terms = {
            f"error_{name}": -self.decoders[name](noisy).log_prob(batch.inputs[name]) * batch.present[name]
            for name in self.modalities
        }
        return Losses.over(known, {**terms, "size": self.beta * latent.square().sum(-1)})

    def metrics(self, batches: Iterable[Batch], *, generator: torch.Generator) -> Mapping[str, float]:
        """Return the mean error of all inputs, and how many rows there were."""
        rows, error = 0, 0.0
        for batch in batches:
            losses = self.losses(batch, {"latent": torch.zeros(batch.rows, self.latent_dim)}, player="model")
            error += sum(float(term.sum()) for name, term in losses.terms.items() if name != "size")
            rows += batch.rows
        return {"error": error / rows, "rows": float(rows)}

    def graphs(self) -> Iterable[Graph]:
        """Yield encoders, decoders and both in one."""
        latent = {"latent": TensorSpec("float32", ("batch", self.latent_dim))}
        for name, modality in self.modalities.items():
            encoder, head, decoder = self.encoders[name], self.heads[name], self.decoders[name]
            encode, decode = encode_graph(name, modality, encoder, head, latent), decode_graph(name, decoder)
            yield from (encode, decode, reconstruct_graph(name, encode, decode))

    def _latent(self, batch: Batch) -> tuple[Tensor, Tensor]:
        present = torch.stack(list(batch.present.values())).float()
        each = [self.heads[name](self.encoders[name](batch.inputs[name]))["latent"] for name in self.modalities]
        mean = (torch.stack(each) * present.unsqueeze(-1)).sum(0) / present.sum(0).clamp(min=1).unsqueeze(-1)
        return mean, present.sum(0) > 0


class ToyByTerm(ToyAutoencoder):
    """The same, but each error is a mean over the rows that have its input."""

    def counted(self, batch: Batch, *, player: str) -> Mapping[str, Tensor]:
        """Return the rows of each term."""
        errors = {f"error_{name}": there for name, there in batch.present.items()}
        return {**errors, "size": torch.stack(list(batch.present.values())).any(0)}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the sum of the means of the terms."""
        return Losses.of_means(super().losses(batch, noise, player=player).terms, self.counted(batch, player=player))


class ToyAlignment(Objective):
    """Two inputs whose embeddings find each other in the batch; ``shared`` gives both the same weights."""

    needs_decoders = False
    compares_rows = True

    def __init__(self, inputs: Mapping[str, Input], latent_dim: int, *, shared: bool = False) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.modalities = {name: given.modality for name, given in inputs.items()}
        first = next(iter(inputs.values())).make_encoder()
        self.encoders = nn.ModuleDict({n: first if shared else given.make_encoder() for n, given in inputs.items()})
        self.head = Head(first.feature_dim, latent_dim, "embedding")

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """There is no chance in it."""
        return {}

    def embeddings(self, batch: Batch, noise: Tensors, *, player: str) -> Tensors:
        """Return the embedding of each input."""
        return {n: self.head(self.encoders[n](batch.inputs[n]))["embedding"] for n in self.modalities}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the losses of the embeddings."""
        return self.losses_of(self.embeddings(batch, noise, player=player), batch, noise, player=player)

    def losses_of(self, embeddings: Tensors, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the cross-entropy of finding each row's other half."""
        left, right = (embeddings[n] for n in self.modalities)
        both = torch.stack(list(batch.present.values())).all(0)
        scores = (left @ right.T).masked_fill(~both, -1e4)
        nats = nn.functional.cross_entropy(scores, torch.arange(batch.rows, device=left.device), reduction="none")
        return Losses.over(both, {"nats": nats})

    def metrics(self, batches: Iterable[Batch], *, generator: torch.Generator) -> Mapping[str, float]:
        """Return the mean nats of a batch."""
        nats = [float(self.losses(batch, {}, player="model").loss) for batch in batches]
        return {"nats": sum(nats) / len(nats)}

    def graphs(self) -> Iterable[Graph]:
        """Yield both encoders."""
        for name, modality in self.modalities.items():
            outputs = {"embedding": TensorSpec("float32", ("batch", self.latent_dim))}
            yield encode_graph(name, modality, self.encoders[name], self.head, outputs)
