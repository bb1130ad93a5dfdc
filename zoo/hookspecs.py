"""Every hook: the whole extension surface on one screen.

A hook returns names and import strings (``"package.module:Class"``), never classes. So listing imports nothing heavy,
and a broken module affects only those who use it. Import strings stay inside the entry point's own top-level package.
"""

from collections.abc import Mapping, Sequence

import pluggy

_hookspec = pluggy.HookspecMarker("modalzoo")
hookimpl = pluggy.HookimplMarker("modalzoo")

__version__ = "0.2.0"
API_VERSION = 1
ENTRY_POINT_GROUP = "modalzoo"


@_hookspec
def zoo_modalities() -> Mapping[str, str]:
    """Return modalities by name: ``{"image": "zoo_image.modality:ImageModality"}``."""


@_hookspec
def zoo_encoders() -> Mapping[str, str]:
    """Return encoders by modality and name: ``{"image/convolutional": "zoo_image.encoders:ConvolutionalEncoder"}``."""


@_hookspec
def zoo_decoders() -> Mapping[str, str]:
    """Return decoders by modality and name: ``{"image/convolutional": "zoo_image.decoders:ConvolutionalDecoder"}``."""


@_hookspec
def zoo_fronts() -> Mapping[str, str]:
    """Return fronts, which read raw values inside a graph, by modality: ``{"text": "zoo_text.front:TextFront"}``."""


@_hookspec
def zoo_objectives() -> Mapping[str, str]:
    """Return objectives by name: ``{"infonce": "zoo_crossmodal.infonce:InfoNCE"}``."""


@_hookspec
def zoo_datasets() -> Mapping[str, str]:
    """Return data sets by name: ``{"openmoji": "zoo_datasets.openmoji:OpenMoji"}``."""


@_hookspec
def zoo_exporters() -> Mapping[str, str]:
    """Return exporters by name: ``{"onnx": "zoo_onnx.exporter:OnnxExporter"}``."""


@_hookspec
def zoo_translations() -> Mapping[str, str]:
    """Return how exporters write your operators: ``{"onnx/zoo_text::packed_lstm": "zoo_text.packed_lstm:in_onnx"}``."""


@_hookspec
def zoo_layouts() -> Mapping[str, str]:
    """Return layouts by name: ``{"web": "zoo_web.layout:WebLayout"}``."""


@_hookspec
def zoo_importers() -> Mapping[str, str]:
    """Return readers of pretrained models by name: ``{"transformers": "zoo_transformers.importer:FolderImporter"}``."""


@_hookspec
def zoo_registries() -> Sequence[str]:
    """Return registry files inside the plugin's own package: ``["zoo_birds/registry.toml"]``."""
