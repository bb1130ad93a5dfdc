"""The log-mel spectrogram as a part of a graph: fixed convolutions, never the STFT operator."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from zoo import Modality, Tensors, modality_of
from zoo_audio.mel import FLOOR
from zoo_audio.modality import AudioModality

# The power of speech lies between about e⁻¹⁶ and 1, so the features have a mean of about 0 and a size of about 1.
CENTRE, SPREAD = -9.0, 4.0
SILENCE = math.log(FLOOR)


def audio_modality(modality: Modality, component: str) -> AudioModality:
    """Return ``modality`` if it is of sounds; raise SpecError, naming ``component``, if not."""
    return modality_of(AudioModality, "audio", modality, component=component)


class LogMel(nn.Module):
    """Reads the logarithm of the power in each mel band of each frame; see ``zoo_audio.mel`` for their places.

    A frame is valid if its middle is a sample of the sound. Frames that reach over the end of a sound read silence
    there, whatever the padding holds.
    """

    kernels: Tensor
    filters: Tensor

    def __init__(self, modality: AudioModality) -> None:
        super().__init__()
        mel = modality.mel
        self.hop = mel.hop
        # Power in units of the floor, since a small addend may be lost in a graph.
        kernels = mel.kernels() / math.sqrt(FLOOR)
        self.register_buffer("kernels", torch.from_numpy(kernels).float().unsqueeze(1), persistent=False)
        self.register_buffer("filters", torch.from_numpy(mel.filters()).float(), persistent=False)

    def nats(self, tensors: Tensors) -> tuple[Float[Tensor, "batch band frame"], Bool[Tensor, "batch frame"]]:
        """Return the natural logarithm of the power, and which frames are valid."""
        waveform, mask = tensors["waveform"], tensors["mask"]
        sound = torch.where(mask, waveform, torch.zeros_like(waveform)).to(self.kernels.dtype).unsqueeze(1)
        # Mixed precision would round the samples to bfloat16, 96 dB of noise below full scale to 48.
        with torch.autocast(waveform.device.type, enabled=False):
            waves = F.conv1d(sound, self.kernels, stride=self.hop, padding=self.kernels.shape[-1] // 2)
            cosines, sines = waves.square().chunk(2, dim=1)
            return torch.log1p(self.filters @ (cosines + sines)) + SILENCE, mask[:, :: self.hop]

    def forward(self, tensors: Tensors) -> tuple[Float[Tensor, "batch band frame"], Bool[Tensor, "batch frame"]]:
        """Return the spectrogram in the units of features, with zeros in invalid frames, and which frames are valid."""
        log_mel, mask = self.nats(tensors)
        features = (log_mel - CENTRE) / SPREAD
        return torch.where(mask.unsqueeze(1), features, torch.zeros_like(features)), mask


def to_nats(features: Float[Tensor, "*batch band frame"]) -> Float[Tensor, "*batch band frame"]:
    """Return the logarithm of the power of a spectrogram in the units of features."""
    return features * SPREAD + CENTRE
