"""Pretrained models of transformers for modalzoo: what this plugin registers."""

from collections.abc import Mapping

from zoo import hookimpl

ZOO_API = 1


@hookimpl
def zoo_encoders() -> Mapping[str, str]:
    """Register the encoders."""
    return {
        "audio/pretrained": "zoo_transformers.audio:PretrainedAudio",
        "image/pretrained": "zoo_transformers.image:PretrainedImage",
        "text/pretrained": "zoo_transformers.text:PretrainedText",
    }


@hookimpl
def zoo_objectives() -> Mapping[str, str]:
    """Register the objective of a model that was trained elsewhere."""
    return {"features": "zoo_transformers.features:Features"}


@hookimpl
def zoo_datasets() -> Mapping[str, str]:
    """Register the data set of a recipe that has none yet."""
    return {"unstated": "zoo_transformers.unstated:Unstated"}


@hookimpl
def zoo_importers() -> Mapping[str, str]:
    """Register the reader of folders."""
    return {"transformers": "zoo_transformers.importer:FolderImporter"}
