"""The other files that an ONNX file reads: found in its bytes, since serving does not need the package ``onnx``.

The bytes are Protocol Buffers: fields, each with a number, a kind and a value, which may be a message itself. Only the
messages that lead to a tensor are entered. The result may contain more files than onnxruntime would read, never fewer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT_BYTES = 10
_LARGEST_TAG = 2**32
_DEEPEST = 64

# The fields of each message that lead to the entries of an external tensor, by their numbers in onnx.proto.
_TENSOR: dict[int, Any] = {13: "entry"}
_SPARSE = {1: _TENSOR, 2: _TENSOR}
_GRAPH: dict[int, Any] = {5: _TENSOR, 15: _SPARSE}
_ATTRIBUTE = {5: _TENSOR, 10: _TENSOR, 6: _GRAPH, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE}
_NODE = {5: _ATTRIBUTE}
_GRAPH[1] = _NODE
_FUNCTION = {7: _NODE, 11: _ATTRIBUTE}
_TRAINING = {1: _GRAPH, 2: _GRAPH}
_MODEL = {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION}

_KEY, _VALUE = 1, 2
_LOCATION = b"location"


def external_files(content: bytes) -> tuple[str, ...]:
    """Return the files that an ONNX file names for its tensors, each once.

    Raises ValueError if the bytes are not an ONNX file.
    """
    if _LOCATION not in content:
        return ()
    return tuple(dict.fromkeys(_locations(memoryview(content), _MODEL, 0)))


def _locations(message: memoryview, schema: Mapping[int, Any], depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError(f"messages lie more than {_DEEPEST} deep in each other")
    for number, value in _fields(message):
        inner = schema.get(number)
        if inner == "entry":
            yield from _location(value)
        elif inner is not None:
            yield from _locations(value, inner, depth + 1)


def _location(entry: memoryview) -> Iterator[str]:
    """Yield the value of an external tensor's entry if it is the location."""
    values: dict[int, bytes] = {number: bytes(value) for number, value in _fields(entry)}
    if values.get(_KEY) == _LOCATION:
        yield values.get(_VALUE, b"").decode()


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and value of each field that has a length."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        if tag >= _LARGEST_TAG:
            raise ValueError(f"a field of the number {tag >> 3}")
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, place = _varint(message, place)
            continue
        if kind == _LENGTH:
            size, place = _varint(message, place)
        elif kind in _FIXED_BYTES:
            size = _FIXED_BYTES[kind]
        else:
            raise ValueError(f"a field of the unknown kind {kind} at byte {place}")
        if place + size > len(message):
            raise ValueError(f"a field of {size} bytes at byte {place} of {len(message)}")
        if kind == _LENGTH:
            yield number, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return a number that begins at ``place``, and the position after it."""
    if place < len(message) and message[place] < 0x80:
        return message[place], place + 1
    value = 0
    for length in range(_LONGEST_VARINT_BYTES):
        if place + length >= len(message):
            break
        byte = message[place + length]
        value |= (byte & 0x7F) << (7 * length)
        if byte < 0x80:
            return value, place + length + 1
    raise ValueError(f"a number without an end at byte {place}")
