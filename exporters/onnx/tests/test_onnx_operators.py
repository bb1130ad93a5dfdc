"""Operators that torch.onnx does not know by itself: recurrent networks, and those that plugins define."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo_onnx import exporter as under_test
from zoo_onnx.exporter import OnnxExporter

from zoo import Axis, Graph, TensorSpec, ZooError


@torch.library.custom_op("zoo_onnx_tests::halved", mutates_args=())
def halved(values: Tensor) -> Tensor:
    return values / 2


@halved.register_fake
def _(values: Tensor) -> Tensor:
    return torch.empty_like(values)


def in_onnx(values):
    from onnxscript import opset18 as op

    return op.Mul(values, op.CastLike(0.5, values))


class Halved(nn.Module):
    def forward(self, tensors):
        return {"toy.values": torch.ops.zoo_onnx_tests.halved(tensors["x.values"])}


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.gru = nn.GRU(3, 3, batch_first=True)
        self.lstm = nn.LSTM(3, 3, batch_first=True)

    def forward(self, tensors):
        return {"toy.values": self.gru(tensors["x.values"])[0] + self.lstm(tensors["x.values"])[0]}


def a_graph(module):
    def draw(batch, sizes, generator):
        return {"x.values": generator.standard_normal((batch, sizes["x.length"], 3), dtype=np.float32)}

    spec = TensorSpec("float32", ("batch", "x.length", 3))
    return Graph("toy", module.eval(), {"x.values": spec}, {"toy.values": spec}, {"x.length": Axis(1, 9)}, draw)


def check(module, folder):
    """Export, and compare with torch at a size that the export never saw."""
    graph = a_graph(module)
    OnnxExporter().write(graph, folder / "graph.onnx")
    arrays = graph.draw(3, {"x.length": 7}, np.random.default_rng(1))
    found = OnnxExporter().open(graph, folder / "graph.onnx")(arrays)["toy.values"]
    with torch.no_grad():
        expected = module({"x.values": torch.from_numpy(arrays["x.values"])})["toy.values"]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)


def test_recurrent_networks_export_a_second_time(tmp_path):
    OnnxExporter().write(a_graph(Recurrent()), tmp_path / "first.onnx")
    check(Recurrent(), tmp_path)


def test_an_operator_is_written_by_the_translation_of_its_plugin(monkeypatch, tmp_path):
    monkeypatch.setattr(under_test, "translations", lambda name: {f"zoo_{name}_tests::halved": lambda: in_onnx})
    check(Halved(), tmp_path)


def test_a_translation_of_an_operator_that_nobody_defined_is_not_loaded(monkeypatch, tmp_path):
    def met():
        raise AssertionError("loaded")

    known = {"zoo_onnx_tests::halved": lambda: in_onnx, "zoo_onnx_tests::absent": met, "zoo_of_nobody::absent": met}
    monkeypatch.setattr(under_test, "translations", lambda name: known)
    check(Halved(), tmp_path)


def test_an_operator_without_a_translation_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(under_test, "translations", lambda name: {})
    with pytest.raises(ZooError, match=r"'toy' cannot be exported to ONNX: .*zoo_onnx_tests\.halved"):
        OnnxExporter().write(a_graph(Halved()), tmp_path / "graph.onnx")
