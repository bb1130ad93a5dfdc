"""Files of fewer bits than float32, made by onnxruntime's tools from a graph and its weights."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from zoo import UsageError
from zoo_onnx.quiet import quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]
    Reduces = Callable[[Path, Path, Sequence[Arrays]], None]

# Weights have 7 bits (``reduce_range``): sums of two products of 8 bits each overflow 16 on processors without VNNI.
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# They add up values that go to the same place, which onnxruntime's CPU provider does not support in float16.
_NO_HALF_SUMS = ("ScatterND", "ScatterElements")
# Smaller tables and matrices gain nothing.
_LEAST_VALUES = 256


def reduced(source: Path, target: Path, precision: str, calibration: Sequence[Arrays]) -> None:
    """Write ``source`` to ``target`` at a precision, one of ``REDUCTIONS``, with its weights inside.

    ``calibration`` are realistic inputs of the graph, from which ``int8-static`` takes its ranges.
    """
    with _folded(source) as plain, quiet():
        REDUCTIONS[precision](plain, target, calibration)
    model = onnx.load(target)
    del model.graph.value_info[:]
    target.write_bytes(model.SerializeToString(deterministic=True))


def _half(source: Path, target: Path, calibration: Sequence[Arrays]) -> None:
    """Weights and arithmetic in float16; inputs and outputs stay float32."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    kept = [*DEFAULT_OP_BLOCK_LIST, *_NO_HALF_SUMS]
    model = convert_float_to_float16(onnx.load(source), keep_io_types=True, op_block_list=kept)
    # A value that several nodes take in float32 has a cast for each, all of one name.
    made: set[str] = set()
    for node in list(model.graph.node):
        if made.issuperset(node.output):
            model.graph.node.remove(node)
        made.update(node.output)
    onnx.save(model, target)


def _dynamic(source: Path, target: Path, calibration: Sequence[Arrays]) -> None:
    """Matrices and tables in int8; activations are quantised in the range of each call. Convolutions are unchanged."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    kinds = ["Gemm", "MatMul", "Gather"]
    quantize_dynamic(
        source, target, op_types_to_quantize=kinds, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
    )


def _static(source: Path, target: Path, calibration: Sequence[Arrays]) -> None:
    """Products with weights in int8; each activation is quantised in the range that it had in the calibration."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    nodes = list(_with_weights(onnx.load(source), _PRODUCTS))
    if not nodes:
        raise UsageError(
            f"{source.stem} has no product with a weight that int8-static could take; leave this graph out"
        )
    quantize_static(
        source,
        target,
        _Calibration(calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(_PRODUCTS),
        nodes_to_quantize=nodes,
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _weights(source: Path, target: Path, calibration: Sequence[Arrays]) -> None:
    """Weights in int8 with one scale per group of neighbouring numbers; the runtime expands them when it loads them."""
    model = onnx.load(source)
    graph = model.graph
    for initialiser in list(graph.initializer):
        values = numpy_helper.to_array(initialiser)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < _LEAST_VALUES:
            continue
        name = initialiser.name
        blocks = values.reshape(-1, _block(values.shape))
        scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
        scale = np.where(scale > 0, scale, np.float32(1))
        graph.initializer.remove(initialiser)
        for part, array in (
            ("int8", np.rint(blocks / scale).astype(np.int8)),
            ("scale", scale),
            ("shape", np.array(values.shape)),
        ):
            graph.initializer.append(numpy_helper.from_array(array, f"{name}.{part}"))
        # These are computed once, at loading; a DequantizeLinear would be at each run.
        make = onnx.helper.make_node
        graph.node.insert(0, make("Reshape", [f"{name}.scaled", f"{name}.shape"], [name]))
        graph.node.insert(0, make("Mul", [f"{name}.whole", f"{name}.scale"], [f"{name}.scaled"]))
        graph.node.insert(0, make("Cast", [f"{name}.int8"], [f"{name}.whole"], to=TensorProto.FLOAT))
    onnx.save(model, target)


def _block(shape: Sequence[int]) -> int:
    """Return how many neighbouring numbers share a scale: 16 to 32, or a whole row if no such number divides it."""
    row = shape[-1] if len(shape) < 4 else int(np.prod(shape[1:]))
    return next((size for size in range(32, 15, -1) if row % size == 0), row)


REDUCTIONS: Mapping[str, Reduces] = {"fp16": _half, "int8": _dynamic, "int8-static": _static, "int8-weights": _weights}


class _Calibration:
    """Inputs one after another, as onnxruntime asks for them."""

    def __init__(self, inputs: Iterable[Arrays]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next inputs, None after the last."""
        found = next(self._inputs, None)
        return None if found is None else dict(found)


@contextmanager
def _folded(source: Path) -> Iterator[Path]:
    """Give a copy of the graph that contains its weights, with all values that follow from them computed."""
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        whole, plain = (Path(folder) / name for name in ("whole.onnx", source.name))
        onnx.save(onnx.load(source), whole)
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(plain)
        options.log_severity_level = 3
        ort.InferenceSession(str(whole), options, providers=["CPUExecutionProvider"])
        model = onnx.load(plain)
        del model.graph.value_info[:]
        for number, node in enumerate(model.graph.node):
            node.name = node.name or f"{node.op_type}_{number}"
        onnx.save(model, plain)
        yield plain


def _with_weights(model: onnx.ModelProto, kinds: Sequence[str]) -> Iterator[str]:
    """Yield the names of the nodes that take a matrix, a kernel or a table of the model's weights."""
    weights = {t.name for t in model.graph.initializer if len(t.dims) >= 2 and np.prod(t.dims) >= _LEAST_VALUES}
    yield from (node.name for node in model.graph.node if node.op_type in kinds and not weights.isdisjoint(node.input))
