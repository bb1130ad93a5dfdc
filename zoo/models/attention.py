"""Self-attention and the block of a transformer: written once, in a form that every runtime computes correctly."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


def self_attention(
    projected: Float[Tensor, "batch token three_width"], heads: int, seen: Bool[Tensor, "batch token"] | None = None
) -> Float[Tensor, "batch token width"]:
    """Return, for each token, a mix of all tokens, or of those that are ``seen``; each row has at least one seen token.

    With queries Q, keys K and values V of width d per head:

        attention(Q, K, V) = softmax(Q Kᵀ / √d) V

    ``projected`` holds queries, keys and values side by side, each made of ``heads`` equal parts.

    Source: Vaswani et al. 2017, "Attention Is All You Need", arXiv 1706.03762, equation 1.
    """
    parted: Tensor = projected.unflatten(-1, (3, heads, -1))  # type: ignore[no-untyped-call]
    query, key, value = parted.permute(2, 0, 3, 1, 4).unbind(0)  # batch, head, token, width of a head
    # Written out for every query: some runtimes refuse a mask that is broadcast.
    allowed = None if seen is None else seen[:, None, None, :].expand(-1, 1, seen.shape[1], -1)
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    joined: Tensor = mixed.transpose(1, 2).flatten(-2)
    return joined


class TransformerBlock(nn.Module):
    """Self-attention, then two linear layers; both are residual branches that begin with layer normalisation.

    ``width`` is a multiple of ``heads``.

    Source: Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture", arXiv 2002.04745, Pre-LN.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.layers_norm = nn.LayerNorm(width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], seen: Bool[Tensor, "batch token"] | None = None
    ) -> Float[Tensor, "batch token width"]:
        """Return the tokens of the next layer, each attends to all tokens, or to those that are ``seen``."""
        attended = self_attention(self.projection(self.attention_norm(hidden)), self.heads, seen)
        mixed = hidden + self.dropout(self.output(attended))
        refined: Tensor = mixed + self.dropout(self.layers(self.layers_norm(mixed)))
        return refined
