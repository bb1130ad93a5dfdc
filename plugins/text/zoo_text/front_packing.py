"""Numbers of a text moved together, so that none of them is zero before the last."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor


def packed(numbers: Int[Tensor, "batch place"], length: int) -> Int[Tensor, "batch length"]:
    """Return the first ``length`` numbers of each row that are above zero, in order, with zeros after them."""
    there = (numbers > 0).to(torch.int64)
    number = there.cumsum(1)
    kept = numbers * there * (number <= length).to(torch.int64)
    # Always as long as requested, however long the text is.
    none = (numbers[..., :1] * 0).expand(-1, length)
    return none.scatter_add(1, (number - 1).clamp(0, length - 1), kept)
