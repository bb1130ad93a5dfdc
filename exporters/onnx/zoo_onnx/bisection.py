"""Finds the first value of an ONNX file that differs from torch, and the operations that compute it.

The values of a file have the names of the nodes that torch.export traced. One run of the file with all values as
outputs is compared with one run of the trace in float64 and one in float32.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper
from torch.export import ExportedProgram

from zoo import Graph, TensorSpec, ZooError, open_session
from zoo_onnx.branches import frozen_at, frozen_branch
from zoo_onnx.tracing import Value, run_traces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo import Session

    Array = NDArray[Any]

_ULP = 2.0**-23
_AGREES = (
    "Each value of the file agrees with torch when it is looked at: the fault lies in operations that the runtime "
    "fuses, or in errors that add up"
)
_AS_TRANSLATED = (
    "Each value of the file agrees with the module that it was translated from: where the module computes what its "
    "reference does, the fault lies in operations that the runtime fuses"
)
_UNSTEADY = "it differs from run to run"
_STOPPED_AT = re.compile(r"Name:'([^'/]+)")


@dataclass(frozen=True)
class Departure:
    """The first difference between a file and torch: the value, the file's nodes that compute it, and their inputs.

    ``value`` is "" if each single value agrees.
    """

    value: str
    origin: str
    problem: str
    nodes: tuple[onnx.NodeProto, ...] = ()
    sources: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as a sentence."""
        if not self.value:
            return self.problem
        operations = " ← ".join(node.op_type for node in self.nodes)
        made = f", made by {operations} of {', '.join(map(repr, self.sources)) or 'nothing'}" if self.nodes else ""
        return f"The first value that differs from torch is {self.value!r} ({self.origin}){made}: {self.problem}"


def first_fault(traces: Sequence[ExportedProgram], graph: Graph, path: Path, inputs: Mapping[str, Array]) -> Departure:
    """Return the first difference between the file at ``path`` and torch on ``inputs``.

    ``traces`` are those of the graph's stages, from which files are written. If the traces compute something else than
    the module, the module has a branch on a size, and the result names this branch. If several values differ, the
    result names the one that makes an output differ; differences that later operations round away are ignored.
    """
    try:
        traced, outputs = run_traces(traces, graph, inputs)
    except (RuntimeError, IndexError):  # a size of the trace is fixed in it
        return Departure("", "", frozen_branch(graph, None, inputs))
    if frozen := frozen_branch(graph, outputs, inputs):
        return Departure("", "", frozen)
    model = onnx.load(path)
    values = {value.name: value for value in traced}
    makers = {output: node for node in model.graph.node for output in node.output}
    for name in graph.outputs:
        if name not in makers:
            return Departure(name, values[name].origin, "the file has no such output")
    found, stopped = _computed(model, values, graph, inputs)
    shares = {
        name: _difference(found[name], value, graph.outputs.get(name), graph.parity_ulps)
        for name, value in values.items()
        if name in found
    }
    wrong = {name: share for name, share in shares.items() if isinstance(share, str)}
    if not wrong and not stopped:
        second, _ = _computed(model, values, graph, inputs, runs=2)
        wrong = {name: _UNSTEADY for name in shares if found[name].tobytes() != second[name].tobytes()}
    if not wrong:
        agrees = _AGREES if graph.reference is None else _AS_TRANSLATED
        return _stop(model, values, stopped) if stopped else Departure("", "", agrees)
    first = next((name for name in wrong if name in graph.outputs), next(iter(wrong)))
    nodes, sources = _made(first, makers, shares)
    while before := [name for name in wrong if name in sources]:
        first = before[0]
        nodes, sources = _made(first, makers, shares)
    return Departure(first, values[first].origin, wrong[first], tuple(nodes), tuple(sources))


def _made(
    name: str, makers: Mapping[str, onnx.NodeProto], known: Container[str]
) -> tuple[list[onnx.NodeProto], list[str]]:
    """Return the nodes of a file that compute a value, and their inputs: values of the trace, inputs, constants."""
    nodes: dict[str, onnx.NodeProto] = {}
    sources: dict[str, None] = {}
    waiting = [name] if name in makers else []
    while waiting:
        current = waiting.pop()
        if current not in makers or (current in known and current != name):
            sources[current] = None
        elif current not in nodes:
            nodes[current] = makers[current]
            waiting.extend(filter(None, makers[current].input))
    return list(nodes.values()), list(sources)


def _computed(
    model: onnx.ModelProto, wanted: Container[str], graph: Graph, inputs: Mapping[str, Array], *, runs: int = 1
) -> tuple[dict[str, Array], onnx.NodeProto | None]:
    """Return the values of a file with ``wanted`` names in the last run, including weights and folded constants.

    If the file stops at a node, that node is returned, too, and the values are those that do not depend on it.
    """
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name in wanted}
    nodes, stopped = list(model.graph.node), None
    while nodes:
        try:
            session = _opened(model, nodes, wanted, graph)
            return {**found, **[session(inputs) for _ in range(runs)][-1]}, stopped
        except ZooError as error:
            at = _STOPPED_AT.search(str(error))
            here = next((node for node in nodes if at and node.name == at[1]), None)
            if here is None:
                raise
            stopped = stopped or here
            nodes = _without(nodes, here)
    return found, stopped


def _opened(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], wanted: Container[str], graph: Graph) -> Session:
    """Load some of the nodes of a file, with its outputs and the values with ``wanted`` names as results."""
    made = [name for node in nodes for name in node.output]
    outputs = [output for output in model.graph.output if output.name in made]
    declared = {output.name for output in outputs}
    shown = [name for name in made if name in wanted and name not in declared]
    part = onnx.ModelProto()
    part.CopyFrom(model)
    del part.graph.node[:], part.graph.output[:]
    part.graph.node.extend(nodes)
    part.graph.output.extend([*outputs, *(onnx.ValueInfoProto(name=name) for name in shown)])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        path.write_bytes(part.SerializeToString())
        return open_session(path, graph.name, graph.inputs, graph.axes, (*declared, *shown))


def _without(nodes: Sequence[onnx.NodeProto], lost: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return the nodes that do not depend on one of them."""
    missing = set(lost.output)
    kept = []
    for node in nodes:
        if node is lost or missing.intersection(node.input):
            missing.update(node.output)
        else:
            kept.append(node)
    return kept


def _difference(found: Array, value: Value, declared: TensorSpec | None, ulps: int) -> float | str:
    """Return the fraction of the tolerance that a value uses, or a description of its fault."""
    expected, single = value.double, value.single
    if declared is not None and found.dtype != declared.dtype:
        return f"it is {found.dtype}, {declared.dtype} was declared"
    if found.size == expected.size == 1:
        found = found.reshape(expected.shape)  # a size is a number in torch, a tensor of one in ONNX
    if found.shape != expected.shape:
        return f"its shape is {found.shape}, torch's is {expected.shape}"
    if expected.dtype.kind != "f":
        wrong = int(np.count_nonzero(found != expected))
        return f"{wrong} of {found.size} differ" if wrong and np.array_equal(single, expected) else 0.0
    finite = np.isfinite(expected)
    if not (np.array_equal(found[~finite], expected[~finite], equal_nan=True) and np.isfinite(found[finite]).all()):
        return "NaN or infinity is in other places than in torch"
    error = _largest(found[finite] - expected[finite])
    rounding = np.nan_to_num(single[finite] - expected[finite], posinf=0.0, neginf=0.0)
    least = float(declared is not None and declared.logarithm)
    allowed = max(8 * _largest(rounding), ulps * _ULP * max(_largest(expected[finite]), least))
    if error > allowed:
        return f"max error {error:.3g}, allowed is {allowed:.3g}"
    return error / allowed if allowed else 0.0


def _largest(array: Array) -> float:
    return float(np.abs(array).max(initial=0))


def _stop(model: onnx.ModelProto, values: Mapping[str, Value], node: onnx.NodeProto) -> Departure:
    """Return where a run of the file ended: the first value of the trace that could not be computed."""
    problem = f"the file stops at its node {node.name!r}"
    reached = set(node.output)
    nodes = [node]
    for later in model.graph.node:
        if named := next((name for name in values if name in reached), None):
            if node.op_type == "Squeeze":  # torch leaves an axis of another size as it is
                problem = f"{problem}. {frozen_at(values[named].line)}"
            return Departure(named, values[named].origin, problem, tuple(nodes))
        if reached.intersection(later.input):
            reached.update(later.output)
            nodes.insert(0, later)
    return Departure(node.output[0], "no value of the trace", problem, (node,))
