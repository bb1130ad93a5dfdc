"""Joint models over two inputs with torch alone: the mathematics of the zoo's models, for complete rows only.

A model holds its pixels as floats, ready to use, and returns its loss of a batch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.objectives import steps
from benchmarks.training import HIDDEN, LATENT, SIDE, noise_pixels

SAMPLES, CODE_HIDDEN, PRIVATE, CONDITION = 10, 128, 4, 16
JMVAE_ALPHA, MVTCAE_ALPHA = 0.1, 0.9
INPUTS = ("left", "right")


def bare(model: Bare) -> Iterator[None]:
    """Train a model; each item that is requested is one step."""
    pixels = torch.from_numpy(noise_pixels()).flatten(1).float() / 255
    return steps([pixels, pixels.clone()], list(model.parameters()), model)


class Bare(nn.Module, ABC):
    """Encoders and decoders of 784-512-``latent`` layers, and from features to Gaussians of ``expert`` dimensions."""

    def __init__(self, *, expert: int = LATENT, latent: int = LATENT, decoded: int = len(INPUTS)) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(nn.Sequential(nn.Linear(SIDE**2, HIDDEN), nn.ReLU()) for _ in INPUTS)
        self.heads = nn.ModuleList(nn.Linear(HIDDEN, 2 * expert) for _ in INPUTS) if expert else nn.ModuleList()
        self.decoders = nn.ModuleList(
            nn.Sequential(nn.Linear(latent, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, SIDE**2)) for _ in range(decoded)
        )

    def forward(self, *pictures: Tensor) -> Tensor:
        """Return the loss of a batch."""
        self.pictures = pictures
        return self._loss([encoder(picture) for encoder, picture in zip(self.encoders, pictures, strict=True)])

    @abstractmethod
    def _loss(self, features: list[Tensor]) -> Tensor:
        """Return the loss, given the features of each input."""

    def experts(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return means and log-variances, input x batch x latent."""
        found = [head(each).chunk(2, dim=-1) for head, each in zip(self.heads, features, strict=True)]
        mean, log_var = (torch.stack(parts) for parts in zip(*found, strict=True))
        return mean, log_var

    def nats(self, place: int, latents: Tensor) -> Tensor:
        """Return the negative log-likelihood of an input, given latents with any axes before the last."""
        logits = self.decoders[place](latents.flatten(0, -2)).reshape(*latents.shape[:-1], -1)
        targets = self.pictures[place].expand_as(logits)
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=-1)


class Fusion(Bare):
    """Both inputs from one code."""

    def __init__(self) -> None:
        super().__init__(expert=0)
        layers = nn.Linear(2 * HIDDEN, CODE_HIDDEN), nn.ReLU(), nn.Linear(CODE_HIDDEN, LATENT), nn.Tanh()
        self.code = nn.Sequential(*layers)

    def _loss(self, features: list[Tensor]) -> Tensor:
        latent = self.code(torch.cat(features, dim=-1))
        return (self.nats(0, latent) + self.nats(1, latent)).mean()


class MVAE(Bare):
    """The negative ELBO of both inputs and of each alone, with the prior as an expert."""

    def _loss(self, features: list[Tensor]) -> Tensor:
        means, log_vars = joint_and_single(*self.experts(features))
        latents = sampled(means, log_vars)
        total = kl(means, log_vars).sum(0)
        for place in range(2):
            total = total + self.nats(place, latents[[0, 1 + place]]).sum(0)
        return total.mean()


class MoPoE(Bare):
    """The negative ELBO of a latent of one subset of the inputs, chosen a row."""

    def _loss(self, features: list[Tensor]) -> Tensor:
        mean, log_var = self.experts(features)
        own = (-log_var).exp()
        precision = torch.cat([own, own.sum(0, keepdim=True)])
        means = torch.cat([own * mean, (own * mean).sum(0, keepdim=True)]) / precision
        index = torch.randint(3, (1, mean.shape[1], 1)).expand(1, -1, LATENT)
        chosen, scale = means.gather(0, index)[0], precision.rsqrt().gather(0, index)[0]
        latent = chosen + scale * torch.randn_like(chosen)
        return (self.nats(0, latent) + self.nats(1, latent) + kl(means, -precision.log()).mean(0)).mean()


class MMVAE(Bare):
    """The importance-weighted bound of several latents of each expert."""

    def _loss(self, features: list[Tensor]) -> Tensor:
        mean, log_var = self.experts(features)
        spread = (0.5 * log_var).exp()
        noise = torch.randn(len(INPUTS), SAMPLES, *mean.shape[1:])
        latents = mean.unsqueeze(1) + spread.unsqueeze(1) * noise
        prior = -0.5 * (latents.square() + math.log(2 * math.pi)).sum(-1)
        scaled = (latents.unsqueeze(2) - mean) / spread
        each = -0.5 * (scaled.square() + log_var + math.log(2 * math.pi)).sum(-1)
        weights = prior - (each.logsumexp(2) - math.log(2)) - self.nats(0, latents) - self.nats(1, latents)
        return -(weights.logsumexp(1) - math.log(SAMPLES)).mean()


class JMVAE(Bare):
    """The negative ELBO of a joint encoder over the features, and how far it is from the experts."""

    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(2 * HIDDEN, CODE_HIDDEN), nn.ReLU(), nn.Linear(CODE_HIDDEN, 2 * LATENT)
        self.joint = nn.Sequential(*layers)

    def _loss(self, features: list[Tensor]) -> Tensor:
        mean, log_var = self.joint(torch.cat(features, dim=-1)).chunk(2, dim=-1)
        latent = sampled(mean, log_var)
        apart = kl_between(mean, log_var, *self.experts(features)).sum(0)
        return (self.nats(0, latent) + self.nats(1, latent) + kl(mean, log_var) + JMVAE_ALPHA * apart).mean()


class MVTCAE(Bare):
    """The weighted sum of both reconstructions and of how far the product is from the prior and from the experts."""

    def _loss(self, features: list[Tensor]) -> Tensor:
        means, log_vars = self.experts(features)
        own = (-log_vars).exp()
        precision = own.sum(0)
        mean, log_var = (own * means).sum(0) / precision, -precision.log()
        latent = sampled(mean, log_var)
        share = MVTCAE_ALPHA / len(INPUTS)
        apart = share * kl_between(mean, log_var, means, log_vars).sum(0) + (1 - MVTCAE_ALPHA) * kl(mean, log_var)
        return ((1 - share) * (self.nats(0, latent) + self.nats(1, latent)) + apart).mean()


class CVAE(Bare):
    """The negative ELBO of the left input under the condition of the right one, with a learnt prior."""

    def __init__(self) -> None:
        super().__init__(expert=0, latent=LATENT + CONDITION, decoded=1)
        layers = nn.Linear(HIDDEN, CODE_HIDDEN), nn.ReLU(), nn.Linear(CODE_HIDDEN, CONDITION)
        self.code = nn.Sequential(*layers)
        self.prior = nn.Linear(CONDITION, 2 * LATENT)
        self.recognition = nn.Linear(HIDDEN + CONDITION, 2 * LATENT)

    def _loss(self, features: list[Tensor]) -> Tensor:
        code = self.code(features[1])
        prior = self.prior(code).chunk(2, dim=-1)
        mean, log_var = self.recognition(torch.cat([features[0], code], dim=-1)).chunk(2, dim=-1)
        latent = torch.cat([sampled(mean, log_var), code], dim=-1)
        return (self.nats(0, latent) + kl_between(mean, log_var, *prior)).mean()


class DMVAE(Bare):
    """The negative ELBO of both inputs with a shared latent of both and of each alone, and a private one each."""

    def __init__(self) -> None:
        super().__init__(expert=LATENT + PRIVATE, latent=LATENT + PRIVATE)

    def _loss(self, features: list[Tensor]) -> Tensor:
        (mean, own_mean), (log_var, own_log_var) = (
            part.split([LATENT, PRIVATE], dim=-1) for part in self.experts(features)
        )
        means, log_vars = joint_and_single(mean, log_var)
        latents = sampled(means, log_vars)
        times = len(means)
        total = kl(means, log_vars).sum(0) + times * kl(own_mean, own_log_var).sum(0)
        for place in range(2):
            private = sampled(*(part[place].expand(times, -1, -1) for part in (own_mean, own_log_var)))
            total = total + self.nats(place, torch.cat([latents, private], dim=-1)).sum(0)
        return total.mean()


def joint_and_single(mean: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor]:
    """Return the product of all experts and of each alone, with the prior as one more."""
    own = (-log_var).exp()
    precision = 1 + torch.cat([own.sum(0, keepdim=True), own])
    means = torch.cat([(own * mean).sum(0, keepdim=True), own * mean]) / precision
    return means, -precision.log()


def sampled(mean: Tensor, log_var: Tensor) -> Tensor:
    """Return a latent of each Gaussian."""
    return mean + (0.5 * log_var).exp() * torch.randn_like(mean)


def kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """Return how far Gaussians are from N(0, I)."""
    return 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(-1)


def kl_between(mean: Tensor, log_var: Tensor, others: Tensor, log_var_of_others: Tensor) -> Tensor:
    """Return how far Gaussians are from others."""
    scaled = (mean - others) * (-0.5 * log_var_of_others).exp()
    return kl(scaled, log_var - log_var_of_others)


MODELS: dict[str, type[Bare]] = {
    "fusion": Fusion,
    "mvae": MVAE,
    "mopoe": MoPoE,
    "mmvae": MMVAE,
    "jmvae": JMVAE,
    "mvtcae": MVTCAE,
    "cvae": CVAE,
    "dmvae": DMVAE,
}
