"""The literature's autoencoders, as choices of parts."""

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
    """Squeezes an input through a latent point and rebuilds it."""

    def __init__(self, inputs: Mapping[str, Input], latent_dim: int) -> None:
        super().__init__(inputs, latent_dim, posterior=PointPosterior, divergence=None)


class DenoisingAutoencoder(LatentModel):
    """An autoencoder that sees a damaged input in training, and rebuilds the clean one.

    ``corruption`` says how, see ``Corruption``: at a ``share`` of the places (0.3 where it is not given), or, for
    ``gaussian``, everywhere with a ``scale`` (0.1). What is deployed takes inputs as they come.

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
    """The variational autoencoder, a beta-VAE where ``beta`` is not 1.

    ``importance_samples`` latents a held-out row estimate the metric ``nll``. Each costs a decoding; 0 leaves it out.

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
