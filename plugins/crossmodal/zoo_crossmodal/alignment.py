"""Alignment: the embeddings of a row's inputs become one point; a guard keeps rows from sharing one point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
from annotated_types import Ge
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from zoo import Batch, Decoder, Graph, Input, Losses, SpecError, Tensors, decode_graph
from zoo_crossmodal.blocks import LARGEST_WHOLE, Others
from zoo_crossmodal.retrieval import effective_rank, spread
from zoo_crossmodal.shared_space import SharedSpace

# Keeps the gradient of a standard deviation finite where all rows are equal; VICReg's epsilon.
_SMALLEST_VARIANCE = 1e-4


class Alignment(SharedSpace):
    """Brings the embeddings of each row's inputs together.

    The loss is, over every pair of inputs x and y with encoders E,

        E‖E(x) − E(y)‖² + guard_weight * guard

    The distance alone has a trivial minimum, one point for all rows (a collapse). The guard prevents it: ``variance``
    requires a standard deviation of at least one in each dimension of each input's embeddings over the batch, and no
    covariance between dimensions; ``reconstruction`` requires that each input can be decoded from its own embedding;
    ``none`` lets the embeddings collapse.

    Gaps: as in ``SharedSpace`` for the distance. The variance is that of the rows that have the input, however many
    they are, and a reconstruction is a mean over these rows.

    Source: the guard ``variance`` is that of VICReg, Bardes, Ponce & LeCun 2022, arXiv 2105.04906, section 4.1, with
    its ratio of 25 to 1 between variance and covariance; both are sums over the dimensions, as the distance is.
    """

    unit_length: ClassVar[bool] = False
    nearest_by: ClassVar[Literal["product", "distance"]] = "distance"

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        guard: Literal["variance", "reconstruction", "none"] = "variance",
        guard_weight: Annotated[float, Ge(0)] = 1.0,
    ) -> None:
        super().__init__(inputs, latent_dim, "alignment")
        self.guard = guard
        self.guard_weight = guard_weight
        self.decoders = nn.ModuleDict()
        if guard == "reconstruction":
            for name, place in inputs.items():
                if place.make_decoder is None:
                    raise SpecError(
                        f"the guard 'reconstruction' needs a decoder of every input, {name!r} has none; add one as "
                        f"spec.inputs.{name}.decoder, or take the guard 'variance'"
                    )
                self.decoders[name] = place.make_decoder(latent_dim)

    def counted(self, batch: Batch, *, player: str) -> Mapping[str, Bool[Tensor, " batch"]]:
        """Return, by the name of each term, the rows that have both inputs of a pair, or the input of a guard."""
        guarded = () if self.guard == "none" else self.modalities
        own = {self._guard_name(name): batch.present[name] for name in guarded}
        return {**super().counted(batch, player=player), **own}

    def embeddings(self, batch: Batch, noise: Tensors, *, player: str) -> Tensors:
        """Return the embedding of each input and, for the guard ``reconstruction``, minus the score of each row."""
        embedded = super().embeddings(batch, noise, player=player)
        scores = {
            self._guard_name(name): -decoder(embedded[name]).log_prob(batch.inputs[name])
            for name, decoder in self.decoders.items()
        }
        return {**embedded, **scores}

    def losses_of(self, embeddings: Tensors, batch: Batch, noise: Tensors, *, player: str) -> Losses:
        """Return the loss, with one term per pair of inputs and one guard per input."""
        terms = self._pair_terms(batch, embeddings)
        for name in () if self.guard == "none" else self.modalities:
            terms[self._guard_name(name)] = self.guard_weight * self._guard(name, batch, embeddings)
        return Losses.of_means(terms, self.counted(batch, player=player))

    def pair_loss(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"]
    ) -> Float[Tensor, " row"]:
        """Return the squared distance of each row's two embeddings."""
        return (first - second).square().sum(dim=-1)

    def pair_loss_in_blocks(
        self, first: Float[Tensor, "row latent"], second: Float[Tensor, "row latent"], others: Others
    ) -> Float[Tensor, " row"]:
        """Return the same, since no row is compared with another."""
        distances: Tensor = _SquaredDistance.apply(first, second)  # type: ignore[no-untyped-call]
        return distances

    @torch.no_grad()
    def metrics(self, batches: Iterable[Batch], *, generator: torch.Generator) -> Mapping[str, float]:
        """Return retrieval by distance, and how widely the embeddings of each input are spread.

        ``caption.spread`` is the mean standard deviation of the dimensions, ``caption.effective_rank`` the number of
        dimensions in use.
        """
        present, embeddings = self._embedded(batches, self.embed)
        found = self._retrieval(present, embeddings)
        for name in self.modalities:
            own = embeddings[name][present[name]]
            found |= {f"{name}.spread": spread(own), f"{name}.effective_rank": effective_rank(own)}
        return found

    def graphs(self) -> Iterable[Graph]:
        """Yield ``encode_<input>`` for each input, and ``decode_<input>`` if there are decoders."""
        yield from super().graphs()
        for name, decoder in self.decoders.items():
            yield decode_graph(name, cast(Decoder, decoder))

    def _guard_name(self, name: str) -> str:
        return f"{self.guard}_{name}"

    def _guard(self, name: str, batch: Batch, embeddings: Tensors) -> Float[Tensor, " batch"]:
        if self.guard == "reconstruction":
            return embeddings[self._guard_name(name)]
        embedded = embeddings[name]
        rows = embedded if bool(batch.present[name].all()) else embedded[batch.present[name]]
        with torch.autocast(embedded.device.type, enabled=False):
            return _collapse(rows).expand(batch.rows)


def _collapse(embedded: Float[Tensor, "row latent"]) -> Float[Tensor, ""]:
    """Return by how much standard deviations are below one, plus a 25th of the squared covariances."""
    rows = len(embedded)
    if rows < 2:
        return embedded.new_zeros(())
    if rows <= LARGEST_WHOLE:
        product = _product(embedded, embedded.mean(dim=0))
    else:
        # By the mean, the products have no gradient: around it all rows add up to zero.
        parts, mean = torch.split(embedded, LARGEST_WHOLE), embedded.detach().mean(dim=0)
        product = torch.stack([_computed_twice(_product, part, mean) for part in parts]).sum(dim=0)
    covariance = product / (rows - 1)
    variance = covariance.diagonal()
    hinge = (1 - (variance + _SMALLEST_VARIANCE).sqrt()).clamp(min=0).sum()
    off_diagonal = covariance.square().sum() - variance.square().sum()
    return hinge + off_diagonal / 25


def _product(embedded: Float[Tensor, "row latent"], mean: Float[Tensor, " latent"]) -> Float[Tensor, "latent latent"]:
    """Return the sum over rows of the products of every two dimensions, around the mean."""
    centred = embedded - mean
    return centred.T @ centred


class _SquaredDistance(torch.autograd.Function):
    """The squared distance of two embeddings per row; their differences are computed again for the gradient."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(first, second)
        return (first - second).square_().sum(dim=-1)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
        first, second = ctx.saved_tensors
        towards = (first - second).mul_(2 * upstream.unsqueeze(1))
        return towards, -towards


def _computed_twice(function: Callable[..., Tensor], *embedded: Tensor) -> Tensor:
    """Return the function's value; what lies between is computed again for the gradient, and never held."""
    found: Tensor = checkpoint(function, *embedded, use_reentrant=False, preserve_rng_state=False)
    return found
