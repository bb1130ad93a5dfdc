"""Keeps a log-scale in the range in which float32 can compute with the scale."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

# exp(60) is 1e26: its square root, its inverse, and its product with the square of a million all fit float32.
LARGEST_LOG_VAR = 60.0


def limited(values: Float[Tensor, "*shape"], largest: float = LARGEST_LOG_VAR) -> Float[Tensor, "*shape"]:
    """Return values clipped to the range from ``-largest`` to ``largest``; then the exponential fits float32.

        limited(x) = min(max(x, −largest), largest)

    The gradient is 1 everywhere, also outside of the range, so that a value that has gone too far can come back.
    """
    within = values.clamp(-largest, largest)
    if not values.requires_grad or torch.compiler.is_exporting():
        return within
    return within.detach() + (values - values.detach())


def limited_scale(log_scale: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the standard deviation, given its logarithm: limited to e⁻³⁰ … e³⁰, with the gradient of ``limited``."""
    return limited(log_scale, LARGEST_LOG_VAR / 2).exp()
