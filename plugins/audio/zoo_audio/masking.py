"""Layers over sequences of varying length: padding stays zero, and counts in no mean."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

LARGEST_GROUPS = 8
# In silence all frames are alike: the deviation of a group of one channel would be only its rounding error.
FEWEST_CHANNELS = 4


class MaskedStage(nn.Module):
    """A convolution over time (the last axis), group normalisation, SiLU.

    The convolution has an odd kernel and half of it as padding. An output belongs to the middle of the frames that it
    reads, and is valid if the middle frame is.
    """

    def __init__(self, convolution: nn.Conv1d | nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        self.stride = convolution.stride[-1]
        self.norm = MaskedGroupNorm(convolution.out_channels)
        self.activation = nn.SiLU()

    def forward(
        self, hidden: Float[Tensor, "batch before *place frame"], mask: Bool[Tensor, "batch frame"]
    ) -> tuple[Float[Tensor, "batch after *fewer kept"], Bool[Tensor, "batch kept"]]:
        """Return the next stage's channels, with zeros in invalid frames, and which frames are valid."""
        kept = mask[:, :: self.stride]
        return self.activation(self.norm(self.convolution(hidden), kept)), kept  # SiLU leaves zeros as they are


class MaskedGroupNorm(nn.Module):
    """Group normalisation with the mean and variance of the valid frames.

    Source: Wu & He 2018, "Group Normalization", arXiv 1803.08494, eq. 1 to 6, with the set of eq. 5 masked.
    """

    def __init__(self, channels: int, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.groups = groups_of(channels)
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(
        self, hidden: Float[Tensor, "batch channel *place frame"], mask: Bool[Tensor, "batch frame"]
    ) -> Float[Tensor, "batch channel *place frame"]:
        """Return the normalised channels, with zeros in invalid frames."""
        # Mixed precision would take the means to three digits.
        with torch.autocast(hidden.device.type, enabled=False):
            return self._normalised(hidden.to(self.weight.dtype), mask)

    def _normalised(
        self, hidden: Float[Tensor, "batch channel *place frame"], mask: Bool[Tensor, "batch frame"]
    ) -> Float[Tensor, "batch channel *place frame"]:
        valid = mask.to(hidden.dtype)[:, None, None, :]
        grouped = hidden.reshape(hidden.shape[0], self.groups, -1, hidden.shape[-1]) * valid
        count = valid.sum(dim=-1, keepdim=True).clamp(min=1) * grouped.shape[2]
        mean = _sum(grouped, valid) / count
        centred = torch.addcmul(grouped, mean, valid, value=-1)
        variance = _sum(centred.square(), valid) / count
        # Few passes over the large tensor: its factors are multiplied with each other first.
        scale = (torch.rsqrt(variance + self.epsilon).flatten(2) * self.weight.reshape(self.groups, -1)).flatten(1)
        flat = centred.reshape(hidden.shape[0], self.weight.shape[0], -1, hidden.shape[-1])
        shift = self.bias[:, None, None] * valid
        return torch.addcmul(shift, flat, scale[:, :, None, None]).reshape(hidden.shape)


def groups_of(channels: int) -> int:
    """Return the number of groups: as many as possible, of a few channels each."""
    shared = math.gcd(LARGEST_GROUPS, channels)
    while shared > 1 and channels // shared < FEWEST_CHANNELS:
        shared //= 2
    return shared


def masked(
    hidden: Float[Tensor, "batch *place frame"], mask: Bool[Tensor, "batch frame"]
) -> Float[Tensor, "batch *place frame"]:
    """Return the tensor with zeros in invalid frames."""
    there = mask.reshape(mask.shape[0], *(1 for _ in hidden.shape[1:-1]), mask.shape[-1])
    return torch.where(there, hidden, torch.zeros_like(hidden))


def masked_mean(
    hidden: Float[Tensor, "batch feature frame"], mask: Bool[Tensor, "batch frame"]
) -> Float[Tensor, "batch feature"]:
    """Return the mean over the valid frames; zero if none is valid."""
    valid = mask.to(hidden.dtype)
    with torch.autocast(hidden.device.type, enabled=False):
        return _sum(hidden.unsqueeze(2), valid[:, None, None, :]).flatten(1) / valid.sum(dim=-1, keepdim=True).clamp(
            min=1
        )


def _sum(
    grouped: Float[Tensor, "batch group value frame"], valid: Float[Tensor, "batch 1 1 frame"]
) -> Float[Tensor, "batch group 1 1"]:
    """Return the sum over values and valid frames, as a product, since some runtimes add up a sum one by one."""
    total: Tensor = (grouped @ valid.transpose(2, 3)).sum(dim=2, keepdim=True)
    return total
