"""Convolutional encoders of sounds: on the waveform, and on its log-mel spectrogram."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import torch
from annotated_types import Ge, MinLen
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Encoder, Modality, SpecError, Tensors
from zoo_audio.masking import MaskedStage, masked, masked_mean
from zoo_audio.spectrogram import LogMel, audio_modality


class ConvolutionalEncoder(Encoder):
    """One stage per entry of ``channels`` on the waveform itself; each reduces the length by its entry of ``strides``.

    Each stage is a convolution over four strides, group normalisation and SiLU. The features are the mean over time,
    ``channels[-1]`` of them.

    Source: after Dai et al. 2017, "Very Deep Convolutional Neural Networks for Raw Waveforms", arXiv 1610.00087.
    """

    full_scale: Tensor

    def __init__(
        self,
        modality: Modality,
        *,
        channels: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)] = (32, 64, 128, 128),
        strides: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)] = (8, 4, 4, 4),
    ) -> None:
        super().__init__()
        audio_modality(modality, "the encoder 'convolutional'")
        widths = (1, *channels)
        if len(strides) != len(channels):
            raise SpecError(
                f"the option 'strides' holds one number for each of 'channels', got strides {list(strides)} and "
                f"channels {list(channels)}"
            )
        self.stages = nn.ModuleList(
            MaskedStage(nn.Conv1d(before, after, kernel_size=4 * stride + 1, stride=stride, padding=2 * stride))
            for (before, after), stride in zip(pairwise(widths), strides, strict=True)
        )
        self.register_buffer("full_scale", torch.tensor(1.0), persistent=False)  # its dtype is the module's
        self.feature_dim = widths[-1]

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return the mean of the last stage's channels."""
        mask = tensors["mask"]
        hidden = masked(tensors["waveform"].to(self.full_scale.dtype).unsqueeze(1), mask)
        for stage in self.stages:
            hidden, mask = stage(hidden, mask)
        return masked_mean(hidden, mask)


class MelConvolutionalEncoder(Encoder):
    """One stage per entry of ``channels`` on the log-mel spectrogram; each halves both its sides.

    Each stage is a convolution, group normalisation and SiLU. The features are the mean over time of the last stage's
    channels and bands, concatenated.
    """

    def __init__(
        self, modality: Modality, *, channels: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)] = (32, 64, 128)
    ) -> None:
        super().__init__()
        audio = audio_modality(modality, "the encoder 'mel-convolutional'")
        widths = (1, *channels)
        self.read = LogMel(audio)
        self.stages = nn.ModuleList(
            MaskedStage(nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1))
            for before, after in pairwise(widths)
        )
        self.feature_dim = widths[-1] * halved(audio.mel_bands, len(channels))

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return the mean over time."""
        features, mask = self.read(tensors)
        hidden = features.unsqueeze(1)
        for stage in self.stages:
            hidden, mask = stage(hidden, mask)
        return masked_mean(hidden.flatten(1, 2), mask)


def halved(size: int, stages: int) -> int:
    """Return the length of a side that was halved ``stages`` times, rounding up."""
    return -(-size // (1 << stages))
