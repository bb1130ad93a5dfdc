"""How well one set of embeddings finds its partners in another."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

RECALL_AT = (1, 5, 10)

# Similarities closer than this are ties: equal embeddings may differ by rounding.
TIE = 1e-6
_QUERIES_AT_ONCE = 1024


def partner_ranks(queries: Float[Tensor, "row latent"], gallery: Float[Tensor, "row latent"]) -> Int[Tensor, " row"]:
    """Return the rank of gallery row i for query i by dot product, from 1, the best.

    A tie counts against the partner, so that equal embeddings rank last, and so does what is not a number.
    """
    gallery = gallery.double()
    starts = range(0, len(queries), _QUERIES_AT_ONCE)
    ranks = [_ranks(queries[start : start + _QUERIES_AT_ONCE].double() @ gallery.T, start) for start in starts]
    return torch.cat(ranks)


def retrieval_metrics(
    queries: Float[Tensor, "row latent"], gallery: Float[Tensor, "row latent"]
) -> Mapping[str, float]:
    """Return recalls, the median rank, the size of the gallery, and the recall at 10 of a guess.

    Without rows only the size is known.
    """
    size = len(gallery)
    if size == 0:
        return {"gallery": 0.0}
    ranks = partner_ranks(queries, gallery).double()
    recalls = {f"recall@{count}": float((ranks <= count).double().mean()) for count in RECALL_AT}
    return {
        **recalls,
        "median_rank": float(ranks.quantile(0.5)),
        "chance@10": min(1.0, 10 / size),
        "gallery": float(size),
    }


def _ranks(similarity: Float[Tensor, "query row"], start: int) -> Int[Tensor, " query"]:
    own = similarity.diagonal(offset=start).unsqueeze(1)
    return (~(similarity < own - TIE)).sum(dim=1)
