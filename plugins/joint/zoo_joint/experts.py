"""Experts: the Gaussian posterior of the latent that each input gives alone, and products of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from zoo_autoencoding import GaussianPosterior

from zoo import every_subset
from zoo_joint.mixtures import Gaussians


class GaussianExperts(nn.Module):
    """One Gaussian head per input, from its features to its expert."""

    def __init__(self, feature_dims: Mapping[str, int], latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.heads = nn.ModuleDict({name: GaussianPosterior(size, latent_dim) for name, size in feature_dims.items()})

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[Gaussians, Bool[Tensor, "input batch"]]:
        """Return the experts and which of them are present; an absent one is N(0, I).

        ``features`` may lack an input, which is then absent in every row.
        """
        some = next(iter(features.values()))
        nobody = torch.zeros_like(some[:, 0], dtype=torch.bool)
        there = torch.stack([present[name] if name in features else nobody for name in self.heads])
        rows = [
            self._expert(head, features[name], there[place]) if name in features else self._absent(some)
            for place, (name, head) in enumerate(self.heads.items())
        ]
        mean, log_var = (torch.stack(parts) for parts in zip(*rows, strict=True))
        return Gaussians(mean, log_var), there

    def alone(self, name: str, features: Tensor) -> Gaussians:
        """Return the expert of an input that every row has."""
        found = self.heads[name](features)
        return Gaussians(found["mean"], found["log_var"])

    def _expert(self, head: nn.Module, features: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        found = head(features)
        zeros = torch.zeros_like(found["mean"])
        return tuple(torch.where(there.unsqueeze(-1), found[key], zeros) for key in ("mean", "log_var"))  # type: ignore[return-value]

    def _absent(self, features: Tensor) -> tuple[Tensor, Tensor]:
        zeros = features.new_zeros(features.shape[0], self.latent_dim)  # len() would fix the batch in an export
        return zeros, zeros


def with_prior(expert: Gaussians) -> Gaussians:
    """Return the product of one Gaussian and N(0, I)."""
    log_precision = -expert.log_var
    largest = log_precision.clamp(min=0).detach()
    own = (log_precision - largest).exp()
    total = own + (-largest).exp()
    return Gaussians(own * expert.mean / total, -(largest + total.log()))


def subsets_of(count: int) -> Bool[Tensor, "subset input"]:
    """Return every non-empty subset of the inputs: single inputs first, all of them last."""
    places = [str(place) for place in range(count)]
    return torch.tensor([[place in some for place in places] for some in every_subset(places)])


def all_and_single(count: int) -> Bool[Tensor, "subset input"]:
    """Return the subset of all inputs, then the subset of each input alone."""
    return torch.cat([torch.ones(1, count, dtype=torch.bool), torch.eye(count, dtype=torch.bool)])


def products(
    experts: Gaussians,
    there: Bool[Tensor, "input batch"],
    subsets: Bool[Tensor, "subset input"],
    *,
    prior_expert: bool,
) -> Gaussians:
    """Return the product of the present experts of each subset, with N(0, I) as one more factor if ``prior_expert``.

    With precisions t_i = exp(-log_var_i) of the factors, the product is the Gaussian of

        variance = 1 / Σ t_i,    mean = Σ t_i mean_i / Σ t_i

    A subset without any present input gives N(0, I). Precisions are computed relative to the largest of a subset, so
    that log-variances of any size neither overflow nor underflow.

    Source: Wu & Goodman 2018, section 2, arXiv 1802.05335.
    """
    log_precision = torch.where(there.unsqueeze(-1), -experts.log_var, -torch.inf)
    of_subset = torch.where(subsets.unsqueeze(-1).unsqueeze(-1), log_precision, -torch.inf)
    most = of_subset.detach().amax(dim=1)
    nobody = most == -torch.inf
    largest = most.clamp(min=0) if prior_expert else torch.where(nobody, 0.0, most)
    shares = of_subset.sub_(largest.unsqueeze(1)).exp_()  # in place: it is the largest tensor of a step
    # The prior has the precision 1, and so has a subset without experts.
    others = (-largest).exp() if prior_expert else nobody.to(shares.dtype)
    total = shares.sum(dim=1) + others
    return Gaussians((shares * experts.mean).sum(dim=1) / total, -(largest + total.log()))
