"""Likelihoods of sounds: distributions over every frame of the spectrogram, as a decoder returns them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from zoo import Tensors
from zoo_audio.spectrogram import SILENCE

Read = Callable[[Tensors], tuple[Tensor, Tensor]]


@runtime_checkable
class Noise(Protocol):
    """A distribution of one number around zero, of scale one."""

    def log_density(self, deviation: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the log-density of each number, in nats."""

    def draw(self, like: Float[Tensor, "*shape"], generator: torch.Generator) -> Float[Tensor, "*shape"]:
        """Draw as many numbers as ``like`` has."""


class GaussianNoise:
    """The standard normal distribution."""

    def log_density(self, deviation: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the log-density of each number, in nats."""
        return -0.5 * (deviation.square() + math.log(math.tau))

    def draw(self, like: Float[Tensor, "*shape"], generator: torch.Generator) -> Float[Tensor, "*shape"]:
        """Draw as many numbers as ``like`` has."""
        return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)


class LaplaceNoise:
    """The Laplace distribution whose mean size is one."""

    def log_density(self, deviation: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the log-density of each number, in nats."""
        return -deviation.abs() - math.log(2)

    def draw(self, like: Float[Tensor, "*shape"], generator: torch.Generator) -> Float[Tensor, "*shape"]:
        """Draw as many numbers as ``like`` has."""
        share = torch.rand(like.shape, generator=generator, dtype=like.dtype, device=like.device) - 0.5
        return -share.sign() * torch.log1p(-2 * share.abs())


@dataclass(frozen=True)
class MelFrames:
    """A sound of as many frames as the longest has: whether each frame belongs to the sound, and its power.

    Whether a frame belongs to the sound is a Bernoulli variable with the logit ``lasting``. The log-mel values count
    only in frames that belong to the sound: they are distributed as ``noise`` of width ``scale`` around ``centre``. So
    the length is modelled, and padding need not be reconstructed. ``read`` makes log-mel frames and their mask from a
    waveform of any length.
    """

    centre: Float[Tensor, "batch band frame"]
    lasting: Float[Tensor, "batch frame"]
    scale: Float[Tensor, ""]
    noise: Noise
    read: Read

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the log-likelihood of each sound, in nats: that of its length plus that of its frames."""
        log_mel, mask = self._as_long(tensors)
        # Frames decoded after the end of the sound are in no score, whatever their values.
        deviation = torch.where(mask.unsqueeze(1), (log_mel - self.centre) / self.scale, 0)
        each = self.noise.log_density(deviation) - self.scale.log()
        lasts = mask.to(self.lasting.dtype)
        length = -F.binary_cross_entropy_with_logits(self.lasting, lasts, reduction="none").sum(dim=-1)
        return length + (each.sum(dim=1) * lasts).sum(dim=-1)

    def mode(self) -> Tensors:
        """Return the centre, weighted by the probability that the sound still lasts; silence after its end."""
        return {"log_mel": SILENCE + self.lasting.sigmoid().unsqueeze(1) * (self.centre - SILENCE)}

    def target(self, tensors: Tensors) -> Tensors:
        """Return the log-mel spectrogram of the sounds, with silence after their end."""
        log_mel, mask = self._as_long(tensors)
        return {"log_mel": torch.where(mask.unsqueeze(1), log_mel, SILENCE)}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw which frames the sound has, and their log-mel values; none is below silence."""
        lasts = torch.bernoulli(self.lasting.sigmoid(), generator=generator) > 0
        drawn = self.centre + self.scale * self.noise.draw(self.centre, generator)
        return {"log_mel": torch.where(lasts.unsqueeze(1), drawn.clamp(min=SILENCE), SILENCE)}

    def _as_long(self, tensors: Tensors) -> tuple[Float[Tensor, "batch band frame"], Bool[Tensor, "batch frame"]]:
        """Return log-mel values and mask, padded or cut to the number of decoded frames."""
        log_mel, mask = self.read(tensors)
        lacking = (0, self.lasting.shape[-1] - mask.shape[-1])
        return F.pad(log_mel, lacking), F.pad(mask, lacking)
