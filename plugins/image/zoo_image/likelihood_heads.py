"""Heads from a decoder's last layer to a distribution over pictures, by the name in the spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from annotated_types import Interval
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Likelihood, SpecError, limited_scale
from zoo_image.likelihoods import Bernoulli, DiscretisedLogistic, Gaussian, Laplace, Read
from zoo_image.modality import ImageModality
from zoo_image.pixels import PixelReader

LikelihoodName = Literal["bernoulli", "gaussian", "laplace", "discretised-logistic"]

# Narrower than a step between two of the 256 levels, a density would measure only the rounding.
SMALLEST_SCALE = 1 / 255
# A probability mass is at most one; its scale is bounded only to keep gradients finite, about as in PixelCNN++.
SMALLEST_SCALE_OF_MASS = 1 / 2550
_FIRST_LOG_SCALE = -2.0
# Far narrower and far wider than any use, and the inverse of their square still fits float32.
FixedScale = Annotated[float, Interval(ge=1e-14, le=1e14)]


def likelihood_head(image: ImageModality, name: LikelihoodName, scale: float | None) -> nn.Module:
    """Return the module from one number per channel of a pixel to the distribution ``name``.

    ``scale`` fixes the width of the distribution, in brightness. If it is None, one width for all pixels is learnt, at
    most e³⁰. Raises SpecError for a scale if the distribution has none.
    """
    if name == "bernoulli":
        if scale is not None:
            raise SpecError(
                f"the option 'scale' is for another 'likelihood', got scale {scale} and likelihood {name!r}; "
                "drop one of the two"
            )
        return _BernoulliOf(image)
    match name:
        case "gaussian":
            return _ScaledOf(Gaussian, torch.sigmoid, image, scale, SMALLEST_SCALE)
        case "laplace":
            return _ScaledOf(Laplace, torch.sigmoid, image, scale, SMALLEST_SCALE)
        case "discretised-logistic":
            return _ScaledOf(DiscretisedLogistic, _unbounded, image, scale, SMALLEST_SCALE_OF_MASS)


class _BernoulliOf(nn.Module):
    def __init__(self, image: ImageModality) -> None:
        super().__init__()
        self.read = PixelReader(image)

    def forward(self, logits: Float[Tensor, "batch channel size size"]) -> Likelihood:
        return Bernoulli(logits.to(self.read.brightest.dtype), self.read.intensity)


class _ScaledOf(nn.Module):
    """A centre for each channel of each pixel, and one scale that is fixed or learnt."""

    fixed_scale: Tensor

    def __init__(
        self,
        distribution: Callable[[Tensor, Tensor, Read], Likelihood],
        centre: Callable[[Tensor], Tensor],
        image: ImageModality,
        scale: float | None,
        smallest_scale: float,
    ) -> None:
        super().__init__()
        self.distribution = distribution
        self.centre = centre
        self.read = PixelReader(image)
        self.smallest_scale = smallest_scale
        self.learns = scale is None
        if scale is None:
            self.log_scale = nn.Parameter(torch.tensor(_FIRST_LOG_SCALE))
        else:
            self.register_buffer("fixed_scale", torch.tensor(scale), persistent=False)

    def forward(self, logits: Float[Tensor, "batch channel size size"]) -> Likelihood:
        scale = self.smallest_scale + limited_scale(self.log_scale) if self.learns else self.fixed_scale
        # In mixed precision the last layer gives bfloat16, whose steps are coarser than those of the 256 levels.
        return self.distribution(self.centre(logits.to(scale.dtype)), scale, self.read.intensity)


def _unbounded(
    logits: Float[Tensor, "batch channel size size"],
) -> Float[Tensor, "batch channel size size"]:
    """Return brightness, with black at -1 and white at 1; values beyond these are possible."""
    return 0.5 + 0.5 * logits
