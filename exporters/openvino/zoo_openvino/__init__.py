"""Files of OpenVINO for modalzoo: what this plugin registers."""

from collections.abc import Mapping

from zoo import hookimpl

ZOO_API = 1


@hookimpl
def zoo_exporters() -> Mapping[str, str]:
    """Register the exporter."""
    return {"openvino": "zoo_openvino.exporter:OpenvinoExporter"}
