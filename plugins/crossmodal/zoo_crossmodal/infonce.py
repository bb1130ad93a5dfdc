"""InfoNCE: embeddings of one thing from different inputs agree, those of different things do not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import combinations, permutations
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Batch, DataError, Encoder, Graph, Input, Losses, Objective, SpecError, Tensors, TensorSpec, encode_graph
from zoo_crossmodal.retrieval import retrieval_metrics

LARGEST_SCALE = 100.0
SMALLEST_SQUARED_NORM = 1e-6


class InfoNCE(Objective):
    """A space that all inputs share, learnt by telling each row's partner from those of the other rows.

    Each input has an encoder and a linear head to ``latent_dim`` numbers, scaled to length one. For every pair of
    inputs, the loss is the cross-entropy of finding a row's partner among the batch, by cosine similarity divided by
    the temperature, averaged over both directions; the losses of the pairs are added up.

    ``temperature`` is where the temperature starts, at least 0.01; learnt, it never goes below that.
    ``label_smoothing`` is the share of the target that is spread over all rows.

    Gaps: a row takes part in a pair where both of its inputs are present. Elsewhere it is neither asked for nor a wrong
    answer, so that the loss is that of the batch without it. Rows are taken to be different things: two rows of the
    same caption count as each other's wrong answers.

    Source: van den Oord et al. 2018, arXiv 1807.03748, equation 4; the symmetric form and the learnt temperature as in
    Radford et al. 2021, arXiv 2103.00020, figure 3 and section 2.5.
    """

    needs_decoders: ClassVar[bool] = False
    compares_rows: ClassVar[bool] = True

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        temperature: float = 0.07,
        learn_temperature: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if len(inputs) < 2:
            raise SpecError(
                f"the objective 'infonce' compares inputs and needs at least two, got {', '.join(inputs) or 'none'}; "
                f"add another table spec.inputs.NAME"
            )
        if not temperature >= 1 / LARGEST_SCALE:
            raise SpecError(f"the option 'temperature' is at least {1 / LARGEST_SCALE}, got {temperature}")
        if not 0 <= label_smoothing < 1:
            raise SpecError(f"the option 'label_smoothing' is at least 0 and less than 1, got {label_smoothing}")
        self.modalities = {name: entry.modality for name, entry in inputs.items()}
        self.label_smoothing = label_smoothing
        self.encoders = nn.ModuleDict({name: entry.make_encoder() for name, entry in inputs.items()})
        self.heads = nn.ModuleDict(
            {name: EmbeddingHead(self._encoder(name).feature_dim, latent_dim) for name in inputs}
        )
        self.latent_dim = latent_dim
        self.log_scale: Tensor
        log_scale = torch.tensor(-math.log(temperature))
        if learn_temperature:
            self.register_parameter("log_scale", nn.Parameter(log_scale))
        else:
            self.register_buffer("log_scale", log_scale)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The pairs of inputs that are compared."""
        return list(combinations(self.modalities, 2))

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Return nothing: the loss has no chance in it."""
        return {}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the loss, a term a pair (``caption~picture``), and which rows took part in any."""
        embeddings = {name: self.embed(name, tensors) for name, tensors in batch.inputs.items()}
        scale = self._scale()
        terms = {}
        weight = torch.zeros(batch.rows, dtype=scale.dtype, device=scale.device)
        for first, second in self.pairs:
            complete = batch.present[first] & batch.present[second]
            rows = complete.nonzero().squeeze(1)
            each = self._pair_loss(embeddings[first][rows], embeddings[second][rows], scale)
            terms[f"{first}~{second}"] = torch.zeros_like(weight).index_add(0, rows, each.to(weight.dtype))
            weight = torch.maximum(weight, complete.to(weight.dtype))
        total = torch.stack(list(terms.values())).sum()
        return Losses(total / weight.sum().clamp(min=1), terms, weight)

    def embed(self, name: str, tensors: Tensors) -> Float[Tensor, "batch latent"]:
        """Return the embeddings of one input, each of length one."""
        embedded: Tensor = self.heads[name](self.encoders[name](tensors))["embedding"]
        return embedded

    @torch.no_grad()
    def metrics(self, batches: Iterable[Batch], *, generator: torch.Generator) -> Mapping[str, float]:
        """Return how well each input finds its partner in each other one, over all rows that have both.

        Keys are such as ``caption_to_picture.recall@1``; see ``retrieval_metrics``. Rows are taken to be different
        things, so that a second row with the same caption makes the task harder.
        """
        seen = list(batches)
        if not seen:
            raise DataError("there is nothing to measure on: expected at least one batch, got none")
        present = {name: torch.cat([batch.present[name] for batch in seen]) for name in self.modalities}
        embeddings = {
            name: torch.cat([self.embed(name, batch.inputs[name]) for batch in seen]) for name in self.modalities
        }
        found = {}
        for source, target in permutations(self.modalities, 2):
            both = present[source] & present[target]
            measured = retrieval_metrics(embeddings[source][both], embeddings[target][both])
            found.update({f"{source}_to_{target}.{key}": value for key, value in measured.items()})
        return found

    def graphs(self) -> Iterable[Graph]:
        """Yield ``encode_<input>`` for each input, with the output ``embedding``."""
        outputs = {"embedding": TensorSpec("float32", ("batch", self.latent_dim), -1, 1)}
        for name, modality in self.modalities.items():
            yield encode_graph(name, modality, self._encoder(name), self.heads[name], outputs)

    def _pair_loss(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"], scale: Float[Tensor, ""]
    ) -> Float[Tensor, " row"]:
        logits = scale * first @ second.T
        partner = torch.arange(len(logits), device=logits.device)
        to_second, to_first = (
            F.cross_entropy(directed, partner, reduction="none", label_smoothing=self.label_smoothing)
            for directed in (logits, logits.T)
        )
        return (to_second + to_first) / 2

    def _scale(self) -> Float[Tensor, ""]:
        # The excess is taken off as a constant: past the limit the parameter still has a gradient, and can come back.
        excess = (self.log_scale - math.log(LARGEST_SCALE)).clamp(min=0).detach()
        return (self.log_scale - excess).exp()

    def _encoder(self, name: str) -> Encoder:
        return cast(Encoder, self.encoders[name])


class EmbeddingHead(nn.Module):
    """A linear map to an embedding of length one; one that is next to zero stays short, with finite gradients."""

    def __init__(self, feature_dim: int, latent_dim: int) -> None:
        super().__init__()
        self.projection = nn.Linear(feature_dim, latent_dim)

    def forward(self, features: Float[Tensor, "batch feature"]) -> dict[str, Float[Tensor, "batch latent"]]:
        """Return the embedding, by its name."""
        projected = self.projection(features.to(self.projection.weight.dtype))
        squared_norm = projected.square().sum(dim=-1, keepdim=True)
        return {"embedding": projected * squared_norm.clamp(min=SMALLEST_SQUARED_NORM).rsqrt()}
