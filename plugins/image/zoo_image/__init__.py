"""Images for modalzoo: what this plugin registers."""

from collections.abc import Mapping

from zoo import hookimpl

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
