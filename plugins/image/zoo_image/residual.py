"""An encoder of pictures with residual blocks."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, MinLen
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Encoder, Modality, Tensors
from zoo_image.encoders import halved, normalised_activation
from zoo_image.pixels import PixelReader, image_modality


class ResidualEncoder(Encoder):
    """One stage per entry of ``channels``: ``blocks`` residual blocks, the first of which halves the picture.

    ``pooling`` is as in the encoder ``convolutional``: ``"none"`` keeps positions, ``"mean"`` averages over places and
    gives ``channels[-1]`` features at every size.

    Source: He et al. 2016, "Identity Mappings in Deep Residual Networks", arXiv 1603.05027, with group normalisation,
    Wu & He 2018, arXiv 1803.08494, in place of batch normalisation.
    """

    parity_ulps: ClassVar[int] = 512
    parity_reason: ClassVar[str] = (
        "in a uniform picture every place is rounded alike, and each of the many later layers adds to the same error"
    )

    def __init__(
        self,
        modality: Modality,
        *,
        channels: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)] = (32, 64, 128),
        blocks: Annotated[int, Ge(1)] = 2,
        pooling: Literal["none", "mean"] = "none",
    ) -> None:
        super().__init__()
        image = image_modality(modality, "the encoder 'residual'")
        self.read = PixelReader(image)
        self.stem = nn.Conv2d(image.channels, channels[0], kernel_size=3, padding=1)
        self.stages = nn.Sequential(*(_stage(a, b, blocks) for a, b in pairwise((channels[0], *channels))))
        self.last = nn.Sequential(*normalised_activation(channels[-1]))
        self.pool = nn.AdaptiveAvgPool2d(1) if pooling == "mean" else nn.Identity()
        side = 1 if pooling == "mean" else halved(image.size, len(channels))
        self.feature_dim = channels[-1] * side**2

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return the last stage's channels in one row."""
        hidden = self.stages(self.stem(self.read(tensors["pixels"])))
        features: Tensor = self.pool(self.last(hidden)).reshape(-1, self.feature_dim)
        return features


class _Block(nn.Module):
    """Two convolutions, each after normalisation and activation, added to the block's input."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            *normalised_activation(before), nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1)
        )
        self.second = nn.Sequential(*normalised_activation(after), nn.Conv2d(after, after, kernel_size=3, padding=1))
        same = stride == 1 and before == after
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, after, kernel_size=1, stride=stride)

    def forward(self, hidden: Float[Tensor, "batch before height width"]) -> Float[Tensor, "batch after up across"]:
        """Return the channels of the next block."""
        refined: Tensor = self.shortcut(hidden) + self.second(self.first(hidden))
        return refined


def _stage(before: int, after: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(_Block(before, after, stride=2), *(_Block(after, after, stride=1) for _ in range(blocks - 1)))
