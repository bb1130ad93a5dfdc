"""Distributions over pictures: what a decoder says of the brightness of every pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from zoo import Tensors

Read = Callable[
    [UInt8[Tensor, "batch channel height width"]],
    Float[Tensor, "batch channel size size"],
]


@dataclass(frozen=True)
class Bernoulli:
    """Every value of every pixel is a coin, as likely to be lit as the picture is bright there.

    A brightness between 0 and 1 counts as that share of a lit one. This is the cross-entropy in general use, which is
    no normalised density of grey levels: values compare between models of this kind only. ``read`` makes brightness of
    pixels of any size.

    Source: Kingma & Welling 2014, appendix C.1, arXiv 1312.6114; on grey levels Loaiza-Ganem & Cunningham 2019,
    arXiv 1907.06845.
    """

    logits: Float[Tensor, "batch channel size size"]
    read: Read

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the negative cross-entropy of each picture, summed over pixels and channels, in nats."""
        intensity = self.read(tensors["pixels"])
        return -F.binary_cross_entropy_with_logits(self.logits, intensity, reduction="none").flatten(1).sum(dim=-1)

    def mode(self) -> Tensors:
        """Return the expected brightness: the most probable picture would have no grey levels."""
        return {"intensity": self.logits.sigmoid()}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw pictures of black and lit pixels."""
        return {"intensity": torch.bernoulli(self.logits.sigmoid(), generator=generator)}


@dataclass(frozen=True)
class Gaussian:
    """Brightness with noise of one standard deviation, ``scale``, around ``mean``.

    ``read`` makes brightness of pixels of any size. Where the scale is learnt, it becomes the root mean square error.

    Source: Kingma & Welling 2014, appendix C.2, arXiv 1312.6114; a learnt shared scale is the sigma-VAE of Rybkin et
    al. 2021, arXiv 2006.13202.
    """

    mean: Float[Tensor, "batch channel size size"]
    scale: Float[Tensor, ""]
    read: Read

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the log-density of each picture, summed over pixels and channels, in nats."""
        deviation = (self.read(tensors["pixels"]) - self.mean) / self.scale
        values = deviation[0].numel()
        return -0.5 * deviation.square().flatten(1).sum(dim=-1) - values * (self.scale.log() + 0.5 * math.log(math.tau))

    def mode(self) -> Tensors:
        """Return the mean."""
        return {"intensity": self.mean}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw pictures, clipped to what can be shown."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype, device=self.mean.device)
        return {"intensity": (self.mean + self.scale * noise).clamp(0, 1)}
