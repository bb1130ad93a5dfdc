"""An encoder of sounds that attends to the frames of the spectrogram."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Interval
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Encoder, Modality, SpecError, Tensors, TransformerBlock
from zoo_audio.spectrogram import LogMel, audio_modality

POSITION_SCALE = 0.02


class TransformerEncoder(Encoder):
    """A pre-norm transformer over the log-mel frames; ``hop`` frames become one token.

    The features are those of a class token, which is put in front of every sound, so that a completely masked row has a
    token to attend to. ``width`` is a multiple of ``heads``.

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
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, dropout) for _ in range(depth))
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
