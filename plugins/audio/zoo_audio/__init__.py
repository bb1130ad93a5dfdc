"""Sounds for modalzoo: what this plugin registers."""

from collections.abc import Mapping

from zoo import hookimpl

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
