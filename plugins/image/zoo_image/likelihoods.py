"""Likelihoods of pictures: distributions over the brightness of every pixel, as a decoder returns them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from zoo import Tensors

BRIGHTEST = 255
Read = Callable[
    [UInt8[Tensor, "batch channel height width"]],
    Float[Tensor, "batch channel size size"],
]


@dataclass(frozen=True)
class Bernoulli:
    """Each channel of each pixel is a Bernoulli variable, lit with the probability p that the decoder gives.

    With x the brightness from 0 to 1,

        log_prob = Σ x log p + (1 - x) log(1 - p)

    This is the cross-entropy in general use. It is not a normalised density of grey levels, so compare its values only
    between models with this likelihood. ``read`` makes brightness from pixels of any size.

    Source: Kingma & Welling 2014, appendix C.1, arXiv 1312.6114; on grey levels Loaiza-Ganem & Cunningham 2019,
    arXiv 1907.06845.
    """

    logits: Float[Tensor, "batch channel size size"]
    read: Read

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the negative cross-entropy of each picture, summed over pixels and channels, in nats."""
        return self.repeated_log_prob(tensors, 1)[0]

    def repeated_log_prob(self, tensors: Tensors, times: int) -> Float[Tensor, "times batch"]:
        """Return the same if the logits hold ``times`` predictions per picture, one copy of the batch after another."""
        intensity = self.read(tensors["pixels"])
        logits = self.logits.reshape(times, *intensity.shape)
        entropy = F.binary_cross_entropy_with_logits(logits, intensity.expand_as(logits), reduction="none")
        return -entropy.flatten(2).sum(dim=-1)

    def mode(self) -> Tensors:
        """Return the expected brightness: the most probable picture would have no grey levels."""
        return {"intensity": self.logits.sigmoid()}

    def target(self, tensors: Tensors) -> Tensors:
        """Return the brightness of the pictures at the size of the model."""
        return {"intensity": self.read(tensors["pixels"])}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw pictures of black and lit pixels."""
        return {"intensity": torch.bernoulli(self.logits.sigmoid(), generator=generator)}


@dataclass(frozen=True)
class Gaussian:
    """Gaussian brightness: each value x is distributed as N(mean, scale²), with one ``scale`` for all pixels.

    ``read`` makes brightness from pixels of any size. A learnt scale becomes the root mean square error.

    Source: Kingma & Welling 2014, appendix C.2, arXiv 1312.6114; a learnt shared scale is the sigma-VAE of Rybkin et
    al. 2021, arXiv 2006.13202.
    """

    mean: Float[Tensor, "batch channel size size"]
    scale: Float[Tensor, ""]
    read: Read

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the log-density of each picture, summed over pixels and channels, in nats."""
        deviation = (self.read(tensors["pixels"]) - self.mean) / self.scale
        values = self.mean.shape[1:].numel()
        return -0.5 * deviation.square().flatten(1).sum(dim=-1) - values * (self.scale.log() + 0.5 * math.log(math.tau))

    def mode(self) -> Tensors:
        """Return the mean."""
        return {"intensity": self.mean}

    def target(self, tensors: Tensors) -> Tensors:
        """Return the brightness of the pictures at the size of the model."""
        return {"intensity": self.read(tensors["pixels"])}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw pictures, clipped to the range from 0 to 1."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype, device=self.mean.device)
        return {"intensity": (self.mean + self.scale * noise).clamp(0, 1)}


@dataclass(frozen=True)
class Laplace:
    """Laplace brightness: each value x has the density exp(-|x - median| / scale) / (2 scale).

    A few pixels with large errors cost less than under a Gaussian, so edges are less blurred. A learnt scale becomes
    the mean absolute error.
    """

    median: Float[Tensor, "batch channel size size"]
    scale: Float[Tensor, ""]
    read: Read

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the log-density of each picture, summed over pixels and channels, in nats."""
        deviation = (self.read(tensors["pixels"]) - self.median).abs() / self.scale
        values = self.median.shape[1:].numel()
        return -deviation.flatten(1).sum(dim=-1) - values * (2 * self.scale).log()

    def mode(self) -> Tensors:
        """Return the median."""
        return {"intensity": self.median}

    def target(self, tensors: Tensors) -> Tensors:
        """Return the brightness of the pictures at the size of the model."""
        return {"intensity": self.read(tensors["pixels"])}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw pictures, clipped to the range from 0 to 1."""
        share = _uniform(self.median, generator) - 0.5
        noise = -share.sign() * torch.log1p(-2 * share.abs())
        return {"intensity": (self.median + self.scale * noise).clamp(0, 1)}


@dataclass(frozen=True)
class DiscretisedLogistic:
    """A probability for each of the 256 levels of a value: the mass of a logistic distribution that rounds to it.

    With F the logistic function, s the scale and h half a step between levels, the level x has the probability

        F((x + h - mean) / s) - F((x - h - mean) / s)

    Black also has all mass below it, and white all mass above it. The probabilities of all pictures sum to one, so
    scores are nats of the stored picture and can be compared between models. ``mean`` may leave the range from 0 to 1.
    A picture of another size is first resized, then rounded to the nearest level.

    Source: Salimans et al. 2017, "PixelCNN++", eq. 2, arXiv 1701.05517, with one component; first in Kingma et al.
    2016, arXiv 1606.04934.
    """

    mean: Float[Tensor, "batch channel size size"]
    scale: Float[Tensor, ""]
    read: Read

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the log-probability of each picture, summed over pixels and channels, in nats.

        With F the logistic function, F(a) - F(b) = F(a) F(-b) (1 - exp(b - a)). No factor on the right is a small
        difference of large numbers; at the lowest and highest level only F(a) or F(-b) remains.
        """
        levels = (self.read(tensors["pixels"]) * BRIGHTEST).round()
        from_mean, width = levels - BRIGHTEST * self.mean, BRIGHTEST * self.scale
        not_below = F.logsigmoid((0.5 - from_mean) / width)
        not_above = F.logsigmoid((0.5 + from_mean) / width)
        between = torch.log(-torch.expm1(-1 / width))
        has_lower, has_upper = levels > 0, levels < BRIGHTEST
        score = (
            torch.where(has_upper, not_above, 0)
            + torch.where(has_lower, not_below, 0)
            + torch.where(has_lower & has_upper, between, 0)
        )
        return score.flatten(1).sum(dim=-1)

    def mode(self) -> Tensors:
        """Return the mean, clipped to the range from 0 to 1, and not rounded, so that it has a gradient."""
        return {"intensity": self.mean.clamp(0, 1)}

    def target(self, tensors: Tensors) -> Tensors:
        """Return the brightness of the pictures at the size of the model."""
        return {"intensity": self.read(tensors["pixels"])}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw pictures of the 256 levels."""
        drawn = self.mean + self.scale * _uniform(self.mean, generator).logit()
        return {"intensity": (drawn.clamp(0, 1) * BRIGHTEST).round() / BRIGHTEST}


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, dtype=like.dtype, device=like.device)
