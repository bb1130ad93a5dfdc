"""ONNX files for modalzoo: what this plugin registers.

The names that other plugins may use are below, under ``TYPE_CHECKING``, and are loaded on first use.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo import hookimpl, on_first_use

if TYPE_CHECKING:
    from zoo_onnx.exporter import OnnxExporter as OnnxExporter
else:
    __getattr__ = on_first_use(__name__)

ZOO_API = 1


@hookimpl
def zoo_exporters() -> Mapping[str, str]:
    """Register the exporter."""
    return {"onnx": "zoo_onnx.exporter:OnnxExporter"}
