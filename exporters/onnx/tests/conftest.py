"""Makes the package ``planted`` importable, which tests of faults share, and writes the graph of a test's module."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="module")
def exporter():
    """The exporter."""
    from zoo_onnx.exporter import OnnxExporter

    return OnnxExporter()


@pytest.fixture(scope="module")
def written(graph, exporter, tmp_path_factory):
    """The path of the file of ``graph``, which a module of tests gives."""
    path = tmp_path_factory.mktemp("written") / "graph.onnx"
    exporter.write(graph, path)
    return path
