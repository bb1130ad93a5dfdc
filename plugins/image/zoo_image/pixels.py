"""Turns stored pixels into brightness at one size, inside the graph."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from zoo import Modality, modality_of
from zoo_image.modality import ImageModality


def image_modality(modality: Modality, component: str) -> ImageModality:
    """Return ``modality`` if it is of images; raise SpecError, naming ``component``, if not."""
    return modality_of(ImageModality, "image", modality, component=component)


class PixelReader(nn.Module):
    """Reads uint8 pixels of any height and width as numbers of one size.

    The resizing is bilinear or bicubic, as the modality's option ``resampling`` says, with antialiasing: the same as
    ``Pillow``'s before it rounds. It is written as two products with matrices of weights, since every runtime computes
    products alike, and some ignore the flag of ``interpolate``. Bicubic brightness is clipped after each of the two,
    across first. If a picture becomes wider and lower, Pillow takes the other order, which differs at sharp edges.
    """

    brightest: Tensor

    def __init__(self, modality: ImageModality) -> None:
        super().__init__()
        self.size, self.resampling = modality.size, modality.resampling
        self.register_buffer("brightest", torch.tensor(255.0), persistent=False)  # its dtype is the module's

    def intensity(
        self, pixels: UInt8[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel size size"]:
        """Return brightness from 0 to 1, the target of the likelihoods."""
        read = pixels.to(self.brightest.dtype) / self.brightest
        height, width = pixels.shape[-2:]
        # A graph must contain the resizing even if the example that it is traced with needs none.
        if torch.compiler.is_exporting() or height != self.size or width != self.size:
            exact = torch.promote_types(read.dtype, torch.float32)
            down = resizing_weights(height, self.size, exact, self.resampling).to(read)
            across = resizing_weights(width, self.size, exact, self.resampling).to(read)
            # Mixed precision would round the pixels to bfloat16, whose steps are coarser than those of the 256 levels.
            with torch.autocast(pixels.device.type, enabled=False):
                if self.resampling == "bicubic":  # whose weights are negative in places
                    return (down @ (read @ across.T).clamp(0, 1)).clamp(0, 1)
                return down @ (read @ across.T)
        return read

    def forward(self, pixels: UInt8[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel size size"]:
        """Return brightness from -1 to 1, which is about zero on average."""
        return self.intensity(pixels).mul_(2).sub_(1)  # in place, since the brightness is of no further use


def resizing_weights(
    source: int, target: int, dtype: torch.dtype, resampling: Literal["bilinear", "bicubic"] = "bilinear"
) -> Float[Tensor, "target source"]:
    """Return the weight of each of ``source`` pixels in a line for each of ``target`` pixels; rows sum to one.

    The bilinear weights of a target pixel form a triangle around its centre, as wide as two of the larger pixels. In
    units of half a pixel of the common refinement of both lines, all centres are whole numbers, so the weights are
    exact before they are divided. The bicubic ones form the curve of Keys with a = −1/2, as wide as four.

    Source: Keys 1981, "Cubic Convolution Interpolation for Digital Image Processing", equation 4.
    """
    centres = (2 * torch.arange(target)[:, None] + 1) * source
    places = torch.arange(source) * (2 * target) + target
    # max() would freeze the size that a graph is traced with.
    reach = 2 * torch.sym_max(source, target)  # type: ignore[no-untyped-call]
    distance = (centres - places).abs()
    if resampling == "bicubic":
        x = distance.to(dtype) / reach
        inner, outer = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
        weights = torch.where(x < 1, inner, torch.where(x < 2, outer, torch.zeros_like(x)))
    else:
        weights = (reach - distance).clamp(min=0).to(dtype)
    return weights / weights.sum(dim=-1, keepdim=True)
