"""Images for modalzoo: what this plugin registers.

The names that other plugins may use are below, under ``TYPE_CHECKING``, and are loaded on first use.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo import hookimpl, on_first_use

if TYPE_CHECKING:
    from zoo_image.decoders import MLPDecoder as MLPDecoder
    from zoo_image.encoders import MLPEncoder as MLPEncoder
    from zoo_image.modality import ImageModality as ImageModality
    from zoo_image.pixels import PixelReader as PixelReader
else:
    __getattr__ = on_first_use(__name__)

ZOO_API = 1


@hookimpl
def zoo_modalities() -> Mapping[str, str]:
    """Register the modality."""
    return {"image": "zoo_image.modality:ImageModality"}


@hookimpl
def zoo_encoders() -> Mapping[str, str]:
    """Register the encoders of images."""
    return {
        "image/convolutional": "zoo_image.encoders:ConvolutionalEncoder",
        "image/mlp": "zoo_image.encoders:MLPEncoder",
        "image/residual": "zoo_image.residual:ResidualEncoder",
        "image/vit": "zoo_image.vision_transformer:VisionTransformer",
    }


@hookimpl
def zoo_decoders() -> Mapping[str, str]:
    """Register the decoders of images."""
    return {
        "image/convolutional": "zoo_image.decoders:ConvolutionalDecoder",
        "image/mlp": "zoo_image.decoders:MLPDecoder",
    }
