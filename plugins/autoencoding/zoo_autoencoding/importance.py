"""The likelihood of held-out rows under a model with a latent, by importance sampling."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from zoo import Decoder, Tensors, decode

_DECODED_AT_ONCE = 4096


def importance_sampled_nll(
    decoder: Decoder, parameters: Tensors, tensors: Tensors, *, samples: int, generator: torch.Generator
) -> Float[Tensor, " batch"]:
    """Return an upper bound of -log p(x) of each row, in nats.

        -log 1/K Σ_k p(x | z_k) p(z_k) / q(z_k | x)

    The K = ``samples`` latents z_k are drawn from the Gaussian posterior q with ``mean`` and ``log_var`` of
    ``parameters``; the prior p(z) is N(0, I). One sample gives an estimate of the negative ELBO; with more samples the
    bound approaches -log p(x). Memory does not grow with the number of samples.

    Source: Burda et al. 2016, eq. 8, arXiv 1509.00519.
    """
    mean, log_var = parameters["mean"], parameters["log_var"]
    total = torch.full_like(mean[:, 0], -math.inf)
    at_once = max(1, _DECODED_AT_ONCE // max(1, len(mean)))
    for start in range(0, samples, at_once):
        shape = (min(at_once, samples - start), *mean.shape)
        noise = torch.randn(shape, generator=generator).to(mean)
        latent = mean + (0.5 * log_var).exp() * noise
        # Both densities have the factor (2 pi)**(-latent_dim / 2), which cancels.
        prior_over_posterior = 0.5 * (noise.square() + log_var - latent.square()).sum(dim=-1)
        log_weight = decode(decoder, latent).log_prob(tensors) + prior_over_posterior
        total = torch.logaddexp(total, log_weight.logsumexp(dim=0))
    return math.log(samples) - total
