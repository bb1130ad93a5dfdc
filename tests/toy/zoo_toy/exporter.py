"""ONNX written by hand: toy graphs are chains of linear maps, perhaps after a masked sum."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import nn

from zoo import Graph, RunsArrays, open_session

_TYPES = {"float32": TensorProto.FLOAT, "bool": TensorProto.BOOL}


class ToyExporter:
    """Right to the last bit."""

    suffix = ".onnx"
    gain = 1.0

    def write(self, graph: Graph, path: Path) -> None:
        """Write ``graph`` to ``path``."""
        nodes, constants = [], {}
        value, *mask = graph.inputs
        if mask:
            constants = {"zero": np.zeros((), np.float32), "one": np.array([1]), "two": np.array([2])}
            nodes += [
                helper.make_node("Unsqueeze", [mask[0], "two"], ["wide"]),
                helper.make_node("Where", ["wide", value, "zero"], ["kept"]),
                helper.make_node("ReduceSum", ["kept", "one"], ["total"], keepdims=0),
            ]
            value = "total"
        layers = [module for module in graph.module.modules() if isinstance(module, nn.Linear)]
        for number, layer in enumerate(layers):
            constants[f"weight{number}"] = layer.weight.detach().numpy() * np.float32(self.gain)
            constants[f"bias{number}"] = layer.bias.detach().numpy()
            made = next(iter(graph.outputs)) if layer is layers[-1] else f"value{number}"
            nodes.append(helper.make_node("Gemm", [value, f"weight{number}", f"bias{number}"], [made], transB=1))
            value = made
        path.write_bytes(_model(graph, nodes, constants))

    def open(self, graph: Graph, path: Path) -> RunsArrays:
        """Load the file that ``write`` left."""
        return open_session(path, graph.name, graph.inputs, graph.axes, tuple(graph.outputs))

    def versions(self) -> Mapping[str, str]:
        """Return the version of this plugin."""
        return {"modalzoo-toy": "1.0"}


class WrongExporter(ToyExporter):
    """Wrong by a thousandth in every layer."""

    gain = 1.001


def _model(graph: Graph, nodes: list[NodeProto], constants: Mapping[str, np.ndarray]) -> bytes:
    inputs, outputs = (
        [helper.make_tensor_value_info(name, _TYPES[spec.dtype], spec.axes) for name, spec in specs.items()]
        for specs in (graph.inputs, graph.outputs)
    )
    initialisers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    made = helper.make_graph(nodes, graph.name, inputs, outputs, initialisers)
    model = helper.make_model(made, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])
    content: bytes = model.SerializeToString(deterministic=True)
    return content
