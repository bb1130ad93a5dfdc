"""Retrieval: how well each embedding of one set finds its partner in another set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

RECALL_AT = (1, 5, 10)

# Similarities closer than this are ties: equal embeddings may differ by rounding.
TIE = 1e-6
_ROUNDING = 2.0**-23  # of float32, in which embeddings come
_QUERIES_AT_ONCE = 1024


def partner_ranks(
    queries: Float[Tensor, "row latent"],
    gallery: Float[Tensor, "row latent"],
    *,
    by: Literal["product", "distance"] = "product",
) -> Int[Tensor, " row"]:
    """Return the rank of gallery row i for query i, from 1, the best: by largest dot product, or least distance.

    A tie counts against the partner, so equal embeddings rank last, and so does NaN. Products are
    equal if they differ by a millionth at most; half the squared distances if they differ by a millionth of the mean
    squared distance from the gallery's mean, or by what rounding to float32 changes.
    """
    gallery, queries, tie = gallery.double(), queries.double(), TIE
    offset = torch.zeros_like(gallery[:, 0])
    if by == "distance" and len(gallery):
        centre, largest = gallery.mean(dim=0), float(gallery.abs().max())
        gallery, queries = gallery - centre, queries - centre
        # The order by distance is that by q·g - |g|^2 / 2.
        offset = 0.5 * gallery.square().sum(dim=-1)
        tie = _tie_of_distances(2 * float(offset.mean()), _ROUNDING * largest * math.sqrt(gallery.shape[1]))
    starts = range(0, len(queries), _QUERIES_AT_ONCE)
    ranks = [_ranks(queries[start : start + _QUERIES_AT_ONCE] @ gallery.T - offset, start, tie) for start in starts]
    return torch.cat(ranks)


def retrieval_metrics(
    queries: Float[Tensor, "row latent"],
    gallery: Float[Tensor, "row latent"],
    *,
    by: Literal["product", "distance"] = "product",
) -> Mapping[str, float]:
    """Return recalls, the mean average precision, the median rank, the gallery's size, and the chance levels.

    A query has one right answer, so its average precision is one over the rank of its partner. The chance level of
    ``recall@10`` is ``chance@10``, that of ``map`` is ``chance_map``. Without rows, only the size is returned.

    Source: Manning, Raghavan & Schütze 2008, "Introduction to information retrieval", section 8.4.
    """
    size = len(gallery)
    if size == 0:
        return {"gallery": 0.0}
    ranks = partner_ranks(queries, gallery, by=by).double()
    every_rank = torch.arange(1, size + 1, dtype=torch.float64)
    return {
        **{f"recall@{count}": float((ranks <= count).double().mean()) for count in RECALL_AT},
        "map": float((1 / ranks).mean()),
        "median_rank": float(ranks.quantile(0.5)),
        **{f"chance@{count}": min(1.0, count / size) for count in RECALL_AT},
        "chance_map": float((1 / every_rank).mean()),
        "chance_median_rank": (size + 1) / 2,
        "gallery": float(size),
    }


def spread(embedded: Float[Tensor, "row latent"]) -> float:
    """Return the mean standard deviation of the dimensions; zero if all rows are one point."""
    return float(embedded.double().std(dim=0, correction=0).mean()) if len(embedded) else 0.0


def effective_rank(embedded: Float[Tensor, "row latent"]) -> float:
    """Return in how many dimensions the rows spread.

    With singular values s_d of the centred rows and p_d = s_d / Σ s_d, it is exp(-Σ p_d log p_d); zero if all rows are
    one point.

    Source: Roy & Vetterli 2007, "The effective rank: A measure of effective dimensionality".
    """
    if not len(embedded):
        return 0.0
    centred = embedded.double() - embedded.double().mean(dim=0)
    values: Tensor = torch.linalg.svdvals(centred)
    if float(values.sum()) <= TIE * float(embedded.double().norm()):
        return 0.0
    shares = values / values.sum()
    return float(torch.special.entr(shares).sum().exp())


def _tie_of_distances(variance: float, rounded: float) -> float:
    """Return by how much half the squared distances from one point may change if embeddings move by ``rounded``."""
    return max(TIE * variance, rounded * math.sqrt(variance) + rounded**2)


def _ranks(similarity: Float[Tensor, "query row"], start: int, tie: float) -> Int[Tensor, " query"]:
    own = similarity.diagonal(offset=start).unsqueeze(1)
    return (~(similarity < own - tie)).sum(dim=1)
