"""One space for all inputs: the common part of the objectives of cross-modal alignment.

They differ only in the loss of a pair of inputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, permutations
from typing import ClassVar, Literal, cast

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from zoo import (
    Batch,
    DataError,
    Encoder,
    Graph,
    Input,
    Losses,
    Objective,
    RunsGraphs,
    SpecError,
    Tensors,
    TensorSpec,
    by_leaf,
    embed_graph,
    encode_graph,
    graph_name,
    subset_name,
    translation_name,
    with_owner,
)
from zoo_crossmodal.blocks import LARGEST_WHOLE, Others
from zoo_crossmodal.retrieval import retrieval_metrics

SMALLEST_SQUARED_NORM = 1e-6


class SharedSpace(Objective, ABC):
    """Each input has an encoder and a linear head to ``latent_dim`` numbers; every pair of inputs has a loss.

    The loss is the sum over the pairs. The loss of a pair, which the log also shows, is a mean over the rows that have
    both inputs.

    Gaps: a row takes part in a pair if it has both inputs. In other pairs it is neither a query nor a wrong answer, so
    the loss is that of the batch without the row.

    Rows that share a value, such as several captions of one picture, are not wrong answers to each other. With x(i) and
    y(i) for the values of a pair in row i, wherever the equations of an objective have j for another row, it is one of

        {j : j ≠ i, x(j) ≠ x(i), y(j) ≠ y(i)}

    and numbers of other rows are numbers of these. Batches of more than 1,024 rows are compared block by block, so that
    the similarities of all rows are never held at once.

    Source: leaving such rows out is the false negative elimination of Huynh et al. 2022, "Boosting Contrastive
    Self-Supervised Learning with False Negative Cancellation", arXiv 2011.11765, section 3.
    """

    needs_decoders: ClassVar[bool] = False
    compares_rows: ClassVar[bool] = True
    fewest_inputs: ClassVar[int] = 2
    unit_length: ClassVar[bool] = True
    nearest_by: ClassVar[Literal["product", "distance"]] = "product"

    def __init__(self, inputs: Mapping[str, Input], latent_dim: int, name: str) -> None:
        """``name`` is the objective's name, for messages."""
        super().__init__()
        if len(inputs) < 2:
            raise SpecError(
                f"the objective {name!r} compares inputs and needs at least two, got {', '.join(inputs) or 'none'}; "
                f"add another table spec.inputs.NAME"
            )
        self.modalities = {name: entry.modality for name, entry in inputs.items()}
        self.latent_dim = latent_dim
        self.encoders = nn.ModuleDict({name: entry.make_encoder() for name, entry in inputs.items()})
        head = EmbeddingHead if self.unit_length else LinearHead
        self.heads = nn.ModuleDict({name: head(self._encoder(name).feature_dim, latent_dim) for name in inputs})

    @abstractmethod
    def pair_loss(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"]
    ) -> Float[Tensor, " row"]:
        """Return the loss of each row for one pair of inputs. All rows have both; there may be no rows."""

    @abstractmethod
    def pair_loss_in_blocks(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"], others: Others
    ) -> Float[Tensor, " row"]:
        """Return the same for any number of rows, without those that count as no wrong answers."""

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The pairs of inputs that are compared."""
        return list(combinations(self.modalities, 2))

    def noise(self, rows: int, *, generator: torch.Generator) -> Tensors:
        """Return nothing: the loss needs no random numbers."""
        return {}

    def counted(self, batch: Batch, *, player: str) -> Mapping[str, Bool[Tensor, " batch"]]:
        """Return, by the term of each pair (``caption~picture``), the rows that have both inputs."""
        return {f"{one}~{other}": batch.present[one] & batch.present[other] for one, other in self.pairs}

    def losses(self, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the loss, with one term per pair (``caption~picture``), and which rows took part in any pair."""
        return self.losses_of(self.embeddings(batch, noise, player=player), batch, noise, player=player)

    def embeddings(self, batch: Batch, noise: Tensors, *, player: str) -> Tensors:
        """Return the embeddings of each input."""
        return {name: self.embed(name, tensors) for name, tensors in batch.inputs.items()}

    def losses_of(self, embeddings: Tensors, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the losses of rows with these embeddings."""
        return Losses.of_means(self._pair_terms(batch, embeddings), self.counted(batch, player=player))

    def embed(self, name: str, tensors: Tensors) -> Float[Tensor, "batch latent"]:
        """Return the embeddings of one input."""
        embedded: Tensor = self.heads[name](self.encoders[name](tensors))["embedding"]
        return embedded

    @torch.no_grad()
    def metrics(self, batches: Iterable[Batch], *, generator: torch.Generator) -> Mapping[str, float]:
        """Return how well each input finds its partner in each other input, over all rows that have both.

        Keys are such as ``caption_to_picture.recall@1``; see ``retrieval_metrics``. With three or more inputs, all
        others together are a query for each input, too: ``caption+speech_to_picture``. Different rows count as
        different things, so a second row with the same caption makes the task harder. Raises DataError if no row has
        two inputs.
        """
        return self._retrieval(*self._embedded(batches, self.embed))

    @torch.no_grad()
    def answer_metrics(self, batches: Iterable[Batch], run: RunsGraphs) -> Mapping[str, float]:
        """Return the retrieval metrics of the embeddings that the graphs ``encode_<input>`` give."""

        def embed(name: str, tensors: Tensors) -> Tensor:
            return by_leaf(run(graph_name("encode", name), with_owner(name, tensors)))["embedding"]

        return self._retrieval(*self._embedded(batches, embed))

    def graphs(self) -> Iterable[Graph]:
        """Yield ``encode_<input>`` for each input, with the output ``embedding``, and ``embed`` of all inputs.

        The embedding of several inputs is the mean of theirs, scaled to length one if theirs have length one.
        """
        bound = 1 if self.unit_length else float("inf")
        outputs = {"embedding": TensorSpec("float32", ("batch", self.latent_dim), -bound, bound)}
        for name, modality in self.modalities.items():
            yield encode_graph(name, modality, self._encoder(name), self.heads[name], outputs)
        encoders = {name: self._encoder(name) for name in self.modalities}
        yield embed_graph(self.modalities, encoders, _MeanHead(self.heads, unit_length=self.unit_length), outputs)

    def _retrieval(self, present: Tensors, embeddings: Tensors) -> dict[str, float]:
        names = list(self.modalities)
        asked: list[tuple[tuple[str, ...], str]] = [((source,), target) for source, target in permutations(names, 2)]
        if len(names) > 2:
            asked += [(tuple(name for name in names if name != target), target) for target in names]
        if not any(bool((present[one] & present[other]).any()) for one, other in self.pairs):
            raise DataError(
                f"no held-out row has two of the inputs {', '.join(names)}, so retrieval cannot be measured; "
                "choose a split in which some rows do"
            )
        found: dict[str, float] = {}
        for sources, target in asked:
            rows = torch.stack([present[name] for name in (*sources, target)]).all(dim=0)
            queries = mean_embedding(
                torch.stack([embeddings[name][rows] for name in sources]),
                torch.stack([present[name][rows] for name in sources]),
                unit_length=self.unit_length,
            )
            measured = retrieval_metrics(queries, embeddings[target][rows], by=self.nearest_by)
            found |= with_owner(translation_name(subset_name(sources), target), measured)
        return found

    def _pair_terms(self, batch: Batch, embeddings: Tensors) -> dict[str, Float[Tensor, " batch"]]:
        """Return the loss of each row by pair; zero in rows that lack one of the two inputs."""
        terms: dict[str, Tensor] = {}
        for first, second in self.pairs:
            complete = batch.present[first] & batch.present[second]
            some = embeddings[first]
            # In mixed precision, distances would be differences of numbers with three digits.
            with torch.autocast(some.device.type, enabled=False):
                groups = [batch.groups[name] for name in (first, second) if name in batch.groups]
                if bool(complete.all()):
                    terms[f"{first}~{second}"] = self._pair_loss(some, embeddings[second], groups)
                    continue
                rows = complete.nonzero().squeeze(1)
                groups = [group[rows] for group in groups]
                each = self._pair_loss(some[rows], embeddings[second][rows], groups)
            terms[f"{first}~{second}"] = some.new_zeros(batch.rows).index_add(0, rows, each)
        return terms

    def _pair_loss(self, first: Tensor, second: Tensor, groups: Sequence[Tensor]) -> Tensor:
        shared = [group for group in groups if _repeats(group)]
        if shared or len(first) > LARGEST_WHOLE:
            return self.pair_loss_in_blocks(first, second, Others(shared))
        return self.pair_loss(first, second)

    def _embedded(self, batches: Iterable[Batch], embed: Callable[[str, Tensors], Tensor]) -> tuple[Tensors, Tensors]:
        """Return, by input, which rows have it, and its embeddings of all rows by ``embed``."""
        seen = list(batches)
        if not seen:
            raise DataError("there is nothing to measure on: expected at least one batch, got none")
        present = {name: torch.cat([batch.present[name] for batch in seen]) for name in self.modalities}
        embeddings = {name: torch.cat([embed(name, batch.inputs[name]) for batch in seen]) for name in self.modalities}
        return present, embeddings

    def _encoder(self, name: str) -> Encoder:
        return cast(Encoder, self.encoders[name])


def _repeats(numbers: Int64[Tensor, " row"]) -> bool:
    """Tell whether any number comes twice."""
    in_order = numbers.sort().values
    return bool((in_order[1:] == in_order[:-1]).any())


class LinearHead(nn.Module):
    """A linear map to an embedding, which has the weights' dtype in mixed precision, too."""

    def __init__(self, feature_dim: int, latent_dim: int) -> None:
        super().__init__()
        self.projection = nn.Linear(feature_dim, latent_dim)

    def forward(self, features: Float[Tensor, "batch feature"]) -> dict[str, Float[Tensor, "batch latent"]]:
        """Return the embedding, by its name."""
        dtype = self.projection.weight.dtype
        return {"embedding": self.projection(features.to(dtype)).to(dtype)}


class EmbeddingHead(LinearHead):
    """A linear map to an embedding of length one; a vector close to zero stays short, with finite gradients."""

    def forward(self, features: Float[Tensor, "batch feature"]) -> dict[str, Float[Tensor, "batch latent"]]:
        """Return the embedding, by its name."""
        return {"embedding": of_length_one(super().forward(features)["embedding"])}


class _MeanHead(nn.Module):
    """The heads of all inputs, then the mean of the present embeddings, as in the graph ``embed``."""

    def __init__(self, heads: nn.ModuleDict, *, unit_length: bool) -> None:
        super().__init__()
        self.heads = heads
        self.unit_length = unit_length

    def forward(self, features: Tensors, present: Tensors) -> dict[str, Float[Tensor, "batch latent"]]:
        """Return the embedding, by its name."""
        each = torch.stack([head(features[name])["embedding"] for name, head in self.heads.items()])
        there = torch.stack([present[name] for name in self.heads])
        return {"embedding": mean_embedding(each, there, unit_length=self.unit_length)}


def mean_embedding(
    embeddings: Float[Tensor, "input batch latent"], there: Bool[Tensor, "input batch"], *, unit_length: bool
) -> Float[Tensor, "batch latent"]:
    """Return the mean over the present inputs, scaled to length one if ``unit_length``; zero if none is present."""
    share = there.unsqueeze(-1).to(embeddings.dtype)
    mean = (share * embeddings).sum(dim=0) / share.sum(dim=0).clamp(min=1)
    return of_length_one(mean) if unit_length else mean


def of_length_one(vectors: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch latent"]:
    """Return vectors of length one; a vector close to zero stays short, with finite gradients."""
    squared_norm = vectors.square().sum(dim=-1, keepdim=True)
    return vectors * squared_norm.clamp(min=SMALLEST_SQUARED_NORM).rsqrt()


def squared_distances(
    first: Float[Tensor, "row latent"], second: Float[Tensor, "other latent"]
) -> Float[Tensor, "row other"]:
    """Return the squared Euclidean distance of every two embeddings, never below zero.

    They are computed around the mean of all, so rounding does not depend on how far the embeddings lie from zero.
    """
    return distances_around(torch.cat([first, second]).detach().mean(dim=0), first, second)


def centre_of(first: Float[Tensor, "row latent"], second: Float[Tensor, "other latent"]) -> Float[Tensor, " latent"]:
    """Return the mean of all embeddings, without a gradient and without copying them."""
    return (first.detach().sum(dim=0) + second.detach().sum(dim=0)) / max(1, len(first) + len(second))


def distances_around(
    centre: Float[Tensor, " latent"], first: Float[Tensor, "row latent"], second: Float[Tensor, "other latent"]
) -> Float[Tensor, "row other"]:
    """Return the squared distances, computed around ``centre``."""
    first, second = first - centre, second - centre
    own, others = first.square().sum(dim=-1), second.square().sum(dim=-1)
    return (own.unsqueeze(1) + others - 2 * first @ second.T).clamp(min=0)
