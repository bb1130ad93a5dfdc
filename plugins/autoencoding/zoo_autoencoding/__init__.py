"""Autoencoders for modalzoo: what this plugin registers."""

from collections.abc import Mapping

from zoo import hookimpl

ZOO_API = 1


@hookimpl
def zoo_objectives() -> Mapping[str, str]:
    """Register the objectives."""
    return {
        "autoencoder": "zoo_autoencoding.presets:Autoencoder",
        "denoising": "zoo_autoencoding.presets:DenoisingAutoencoder",
        "vae": "zoo_autoencoding.presets:VAE",
    }
