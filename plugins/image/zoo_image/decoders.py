"""Decoders of pictures.

The option ``likelihood`` names the distribution over the pixels. If it has a width, ``scale`` fixes it, in brightness
from 0 to 1; without ``scale``, one width for all pixels is learnt.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated

from annotated_types import Ge, MinLen
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Decoder, Likelihood, Modality, TensorSpec
from zoo_image.encoders import halved, normalised_activation
from zoo_image.likelihood_heads import FixedScale, LikelihoodName, likelihood_head
from zoo_image.pixels import image_modality


class MLPDecoder(Decoder):
    """Layers of ``hidden`` units, then all pixels in one row."""

    def __init__(
        self,
        modality: Modality,
        latent_dim: int,
        *,
        hidden: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)] = (512,),
        likelihood: LikelihoodName = "bernoulli",
        scale: FixedScale | None = None,
    ) -> None:
        super().__init__()
        image = image_modality(modality, "the decoder 'mlp'")
        widths = (latent_dim, *hidden)
        self.latent_dim = latent_dim
        self.shape = (image.channels, image.size, image.size)
        self.layers = nn.Sequential(*(nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(widths)))
        self.last = nn.Linear(widths[-1], image.channels * image.size**2)
        self.likelihood = likelihood_head(image, likelihood, scale)

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The brightness of each pixel, from 0 to 1."""
        return {"intensity": TensorSpec("float32", ("batch", *self.shape), 0, 1)}

    def forward(self, latent: Float[Tensor, "batch latent"]) -> Likelihood:
        """Return the distribution over pictures."""
        logits = self.last(self.layers(latent)).unflatten(-1, self.shape)
        distribution: Likelihood = self.likelihood(logits)
        return distribution


class ConvolutionalDecoder(Decoder):
    """A small picture of ``channels[0]`` channels, then one stage per entry of ``channels``; each doubles the picture.

    Works for any size: the stages start from the size rounded up, and the surplus is cut off at the edges.
    """

    def __init__(
        self,
        modality: Modality,
        latent_dim: int,
        *,
        channels: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)] = (128, 64, 32),
        likelihood: LikelihoodName = "bernoulli",
        scale: FixedScale | None = None,
    ) -> None:
        super().__init__()
        image = image_modality(modality, "the decoder 'convolutional'")
        side = halved(image.size, len(channels))
        self.latent_dim = latent_dim
        self.shape = (image.channels, image.size, image.size)
        self.seed_shape = (channels[0], side, side)
        self.seed = nn.Sequential(nn.Linear(latent_dim, channels[0] * side**2), nn.SiLU())
        self.stages = nn.Sequential(
            *(nn.Sequential(_doubling(a, b), *normalised_activation(b)) for a, b in pairwise(channels))
        )
        self.last = _doubling(channels[-1], image.channels)
        self.likelihood = likelihood_head(image, likelihood, scale)

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The brightness of each pixel, from 0 to 1."""
        return {"intensity": TensorSpec("float32", ("batch", *self.shape), 0, 1)}

    def forward(self, latent: Float[Tensor, "batch latent"]) -> Likelihood:
        """Return the distribution over pictures."""
        seed = self.seed(latent).unflatten(-1, self.seed_shape)
        logits = self.last(self.stages(seed))
        distribution: Likelihood = self.likelihood(_middle(logits, self.shape[-1]))
        return distribution


def _doubling(before: int, after: int) -> nn.ConvTranspose2d:
    # A kernel of twice the stride covers every place equally often, which avoids checkerboard patterns.
    return nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1)


def _middle(
    picture: Float[Tensor, "batch channel height width"], size: int
) -> Float[Tensor, "batch channel size size"]:
    start = (picture.shape[-1] - size) // 2
    return picture[..., start : start + size, start : start + size]
