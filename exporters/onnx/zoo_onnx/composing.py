"""Joins the stages of a graph, each translated separately, into one model by the names of their values.

A *stage* is one of several graphs that run one after the other inside another graph. In the joined model, an
intermediate value of a stage has the stage's place before its own name, and a weight has its name in the module of the
whole graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx.compose import add_prefix_graph

from zoo import Graph, Stage

MODULE = "module"  # the module's name in the traced wrapper


def stages_of(graph: Graph) -> tuple[Stage, ...]:
    """Return the stages of a graph; if it has none, the graph itself."""
    return graph.stages or (Stage(graph, ""),)


def value_name(stage: Stage, name: str) -> str:
    """Return the name of a stage's value in the joined model."""
    if name in stage.graph.inputs or name in stage.graph.outputs:
        return stage.names.get(name, name)
    return _path(stage.place, name)


def weight_name(stage: Stage, name: str) -> str:
    """Return the name of a stage's weight in the joined model, such as ``module.layers.0.bias``."""
    return _path(MODULE, stage.place, name.removeprefix(f"{MODULE}."))


def _path(*parts: str) -> str:
    """Return parts joined by dots; a stage that is the whole graph has no place."""
    return ".".join(filter(None, parts))


def composed(graph: Graph, models: Sequence[onnx.ModelProto]) -> onnx.ModelProto:
    """Return the model of a graph, given those of its stages."""
    tied = _tied(graph)
    whole = onnx.ModelProto()
    whole.CopyFrom(models[0])
    whole.graph.Clear()
    whole.graph.name = models[0].graph.name
    inputs: dict[str, onnx.ValueInfoProto] = {}
    outputs: dict[str, onnx.ValueInfoProto] = {}
    weights: dict[str, onnx.TensorProto] = {}
    opsets = {opset.domain: opset for model in models for opset in model.opset_import}
    del whole.opset_import[:]
    whole.opset_import.extend(opsets.values())
    for stage, model in zip(graph.stages, models, strict=True):
        part = _renamed(stage, model.graph, tied)
        whole.graph.node.extend(part.node)
        inputs |= {value.name: value for value in part.input}
        outputs |= {value.name: value for value in part.output}
        weights |= {tensor.name: tensor for tensor in part.initializer}
    whole.graph.initializer.extend(weights.values())
    whole.graph.input.extend(inputs[name] for name in graph.inputs)
    whole.graph.output.extend(outputs[name] for name in graph.outputs)
    return whole


def _renamed(stage: Stage, part: onnx.GraphProto, tied: dict[str, str]) -> onnx.GraphProto:
    names = {value.name: value_name(stage, value.name) for value in (*part.input, *part.output)}
    for tensor in part.initializer:
        if tensor.name.startswith(f"{MODULE}."):
            own = weight_name(stage, tensor.name)
            names[tensor.name] = tied.get(own, own)
        else:
            names[tensor.name] = value_name(stage, tensor.name)
    return add_prefix_graph(
        part,
        f"{stage.place}.",
        rename_inputs=False,
        rename_outputs=False,
        rename_initializers=False,
        rename_value_infos=False,  # some have the names of weights
        name_map=names,
    )


def _tied(graph: Graph) -> dict[str, str]:
    """Return, for each weight that stages share, its common name."""
    first: dict[int, str] = {}
    return {
        f"{MODULE}.{name}": f"{MODULE}.{first.setdefault(id(tensor), name)}"
        for name, tensor in graph.module.state_dict(keep_vars=True).items()
    }
