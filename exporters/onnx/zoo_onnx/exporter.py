"""Writes a graph as one ONNX file by torch.onnx and runs it on onnxruntime's CPU provider."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import onnx
import onnx_ir
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from zoo import Graph, ParityError, ZooError, open_session, translations
from zoo_onnx.bisection import first_fault
from zoo_onnx.branches import example_inputs, frozen_at, other_inputs, where_ways_part
from zoo_onnx.composing import MODULE, composed, stages_of
from zoo_onnx.folding import fold
from zoo_onnx.quiet import quiet
from zoo_onnx.reducing import REDUCTIONS, reduced
from zoo_onnx.weights import link

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo import Session

OPSET = 20
_OBJECTS_A_COLLECTION = 50_000
# The message of torch.export about an axis with a single size: the size, the tensor, the axis.
_STATIC = re.compile(r"static shape of (\d+) for dimension inputs\['tensors'\]\['([^']+)'\]\.shape\[(\d+)\]")
_CALLED_AT = re.compile(r'The following call raised this error:\s+File "[^"]*", line (\d+), in (\w+)')


class OnnxExporter:
    """ONNX at opset 20, with free axes by name, and no path or line of the source in it."""

    suffix = ".onnx"

    def __init__(self) -> None:
        # Many graphs share stages: all translations from one input share its encoder.
        self._programs: WeakKeyDictionary[Graph, torch.onnx.ONNXProgram] = WeakKeyDictionary()

    def write(self, graph: Graph, path: Path) -> None:
        """Write ``graph`` to ``path``; the same model gives the same bytes each time."""
        programs = [self._program(stage.graph) for stage in stages_of(graph)]
        model = programs[0].model
        if graph.stages:
            model = onnx_ir.from_proto(composed(graph, [program.model_proto for program in programs]))
            fold(model, graph.outputs)
        _save(_reproducible(onnx_ir.to_proto(model)), path)

    def traces(self, graph: Graph) -> list[ExportedProgram]:
        """Return the traces of the stages of ``graph``, or of the graph itself if it has none."""
        return [cast(ExportedProgram, self._program(stage.graph).exported_program) for stage in stages_of(graph)]

    def first_fault(self, graph: Graph, path: Path, inputs: Mapping[str, NDArray[Any]]) -> str:
        """Return a sentence about the first value of a file that differs from torch on ``inputs``."""
        return str(first_fault(self.traces(graph), graph, path, inputs))

    def _program(self, graph: Graph) -> torch.onnx.ONNXProgram:
        """Return the translation of a whole graph, made small; it is kept as long as the graph."""
        if graph not in self._programs:
            program = self._translated(graph)
            fold(program.model, graph.outputs)
            self._programs[graph] = program
        return self._programs[graph]

    def _translated(self, graph: Graph) -> torch.onnx.ONNXProgram:
        arrays = example_inputs(graph)
        tensors = {name: torch.from_numpy(arrays[name]) for name in graph.inputs}
        free = {
            name: {place: axis for place, axis in enumerate(spec.axes) if isinstance(axis, str)}
            for name, spec in graph.inputs.items()
        }
        with quiet(), _fewer_collections(), _errors(graph):  # torch.export traces in one thread alone, as quiet() does
            _forget_traced_rnns()
            program = torch.onnx.export(
                _Ordered(graph),
                (tensors, {}),  # the last mapping is for keywords
                dynamo=True,
                verbose=False,
                optimize=False,
                opset_version=OPSET,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes={"tensors": free},
                custom_translation_table=_translations(),
            )
        if program is None or program.exported_program is None:
            raise ZooError(
                f"torch.onnx.export returned no model for the graph {graph.name!r}; report it with the model's recipe"
            )
        return program

    def link(self, path: Path, weights: Path, names: Mapping[str, str]) -> None:
        """Have the file that ``write`` left, or that was linked before, read its weights from ``weights``."""
        model = onnx.load(path, load_external_data=False)
        link(model, weights, {f"{MODULE}.{own}": name for own, name in names.items()})
        _save(model, path)

    def stamp(self, path: Path, facts: Mapping[str, str]) -> None:
        """Write facts about a model into its file, as ONNX's metadata."""
        model = onnx.load(path, load_external_data=False)
        onnx.helper.set_model_props(model, dict(sorted(facts.items())))
        _save(model, path)

    @property
    def precisions(self) -> tuple[str, ...]:
        """``fp16``, ``int8`` (dynamic), ``int8-static``, ``int8-weights``."""
        return tuple(REDUCTIONS)

    def reduce(
        self, path: Path, target: Path, precision: str, calibration: Sequence[Mapping[str, NDArray[Any]]]
    ) -> None:
        """Write the graph of ``path`` to ``target`` at a lower precision, with its weights inside."""
        reduced(path, target, precision, calibration)

    def open(self, graph: Graph, path: Path) -> Session:
        """Load the file that ``write`` left, on the CPU."""
        return open_session(path, graph.name, graph.inputs, graph.axes, tuple(graph.outputs))

    def versions(self) -> Mapping[str, str]:
        """Return the versions of torch, onnx, onnxscript and onnxruntime."""
        import onnxruntime

        return {
            "torch": torch.__version__,
            "onnx": version("onnx"),
            "onnxscript": version("onnxscript"),
            "onnxruntime": onnxruntime.__version__,
        }


class _Ordered(nn.Module):
    """The graph's module, with its outputs in the declared order."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.module = graph.module
        self.outputs = tuple(graph.outputs)

    def forward(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        made = self.module(tensors)
        return tuple(made[name] for name in self.outputs)


def _save(model: onnx.ModelProto, path: Path) -> None:
    path.write_bytes(model.SerializeToString(deterministic=True))


def _translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return the translations that plugins register for their operators, of those that this process knows."""
    found = {}
    for name, load in translations("onnx").items():
        namespace, _, operator = name.partition("::")
        known = getattr(getattr(torch.ops, namespace), operator, None)
        if known is not None:
            found[known.default] = load()
    return found


def _forget_traced_rnns() -> None:
    """Keep a second export of a torch.nn.GRU or LSTM in one process from failing, as it does in torch 2.13."""
    for operator in (torch.ops.aten.gru.input, torch.ops.aten.lstm.input):
        operator._dispatch_cache.clear()


@contextmanager
def _fewer_collections() -> Iterator[None]:
    """Collect garbage less often: tracing keeps its objects, and each collection visits all of them."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_A_COLLECTION, 100, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _reproducible(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without source paths, stack traces and intermediate shapes."""
    del proto.graph.value_info[:]
    proto.graph.ClearField("doc_string")
    for node in [*proto.graph.node, *(node for function in proto.functions for node in function.node)]:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in [*proto.graph.input, *proto.graph.output, *proto.graph.initializer]:
        value.ClearField("metadata_props")
        value.ClearField("doc_string")
    return proto


@contextmanager
def _errors(graph: Graph) -> Iterator[None]:
    try:
        yield
    except torch.onnx.errors.OnnxExporterError as error:
        told = str(error.__cause__ or error).strip()
        if axes := _STATIC.findall(told):
            single = " and ".join(f"axis {axis} of {name!r} to {size}" for size, name, axis in axes)
            raise ParityError(
                f"the graph {graph.name!r} cannot be exported to ONNX for free sizes: tracing bound {single}. "
                f"{frozen_at(where_ways_part(graph, other_inputs(graph)))}"
            ) from error
        at = _CALLED_AT.search(told)
        raise ZooError(
            f"the graph {graph.name!r} cannot be exported to ONNX: {told.splitlines()[0]}"
            f"{f', at line {at[1]} of {at[2]}' if at else ''}; replace that operation in its encoder or "
            "decoder, exporters/README.md lists what exports"
        ) from error
