"""An encoder of sounds that attends to the frames of the spectrogram."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from jaxtyping import Bool, Float
from torch import Tensor, nn

from zoo import Encoder, Modality, SpecError, Tensors
from zoo_audio.spectrogram import LogMel, audio_modality

POSITION_SCALE = 0.02


class TransformerEncoder(Encoder):
    """A pre-norm transformer over the log-mel frames, ``hop`` of which become one token.

    The features are a class token's, which stands in front of every sound, so that a wholly masked row has something to
    attend to. ``width`` is a multiple of ``heads``.

    Source: after Gong et al. 2021, "AST: Audio Spectrogram Transformer", arXiv 2104.01778, with tokens that hold all
    bands, as Radford et al. 2022 have them, arXiv 2212.04356, section 2.2.
    """

    def __init__(
        self,
        modality: Modality,
        *,
        hop: Annotated[int, Ge(1)] = 4,
        width: Annotated[int, Ge(1)] = 128,
        depth: Annotated[int, Ge(1)] = 2,
        heads: Annotated[int, Ge(1)] = 4,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        audio = audio_modality(modality, "the encoder 'transformer'")
        if width % heads:
            raise SpecError(f"the option 'width' is a multiple of 'heads', got width {width} and heads {heads}")
        self.feature_dim = width
        self.read = LogMel(audio)
        self.tokens = nn.Conv1d(audio.mel_bands, width, kernel_size=2 * hop - 1, stride=hop, padding=hop - 1)
        self.class_token = nn.Parameter(torch.randn(width) * POSITION_SCALE)
        longest = -(-audio.mel.frames(audio.most_samples) // hop)
        self.positions = nn.Parameter(torch.randn(longest, width) * POSITION_SCALE)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return the class token of the last layer."""
        spectrogram, mask = self.read(tensors)
        tokens = self.tokens(spectrogram).transpose(1, 2)  # batch, token, width
        first = self.class_token.expand(tokens.shape[0], 1, -1)
        hidden = self.dropout(torch.cat([first, tokens + self.positions[: tokens.shape[1]]], dim=1))
        valid = mask[:, :: self.tokens.stride[0]]
        seen = torch.cat([torch.ones_like(valid[:, :1]), valid], dim=1)
        for block in self.blocks:
            hidden = block(hidden, seen)
        features: Tensor = self.norm(hidden[:, 0])
        return features


class _Block(nn.Module):
    """Attention of all tokens to those that are seen, then two layers, each inside a residual branch."""

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
        self, hidden: Float[Tensor, "batch token width"], seen: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token width"]:
        """Return the tokens of the next layer."""
        mixed = hidden + self.dropout(self._attention(self.attention_norm(hidden), seen))
        refined: Tensor = mixed + self.dropout(self.layers(self.layers_norm(mixed)))
        return refined

    def _attention(
        self, hidden: Float[Tensor, "batch token width"], seen: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token width"]:
        projected = self.projection(hidden).unflatten(-1, (3, self.heads, -1))
        query, key, value = projected.permute(2, 0, 3, 1, 4).unbind(0)  # batch, head, token, width of a head
        # Written out for every query: some runtimes refuse a mask that is broadcast.
        allowed = seen[:, None, None, :].expand(-1, 1, seen.shape[1], -1)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        joined: Tensor = self.output(mixed.transpose(1, 2).flatten(-2))
        return joined
