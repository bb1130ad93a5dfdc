"""Keeps the logarithm of a scale where float32 can still compute with the scale."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

# exp(60) is 1e26: its square root, its inverse, and its product with the square of a million all fit float32.
LARGEST_LOG_VAR = 60.0


def limited(values: Float[Tensor, "*shape"], largest: float = LARGEST_LOG_VAR) -> Float[Tensor, "*shape"]:
    """Return values between ``-largest`` and ``largest``: a log-variance whose exponential fits float32.

    Between the limits values and gradients are unchanged. Beyond them the gradient is passed on as if there were no
    limit, so that what has gone too far can come back.
    """
    within = values.clamp(-largest, largest)
    if not values.requires_grad or torch.compiler.is_exporting():
        return within
    return within.detach() + (values - values.detach())


def limited_scale(log_scale: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the standard deviation of a logarithm of it, between e⁻³⁰ and e³⁰, with gradients as of ``limited``."""
    return limited(log_scale, LARGEST_LOG_VAR / 2).exp()
