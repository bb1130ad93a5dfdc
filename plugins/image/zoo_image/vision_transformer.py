"""An encoder of pictures that attends to patches."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Interval
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Encoder, Modality, SpecError, Tensors, TransformerBlock
from zoo_image.modality import ImageModality
from zoo_image.pixels import PixelReader, image_modality

POSITION_SCALE = 0.02


class VisionTransformer(Encoder):
    """Cuts the picture into squares of ``patch`` pixels and lets a pre-norm transformer attend to them.

    The features are those of a class token. ``width`` is a multiple of ``heads``, and the picture's size is a multiple
    of ``patch``.

    Source: Dosovitskiy et al. 2021, arXiv 2010.11929, eq. 1 to 4.
    """

    def __init__(
        self,
        modality: Modality,
        *,
        patch: Annotated[int, Ge(1)] = 4,
        width: Annotated[int, Ge(1)] = 128,
        depth: Annotated[int, Ge(1)] = 4,
        heads: Annotated[int, Ge(1)] = 4,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        image = image_modality(modality, "the encoder 'vit'")
        _check(image, patch, width, heads)
        self.feature_dim = width
        self.read = PixelReader(image)
        self.patches = nn.Conv2d(image.channels, width, kernel_size=patch, stride=patch)
        self.class_token = nn.Parameter(torch.randn(width) * POSITION_SCALE)
        self.positions = nn.Parameter(torch.randn((image.size // patch) ** 2, width) * POSITION_SCALE)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(TransformerBlock(width, heads, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return the class token of the last layer."""
        patches = self.patches(self.read(tensors["pixels"])).flatten(2).transpose(1, 2)  # batch, patch, width
        first = self.class_token.expand(patches.shape[0], 1, -1)
        hidden = self.dropout(torch.cat([first, patches + self.positions], dim=1))
        features: Tensor = self.norm(self.blocks(hidden)[:, 0])
        return features


def _check(image: ImageModality, patch: int, width: int, heads: int) -> None:
    if image.size % patch:
        fitting = ", ".join(str(side) for side in range(1, image.size + 1) if image.size % side == 0)
        raise SpecError(
            f"the option 'patch' divides the picture's 'size', got patch {patch} and size {image.size}; choose another "
            f"size, or as patch one of {fitting}"
        )
    if width % heads:
        raise SpecError(f"the option 'width' is a multiple of 'heads', got width {width} and heads {heads}")
