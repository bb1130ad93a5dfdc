"""Distributions over sounds: what a decoder says of every frame of the spectrogram."""

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
    """A sound of as many frames as the longest has: whether each is a part of it, and if so, what power it has.

    Each frame is a coin with ``lasting`` as the logit that the sound lasts until then; only of frames that are a part
    of the sound the log-mel counts, with ``noise`` of width ``scale`` around ``centre``. So the length is modelled, and
    padding is nothing to be reconstructed. ``read`` makes log-mel frames and their mask of a waveform of any length.
    """

    centre: Float[Tensor, "batch band frame"]
    lasting: Float[Tensor, "batch frame"]
    scale: Float[Tensor, ""]
    noise: Noise
    read: Read

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the log-likelihood of each sound, in nats: of its length, and of its frames."""
        log_mel, mask = self._as_long(tensors)
        # What is decoded behind the end is in no score, however far it has gone.
        deviation = torch.where(mask.unsqueeze(1), (log_mel - self.centre) / self.scale, 0)
        each = self.noise.log_density(deviation) - self.scale.log()
        lasts = mask.to(self.lasting.dtype)
        length = -F.binary_cross_entropy_with_logits(self.lasting, lasts, reduction="none").sum(dim=-1)
        return length + (each.sum(dim=1) * lasts).sum(dim=-1)

    def mode(self) -> Tensors:
        """Return the centre, silent where the sound is over: a share of it where that is not certain."""
        return {"log_mel": SILENCE + self.lasting.sigmoid().unsqueeze(1) * (self.centre - SILENCE)}

    def target(self, tensors: Tensors) -> Tensors:
        """Return the log-mel of the sounds, with silence behind their end."""
        log_mel, mask = self._as_long(tensors)
        return {"log_mel": torch.where(mask.unsqueeze(1), log_mel, SILENCE)}

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw which frames there are, and their log-mel; none is below silence."""
        lasts = torch.bernoulli(self.lasting.sigmoid(), generator=generator) > 0
        drawn = self.centre + self.scale * self.noise.draw(self.centre, generator)
        return {"log_mel": torch.where(lasts.unsqueeze(1), drawn.clamp(min=SILENCE), SILENCE)}

    def _as_long(self, tensors: Tensors) -> tuple[Float[Tensor, "batch band frame"], Bool[Tensor, "batch frame"]]:
        """Return log-mel and mask with as many frames as are decoded: more are added, or left out."""
        log_mel, mask = self.read(tensors)
        lacking = (0, self.lasting.shape[-1] - mask.shape[-1])
        return F.pad(log_mel, lacking), F.pad(mask, lacking)
