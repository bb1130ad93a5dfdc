import pytest
from zoo_onnx.exporter import OnnxExporter

from zoo.testing import ExporterContract


class TestOnnxExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> OnnxExporter:
        return OnnxExporter()
