"""Sounds for modalzoo: what this plugin registers.

The names that other plugins may use are below, under ``TYPE_CHECKING``, and are loaded on first use.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo import hookimpl, on_first_use

if TYPE_CHECKING:
    from zoo_audio.modality import AudioModality as AudioModality
else:
    __getattr__ = on_first_use(__name__)

ZOO_API = 1


@hookimpl
def zoo_modalities() -> Mapping[str, str]:
    """Register the modality."""
    return {"audio": "zoo_audio.modality:AudioModality"}


@hookimpl
def zoo_encoders() -> Mapping[str, str]:
    """Register the encoders of sounds."""
    return {
        "audio/convolutional": "zoo_audio.encoders:ConvolutionalEncoder",
        "audio/mel-convolutional": "zoo_audio.encoders:MelConvolutionalEncoder",
        "audio/transformer": "zoo_audio.transformer:TransformerEncoder",
    }


@hookimpl
def zoo_decoders() -> Mapping[str, str]:
    """Register the decoder of sounds."""
    return {"audio/mel": "zoo_audio.decoder:MelDecoder"}
