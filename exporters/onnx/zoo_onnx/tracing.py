"""Runs a trace of torch.export and records each value, in float64 and in float32."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils import _pytree as tree

from zoo import Graph, Stage
from zoo_onnx.branches import shown_line
from zoo_onnx.composing import stages_of, value_name, weight_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_FRAME = re.compile(r'File "([^"]*)", line (\d+), in (\w+)')


@dataclass(frozen=True)
class Value:
    """A value of the trace: its name in the file, its origin, and its value in torch.

    ``line`` is the line of Python that makes it, "" if that is not known.
    """

    name: str
    origin: str
    line: str
    double: Array
    single: Array


def run_traces(
    traces: Sequence[ExportedProgram], graph: Graph, inputs: Mapping[str, Array]
) -> tuple[list[Value], dict[str, Array]]:
    """Return the weights and values of the stages of a graph in the order in which they come to be.

    Beside them, the outputs of the graph in float64. Raises RuntimeError or IndexError if a trace does not run on
    such sizes.
    """
    found: list[Value] = []
    known: dict[torch.dtype, dict[str, Array]] = {dtype: dict(inputs) for dtype in (torch.float64, torch.float32)}
    for stage, program in zip(stages_of(graph), traces, strict=True):
        signature = program.graph_signature
        runs = []
        for dtype, arrays in known.items():
            runs.append(_run(program, [arrays[value_name(stage, name)] for name in stage.graph.inputs], dtype))
            for own, name in zip(signature.user_outputs, stage.graph.outputs, strict=True):
                (arrays[value_name(stage, name)],) = _parts(runs[-1][str(own)])
        found += _values(program, stage, *runs)
    return found, {name: known[torch.float64][name] for name in graph.outputs}


def _values(
    program: ExportedProgram, stage: Stage, double: Mapping[str, Any], single: Mapping[str, Any]
) -> Iterator[Value]:
    signature = program.graph_signature
    weights = {spec.arg.name: str(spec.target) for spec in signature.input_specs if spec.target}
    outputs = dict(zip(signature.user_outputs, stage.graph.outputs, strict=True))
    for node in program.graph.nodes:
        if node.op == "output" or node.name in signature.user_inputs:
            continue
        origin = _origin(node) if node.op != "placeholder" else "a weight"
        several = isinstance(double[node.name], (tuple, list))
        for place, (wide, narrow) in enumerate(zip(_parts(double[node.name]), _parts(single[node.name]), strict=True)):
            if node.name in weights:
                name = weight_name(stage, weights[node.name])
            else:
                name = value_name(stage, f"{node.name}__{place}" if several else outputs.get(node.name, node.name))
            yield Value(name, origin, _line(node), wide, narrow)


def _run(program: ExportedProgram, inputs: Iterable[Array], dtype: torch.dtype) -> dict[str, Any]:
    """Return every value of a run of the trace by the name of its node, computed in ``dtype`` where it says float32."""
    given = iter([torch.from_numpy(np.ascontiguousarray(array)) for array in inputs])
    flat = []
    for spec in program.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            flat.append(next(given))
        else:
            stored = program.state_dict if spec.target in program.state_dict else program.constants
            flat.append(stored[str(spec.target)])
    recorder = _Recorder(program.graph_module, dtype)
    with torch.no_grad():
        recorder.run(*flat)
    return recorder.values


class _Recorder(fx.Interpreter):
    """Runs a trace, every number of float32 in it as ``dtype``, and keeps what each node returns."""

    def __init__(self, module: fx.GraphModule, dtype: torch.dtype) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.dtype = dtype
        self.values: dict[str, Any] = {}

    def run_node(self, node: fx.Node) -> Any:
        """Run one node and keep its result."""
        self.values[node.name] = result = tree.tree_map(self._as_dtype, super().run_node(node))
        return result

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function with ``dtype`` in place of each argument float32."""
        args, kwargs = tree.tree_map(lambda leaf: self.dtype if leaf is torch.float32 else leaf, (args, kwargs))
        return super().call_function(target, args, kwargs)

    def _as_dtype(self, value: Any) -> Any:
        return value.to(self.dtype) if isinstance(value, Tensor) and value.dtype is torch.float32 else value


def _parts(result: Any) -> Iterator[Array]:
    for part in result if isinstance(result, (tuple, list)) else [result]:
        yield part.detach().numpy() if isinstance(part, Tensor) else np.asarray(part)


def _origin(node: fx.Node) -> str:
    """Return the operation of a node, and the module that called it if that is known."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    place = stack[-1][0].removeprefix("module").lstrip(".") if stack else ""
    return f"{node.target}, in {place}" if place else str(node.target)


def _line(node: fx.Node) -> str:
    """Return the line of Python that a node was traced from, the innermost that torch kept."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    return shown_line(frames[-1][0], int(frames[-1][1]), frames[-1][2]) if frames else ""
