"""Joint posteriors: Gaussians of every row, and mixtures of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from zoo_autoencoding import gaussian_kl

_LARGEST_EXPONENT = 80.0  # of e, in float32 with room to spare


@dataclass(frozen=True)
class Gaussians:
    """Gaussians of every row: of each input, or of each subset of inputs.

    Log-variances that come from a ``GaussianPosterior`` lie between -60 and 60. For these, all results are finite in
    float32 as long as means are below a million.
    """

    mean: Float[Tensor, "*expert batch latent"]
    log_var: Float[Tensor, "*expert batch latent"]

    def sample(self, noise: Float[Tensor, "*expert batch latent"]) -> Float[Tensor, "*expert batch latent"]:
        """Return mean + standard deviation * noise."""
        return self.mean + (0.5 * self.log_var).exp() * noise.to(self.mean)

    def kl(self) -> Float[Tensor, "*expert batch"]:
        """Return KL(N(mean, var) ‖ N(0, I)) in nats."""
        return gaussian_kl(self.mean, self.log_var)

    def kl_to(self, others: Gaussians) -> Float[Tensor, "*expert batch"]:
        """Return KL(self ‖ other) in nats, Gaussian by Gaussian; a single one on either side is compared with all."""
        # KL does not change if both are measured from the others' mean, in units of the others' standard deviation.
        scaled = (self.mean - others.mean) * (-0.5 * others.log_var).exp()
        return gaussian_kl(scaled, self.log_var - others.log_var)

    def log_prob(self, latents: Float[Tensor, "*samples batch latent"]) -> Float[Tensor, "*samples_expert batch"]:
        """Return the log-density of each latent under each Gaussian of its row."""
        scaled = (latents.unsqueeze(-3) - self.mean) * (-0.5 * self.log_var).exp()
        return (standard_normal(scaled) - 0.5 * self.log_var).sum(dim=-1)


@dataclass(frozen=True)
class Mixture:
    """Gaussians of every row, each with its weight in ``shares``; a row's weights add up to one, or are all zero."""

    components: Gaussians
    shares: Float[Tensor, "component batch"]

    @classmethod
    def of_one(cls, gaussian: Gaussians) -> Mixture:
        """Return a single Gaussian as a mixture."""
        return cls(gaussian, torch.ones_like(gaussian.mean[..., 0]))

    @classmethod
    def of_equals(cls, components: Gaussians, counted: Float[Tensor, "component batch"]) -> Mixture:
        """Return the mixture, with equal weights, of the components whose ``counted`` is one; others have zero."""
        return cls(components, counted / counted.sum(dim=0).clamp(min=1))

    def mean(self) -> Float[Tensor, "batch latent"]:
        """Return the mean; zero if no component has a weight."""
        return (self.shares.unsqueeze(-1) * self.components.mean).sum(dim=0)

    def log_variance(self) -> Float[Tensor, "batch latent"]:
        """Return the logarithm of the variance of each dimension; zero if no component has a weight.

        With weights w_k and the mixture's mean m, the variance is Σ_k w_k (var_k + (mean_k - m)²). Deviations are
        computed relative to the largest of a row, so that their squares neither overflow nor underflow.
        """
        counts = (self.shares > 0).unsqueeze(-1)
        log_var = torch.where(counts, self.components.log_var, -torch.inf)
        apart = torch.where(counts, self.components.mean - self.mean(), 0.0)
        largest = torch.maximum(0.5 * log_var.amax(dim=0), apart.abs().amax(dim=0).log()).detach()
        nobody = ~counts.any(dim=0)
        largest = torch.where(nobody, 0.0, largest)
        inverse = (-largest).clamp(max=_LARGEST_EXPONENT).exp()  # a deviation below e⁻⁸⁰ is next to no deviation
        variance = (log_var - 2 * largest).exp() + (apart * inverse).square()
        total = (self.shares.unsqueeze(-1) * variance).sum(dim=0) + nobody.to(variance.dtype)
        return 2 * largest + total.log()

    def log_prob(self, latents: Float[Tensor, "*samples batch latent"]) -> Float[Tensor, "*samples batch"]:
        """Return the log-density of latents of each row; if all weights of a row are zero, each counts as one."""
        nobody = (self.shares == 0).all(dim=0)
        # A component of weight zero: its density, e^-inf, has no gradient either.
        log_shares = torch.where(self.shares > 0, self.shares.clamp(min=1e-9).log(), -math.inf)
        log_shares = torch.where(nobody, -math.log(len(self.shares)), log_shares)
        return (self.components.log_prob(latents) + log_shares).logsumexp(dim=-2)

    def choose(self, uniform: Float[Tensor, " batch"]) -> Gaussians:
        """Return one component of each row: the first at which the sum of the weights exceeds ``uniform``, 0 to 1."""
        reached = self.shares.cumsum(dim=0) > uniform.to(self.shares)
        # Rounding may leave the sum of all just short of one.
        last = len(self.shares) - 1 - (self.shares > 0).flip(0).to(torch.int8).argmax(dim=0)
        chosen = torch.where(reached.any(dim=0), reached.to(torch.int8).argmax(dim=0), last)
        index = chosen.reshape(1, -1, 1).expand(1, -1, self.components.mean.shape[-1])
        return Gaussians(self.components.mean.gather(0, index), self.components.log_var.gather(0, index))

    def draw(self, *, generator: torch.Generator) -> Float[Tensor, "batch latent"]:
        """Draw a latent of each row."""
        rows, size = self.components.mean.shape[1:]
        chosen = self.choose(torch.rand(rows, generator=generator))
        return chosen.sample(torch.randn(1, rows, size, generator=generator))[0]


def standard_normal(values: Tensor) -> Tensor:
    """Return the log-density of N(0, 1)."""
    return -0.5 * (values.square() + math.log(2 * math.pi))
