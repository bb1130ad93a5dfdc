"""Autoencoders for modalzoo: what this plugin registers.

The names that other plugins may use are below, under ``TYPE_CHECKING``, and are loaded on first use.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo import hookimpl, on_first_use

if TYPE_CHECKING:
    from zoo_autoencoding.divergences import gaussian_kl as gaussian_kl
    from zoo_autoencoding.errors_of_modes import answer_error as answer_error
    from zoo_autoencoding.posteriors import GaussianPosterior as GaussianPosterior
else:
    __getattr__ = on_first_use(__name__)

ZOO_API = 1


@hookimpl
def zoo_objectives() -> Mapping[str, str]:
    """Register the objectives."""
    return {
        "autoencoder": "zoo_autoencoding.presets:Autoencoder",
        "denoising": "zoo_autoencoding.presets:DenoisingAutoencoder",
        "vae": "zoo_autoencoding.presets:VAE",
    }
