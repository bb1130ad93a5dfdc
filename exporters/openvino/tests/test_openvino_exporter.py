import pytest
from zoo_openvino.exporter import OpenvinoExporter

from zoo.testing import ExporterContract


class TestOpenvinoExporter(ExporterContract):
    @pytest.fixture
    def exporter(self) -> OpenvinoExporter:
        return OpenvinoExporter()
