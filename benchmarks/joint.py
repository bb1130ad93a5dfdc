"""Joint models' training against bare loops of the same mathematics, over two inputs: whole rows, and rows with gaps.

The bare loops know of no gaps, and take whole rows in both cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import Comparison
from benchmarks.objectives import recipe, steps
from benchmarks.training import BATCH, HIDDEN, LATENT, SIDE, noise_pixels, steps_in_turn

if TYPE_CHECKING:
    from torch import Tensor

    Nats = Callable[[int, Tensor], Tensor]

SAMPLES, CODE_HIDDEN = 10, 128
LEAST_SHARE = 0.85
INPUTS = ("left", "right")


def measure(rounds: int) -> Iterator[Comparison]:
    """Compare samples a second, on one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    loops: dict[str, tuple[dict[str, Any], Callable[..., Tensor]]] = {
        "fusion": ({"hidden": [CODE_HIDDEN]}, fusion),
        "mvae": ({}, mvae),
        "mopoe": ({}, mopoe),
        "mmvae": ({"samples": SAMPLES}, mmvae),
    }
    for name, (options, loss) in loops.items():
        for gaps in (False, True):
            settings = recipe(name, INPUTS, options, decoders=True, gaps=gaps)
            ours, other = steps_in_turn(settings, bare(loss))
            what = f"training, {name}, batch {BATCH}, 1 thread{', a third of the rows with a gap' if gaps else ''}"
            yield Comparison(what, BATCH / ours, BATCH / other, "samples/s", at_least=LEAST_SHARE)
    torch.set_num_threads(before)


def bare(loss: Callable[..., Tensor]) -> Iterator[None]:
    """Train two encoders and two decoders of 784-512-16 layers by ``loss(heads, nats, extra)``."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    pixels = torch.from_numpy(noise_pixels()).flatten(1).float() / 255
    encoders = [nn.Sequential(nn.Linear(SIDE**2, HIDDEN), nn.ReLU()) for _ in INPUTS]
    heads = [nn.Linear(HIDDEN, 2 * LATENT) for _ in INPUTS]
    code = nn.Sequential(nn.Linear(2 * HIDDEN, CODE_HIDDEN), nn.ReLU(), nn.Linear(CODE_HIDDEN, LATENT), nn.Tanh())
    decoders = [nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, SIDE**2)) for _ in INPUTS]

    def loss_of(*pictures: Tensor) -> Tensor:
        features = [encoder(picture) for encoder, picture in zip(encoders, pictures, strict=True)]
        experts = [head(each).chunk(2, dim=-1) for head, each in zip(heads, features, strict=True)]

        def nats(place: int, latents: Tensor) -> Tensor:
            logits = decoders[place](latents.flatten(0, -2)).reshape(*latents.shape[:-1], -1)
            targets = pictures[place].expand_as(logits)
            return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=-1)

        if loss is fusion:
            return loss(code(torch.cat(features, dim=-1)), nats)
        return loss(*(torch.stack(parts) for parts in zip(*experts, strict=True)), nats)

    trained = [*encoders, *decoders, *([code] if loss is fusion else heads)]
    return steps([pixels, pixels.clone()], [weight for part in trained for weight in part.parameters()], loss_of)


def fusion(latent: Tensor, nats: Nats) -> Tensor:
    """Return the reconstruction of both inputs from one code."""
    return (nats(0, latent) + nats(1, latent)).mean()


def mvae(mean: Tensor, log_var: Tensor, nats: Nats) -> Tensor:
    """Return the negative ELBO of both inputs and of each alone, with the prior as an expert."""
    import torch

    own = (-log_var).exp()
    precision = 1 + torch.cat([own.sum(0, keepdim=True), own])
    means = torch.cat([(own * mean).sum(0, keepdim=True), own * mean]) / precision
    latents = means + precision.rsqrt() * torch.randn_like(means)
    total = _kl(means, -precision.log()).sum(0)
    for place in range(2):
        total = total + nats(place, latents[[0, 1 + place]]).sum(0)
    return total.mean()


def mopoe(mean: Tensor, log_var: Tensor, nats: Nats) -> Tensor:
    """Return the negative ELBO of a latent of one subset of the inputs, chosen a row."""
    import torch

    own = (-log_var).exp()
    precision = torch.cat([own, own.sum(0, keepdim=True)])
    means = torch.cat([own * mean, (own * mean).sum(0, keepdim=True)]) / precision
    index = torch.randint(3, (1, mean.shape[1], 1)).expand(1, -1, LATENT)
    chosen, scale = means.gather(0, index)[0], precision.rsqrt().gather(0, index)[0]
    latent = chosen + scale * torch.randn_like(chosen)
    return (nats(0, latent) + nats(1, latent) + _kl(means, -precision.log()).mean(0)).mean()


def mmvae(mean: Tensor, log_var: Tensor, nats: Nats) -> Tensor:
    """Return the importance-weighted bound of several latents of each expert."""
    import torch

    spread = (0.5 * log_var).exp()
    noise = torch.randn(len(INPUTS), SAMPLES, *mean.shape[1:])
    latents = mean.unsqueeze(1) + spread.unsqueeze(1) * noise
    prior = -0.5 * (latents.square() + math.log(2 * math.pi)).sum(-1)
    scaled = (latents.unsqueeze(2) - mean) / spread
    each = -0.5 * (scaled.square() + log_var + math.log(2 * math.pi)).sum(-1)
    weights = prior - (each.logsumexp(2) - math.log(2)) - nats(0, latents) - nats(1, latents)
    return -(weights.logsumexp(1) - math.log(SAMPLES)).mean()


def _kl(mean: Tensor, log_var: Tensor) -> Tensor:
    return 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(-1)
