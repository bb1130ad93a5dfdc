"""The autoencoders of the literature, each a choice of posterior, divergence and corruption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from annotated_types import Ge, Gt, Interval

from zoo import Input, Modality
from zoo_autoencoding.corruption import Corruption, CorruptionName
from zoo_autoencoding.divergences import GaussianKL
from zoo_autoencoding.latent_model import LatentModel
from zoo_autoencoding.posteriors import GaussianPosterior, PointPosterior


class Autoencoder(LatentModel):
    """Encodes an input into one latent point, and decodes the input from it."""

    def __init__(self, inputs: Mapping[str, Input], latent_dim: int) -> None:
        super().__init__(inputs, latent_dim, posterior=PointPosterior, divergence=None)


class DenoisingAutoencoder(LatentModel):
    """An autoencoder that reads a damaged input in training, and reconstructs the clean one.

    ``corruption`` names the kind of damage; see ``Corruption``. It changes a fraction ``share`` of the places (0.3 by
    default); ``gaussian`` changes all of them, with a ``scale`` (0.1 by default). Deployed graphs do not damage their
    inputs.

    Source: Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders".
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        corruption: CorruptionName = "masking",
        share: Annotated[float, Interval(gt=0, lt=1)] | None = None,
        scale: Annotated[float, Gt(0)] | None = None,
    ) -> None:
        def corruption_of(modality: Modality) -> Corruption:
            return Corruption(modality, corruption, share=share, scale=scale)

        super().__init__(inputs, latent_dim, posterior=PointPosterior, divergence=None, corruption=corruption_of)


class VAE(LatentModel):
    """The variational autoencoder, or a beta-VAE if ``beta`` is not 1.

    The loss of a row x is, in nats,

        -E_q log p(x | z) + beta KL(q(z | x) ‖ N(0, I))

    The metric ``nll`` is estimated from ``importance_samples`` latents per held-out row. Each costs one decoding; 0
    leaves the metric out.

    Source: Kingma & Welling 2014, arXiv 1312.6114; Higgins et al. 2017, "beta-VAE".
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        latent_dim: int,
        *,
        beta: Annotated[float, Ge(0)] = 1.0,
        importance_samples: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(
            inputs,
            latent_dim,
            posterior=GaussianPosterior,
            divergence=GaussianKL(beta),
            importance_samples=importance_samples,
        )
