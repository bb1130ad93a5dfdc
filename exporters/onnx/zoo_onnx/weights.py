"""Weights outside the graph: its initialisers point, by name, into a safetensors file beside it.

ONNX keeps external data as a file, an offset and a length; a safetensors file is a header and raw tensors. So a graph
without weights reads those of a checkpoint in place.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto
from onnx.helper import tensor_dtype_to_np_dtype

from zoo import ZooError

_KINDS = {"f": "F", "i": "I", "u": "U"}


@dataclass(frozen=True)
class Place:
    """The place of a tensor in a safetensors file, in bytes from its beginning."""

    offset: int
    length: int
    dtype: str
    shape: tuple[int, ...]


def places(weights: Path) -> dict[str, Place]:
    """Return the place of each tensor of a safetensors file."""
    with weights.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    return {
        name: Place(8 + size + start, end - start, entry["dtype"], tuple(entry["shape"]))
        for name, entry in header.items()
        if name != "__metadata__"
        for start, end in [entry["data_offsets"]]
    }


def link(model: onnx.ModelProto, weights: Path, names: Mapping[str, str]) -> None:
    """Make each initialiser that ``names`` renames, or that has a tensor's name, read that tensor of ``weights``.

    Tensors are matched by name, never by content: two equal tensors need not be equal in the next weights.

    Raises ZooError if a tensor has another shape or dtype than the graph was written for.
    """
    _rename(model.graph, names)
    found = places(weights)
    for initialiser in model.graph.initializer:
        place = found.get(initialiser.name)
        if place is None or 0 in place.shape:
            continue
        if (place.dtype, place.shape) != (expected := (_dtype(initialiser), tuple(initialiser.dims))):
            raise ZooError(
                f"{weights.name} holds {initialiser.name!r} as {place.dtype} {place.shape}, the graph was written for "
                f"{expected[0]} {expected[1]}; export the model again instead of its weights alone"
            )
        for kind in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
            initialiser.ClearField(kind)
        initialiser.data_location = TensorProto.EXTERNAL
        del initialiser.external_data[:]
        for key, value in (("location", weights.name), ("offset", place.offset), ("length", place.length)):
            initialiser.external_data.add(key=key, value=str(value))


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for part in _with_subgraphs(graph):
        for initialiser in part.initializer:
            initialiser.name = names.get(initialiser.name, initialiser.name)
        for node in part.node:
            node.input[:] = _renamed(node.input, names)
        for output in part.output:
            output.name = names.get(output.name, output.name)


def _renamed(values: Iterable[str], names: Mapping[str, str]) -> list[str]:
    return [names.get(value, value) for value in values]


def _with_subgraphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _with_subgraphs(inner)


def _dtype(initialiser: TensorProto) -> str:
    """Return a dtype by the name that safetensors has for it."""
    dtype = tensor_dtype_to_np_dtype(initialiser.data_type)
    return "BOOL" if dtype.kind == "b" else f"{_KINDS[dtype.kind]}{dtype.itemsize * 8}"
