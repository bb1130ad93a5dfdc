"""From the features of tokens to those of a row. Padding changes nothing, and a row without tokens stays finite."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Pooled = Literal["mean", "cls", "max", "last", "attention"]
POOLINGS: tuple[str, ...] = get_args(Pooled)


class Pooling(nn.Module):
    """Joins the features of a row's tokens.

    ``mean`` and ``max`` are over all tokens, ``cls`` takes the first and ``last`` the last one. ``attention`` is a mean
    whose weights are learnt: with h_i for the features of token i and a learnt vector w, the weights are
    softmax(w · h_i). It starts as the mean.
    """

    def __init__(self, how: Pooled, width: int) -> None:
        super().__init__()
        self.how = how
        if how == "attention":
            self.query = nn.Parameter(torch.zeros(width))

    def forward(
        self, hidden: Float[Tensor, "batch token width"], mask: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch width"]:
        """Return one row of features per row of tokens; zero if ``mean`` or ``max`` has none."""
        there = mask.unsqueeze(-1)
        if self.how == "cls":
            return hidden[:, 0]
        if self.how == "last":
            place = (mask.sum(dim=1) - 1).clamp(min=0)
            return hidden.gather(1, place[:, None, None].expand(-1, 1, hidden.shape[-1])).squeeze(1)
        if self.how == "max":
            lowest = torch.where(there, hidden, torch.full_like(hidden, torch.finfo(hidden.dtype).min)).amax(dim=1)
            return torch.where(mask.any(dim=1, keepdim=True), lowest, torch.zeros_like(lowest))
        if self.how == "attention":
            scores = (hidden @ self.query).masked_fill(~mask, torch.finfo(hidden.dtype).min)
            return (scores.softmax(dim=1).unsqueeze(-1) * hidden).sum(dim=1)
        weight = there.to(hidden.dtype)
        return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
