"""Encoders of pictures."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, MinLen
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Encoder, Modality, Tensors
from zoo_image.pixels import PixelReader, image_modality

LARGEST_GROUPS = 8


class MLPEncoder(Encoder):
    """Layers of ``hidden`` units on the flattened pixels."""

    def __init__(
        self, modality: Modality, *, hidden: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)] = (512,)
    ) -> None:
        super().__init__()
        image = image_modality(modality, "the encoder 'mlp'")
        self.pixel_count = image.channels * image.size**2
        widths = (self.pixel_count, *hidden)
        self.read = PixelReader(image)
        self.layers = nn.Sequential(*(nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(widths)))
        self.feature_dim = widths[-1]

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return the last layer."""
        # Not flatten(1): its shape is computed in a graph, this one is a constant.
        features: Tensor = self.layers(self.read(tensors["pixels"]).reshape(-1, self.pixel_count))
        return features


class ConvolutionalEncoder(Encoder):
    """One stage per entry of ``channels``; each halves the picture: convolution, group normalisation, SiLU.

    ``pooling = "none"`` keeps positions, as a reconstruction needs: there is one feature per channel and remaining
    place. ``"mean"`` averages over places: this is enough to distinguish pictures, and gives ``channels[-1]`` features
    at every size. Large pictures need more stages.
    """

    parity_ulps: ClassVar[int] = 128
    parity_reason: ClassVar[str] = (
        "in a uniform picture every place is rounded alike, so later layers add errors up instead of averaging them"
    )

    def __init__(
        self,
        modality: Modality,
        *,
        channels: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)] = (32, 64, 128),
        pooling: Literal["none", "mean"] = "none",
    ) -> None:
        super().__init__()
        image = image_modality(modality, "the encoder 'convolutional'")
        widths = (image.channels, *channels)
        self.read = PixelReader(image)
        self.stages = nn.Sequential(*(_halving(a, b) for a, b in pairwise(widths)))
        self.pool = nn.AdaptiveAvgPool2d(1) if pooling == "mean" else nn.Identity()
        side = 1 if pooling == "mean" else halved(image.size, len(channels))
        self.feature_dim = channels[-1] * side**2

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return the last stage's channels in one row."""
        features: Tensor = self.pool(self.stages(self.read(tensors["pixels"]))).reshape(-1, self.feature_dim)
        return features


def _halving(before: int, after: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1)
    return nn.Sequential(convolution, *normalised_activation(after))


def normalised_activation(channels: int) -> tuple[nn.Module, nn.Module]:
    """Return group normalisation, in which rows do not affect each other, and the activation."""
    return nn.GroupNorm(math.gcd(LARGEST_GROUPS, channels), channels), nn.SiLU()


def halved(size: int, stages: int) -> int:
    """Return the side of a picture that was halved ``stages`` times, rounding up."""
    return -(-size // (1 << stages))
