"""The literature's autoencoders, as choices of parts."""

from __future__ import annotations

from collections.abc import Mapping

from zoo import Input
from zoo_autoencoding.divergences import GaussianKL
from zoo_autoencoding.latent_model import LatentModel
from zoo_autoencoding.posteriors import GaussianPosterior, PointPosterior


class Autoencoder(LatentModel):
    """Squeezes an input through a latent point and rebuilds it."""

    def __init__(self, inputs: Mapping[str, Input], latent_dim: int) -> None:
        super().__init__(inputs, latent_dim, posterior=PointPosterior, divergence=None)


class VAE(LatentModel):
    """The variational autoencoder, a beta-VAE where ``beta`` is not 1.

    Source: Kingma & Welling 2014, arXiv 1312.6114; Higgins et al. 2017, "beta-VAE".
    """

    def __init__(self, inputs: Mapping[str, Input], latent_dim: int, *, beta: float = 1.0) -> None:
        super().__init__(inputs, latent_dim, posterior=GaussianPosterior, divergence=GaussianKL(beta))
