"""A decoder of sounds: a fixed number of log-mel frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Interval, MinLen
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Decoder, Modality, TensorSpec, limited_scale
from zoo_audio.encoders import halved
from zoo_audio.likelihoods import GaussianNoise, LaplaceNoise, MelFrames, Noise
from zoo_audio.masking import groups_of
from zoo_audio.spectrogram import LogMel, audio_modality, to_nats

NOISE: Mapping[str, type[Noise]] = {"gaussian": GaussianNoise, "laplace": LaplaceNoise}
# In nats; with a smaller scale, a density would measure how exactly silence is reproduced.
SMALLEST_SCALE = 0.05


class MelDecoder(Decoder):
    """A small spectrogram of ``channels[0]`` channels, then a stage per entry of ``channels`` that doubles both sides.

    It decodes the log-mel spectrogram of as many frames as the longest sound has, and the length of the sound; see
    ``MelFrames``. ``scale`` fixes the width of the ``likelihood``, in nats of power, from 1e-14 to 1e14. If it is None,
    one width for all places is learnt, at most e³⁰.
    """

    fixed_scale: Tensor

    def __init__(
        self,
        modality: Modality,
        latent_dim: int,
        *,
        channels: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)] = (128, 64, 32),
        likelihood: Literal["gaussian", "laplace"] = "gaussian",
        scale: Annotated[float, Interval(ge=1e-14, le=1e14)] | None = None,
    ) -> None:
        super().__init__()
        audio = audio_modality(modality, "the decoder 'mel'")
        self.latent_dim = latent_dim
        self.shape = (audio.mel_bands, audio.mel.frames(audio.most_samples))
        self.seed_shape = (channels[0], *(halved(side, len(channels)) for side in self.shape))
        self.seed = nn.Sequential(nn.Linear(latent_dim, math.prod(self.seed_shape)), nn.SiLU())
        self.stages = nn.Sequential(*(_Stage(before, after) for before, after in pairwise(channels)))
        self.last = _doubling(channels[-1], 1)
        self.lasting = nn.Linear(latent_dim, self.shape[1])
        self.read = LogMel(audio)
        self.noise = NOISE[likelihood]()
        self.learns = scale is None
        if scale is None:
            self.log_scale = nn.Parameter(torch.tensor(0.0))
        else:
            self.register_buffer("fixed_scale", torch.tensor(scale), persistent=False)

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The natural logarithm of the power in each band of each frame."""
        return {"log_mel": TensorSpec("float32", ("batch", *self.shape))}

    def forward(self, latent: Float[Tensor, "batch latent"]) -> MelFrames:
        """Return the distribution over sounds."""
        spectrogram = self.last(self.stages(self.seed(latent).unflatten(-1, self.seed_shape)))
        bands, frames = self.shape
        scale = SMALLEST_SCALE + limited_scale(self.log_scale) if self.learns else self.fixed_scale
        # In mixed precision the last layers give bfloat16, of less than three digits.
        centre = to_nats(spectrogram[:, 0, :bands, :frames].to(scale.dtype))
        return MelFrames(centre, self.lasting(latent).to(scale.dtype), scale, self.noise, self.read.nats)


class _Stage(nn.Sequential):
    """Doubles both sides; every frame is decoded, so the normalisation needs no mask."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(_doubling(before, after), nn.GroupNorm(groups_of(after), after), nn.SiLU())


def _doubling(before: int, after: int) -> nn.ConvTranspose2d:
    # A kernel of twice the stride covers every place equally often, which avoids checkerboard patterns.
    return nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1)
