"""The placement of nodes: only computations on sizes may stay on the CPU."""

import numpy as np
import pytest
import torch
from torch import nn
from zoo_onnx.exporter import OnnxExporter

from zoo import Axis, Graph, TensorSpec, ZooError
from zoo.runtime.placement import Node, placed, placement, shape_arithmetic

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class Repeats(nn.Module):
    """Reshapes by sizes that only a run knows, and multiplies."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 4)

    def forward(self, tensors):
        rows, length, _ = tensors["a.values"].shape
        return {"made.values": self.linear(tensors["a.values"].reshape(rows * length, 4)).reshape(rows, length * 4)}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The path of a graph with shape arithmetic."""
    graph = Graph(
        "made",
        Repeats().eval(),
        {"a.values": TensorSpec("float32", ("batch", "a.length", 4))},
        {"made.values": TensorSpec("float32", ("batch", "a.length"))},
        {"a.length": Axis(1, 9)},
        lambda batch, sizes, generator: {
            "a.values": generator.standard_normal((batch, sizes["a.length"], 4), dtype=np.float32)
        },
    )
    path = tmp_path_factory.mktemp("placed") / "made.onnx"
    OnnxExporter().write(graph, path)
    return path


def nodes_of(path, place):
    import onnx

    model = onnx.load(path)
    shapes = set(shape_arithmetic(model))
    return model, [Node(node.name, node.op_type, place(node, node.name in shapes)) for node in model.graph.node]


def test_every_node_runs_on_the_provider_that_was_asked_for(path):
    found = placement(path)
    assert found.counts[CPU] == len(found.nodes) > 3
    assert not found.strays


def test_shape_arithmetic_may_stay_on_the_cpu(path):
    model, nodes = nodes_of(path, lambda node, shapes: CPU if shapes else CUDA)
    found = placed(model, "made", CUDA, nodes)
    assert found.counts[CPU] > 1
    found.require()


def test_a_product_that_leaves_the_device_is_named(path):
    model, nodes = nodes_of(path, lambda node, shapes: CPU if shapes or node.op_type in ("Gemm", "MatMul") else CUDA)
    with pytest.raises(ZooError, match=r"made: 1 (Gemm|MatMul) run on CPUExecutionProvider and not on CUDAExecution"):
        placed(model, "made", CUDA, nodes).require()


def test_a_node_that_the_file_does_not_name_counts_as_work(path):
    model, nodes = nodes_of(path, lambda node, shapes: CUDA)
    assert placed(model, "made", CUDA, [*nodes, Node("joined", "FusedGemm", CPU)]).strays[0].operator == "FusedGemm"
