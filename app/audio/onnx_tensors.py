"""The named tensors of an ONNX file: as much of the format as weights need, without the runtime."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[np.float32]

# The ONNX file is a protobuf message. Only tensors are wanted; the numbers are the field numbers of onnx.proto.
_GRAPH, _NODE, _ATTRIBUTE, _ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = 7, 1, 5, 5, 6
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT32 = 1


def networks(onnx: bytes) -> Iterator[dict[str, Tensor]]:
    """Named float constants of each graph in the file, inner ones after the one that holds them.

    Raises ``ValueError`` or ``LookupError`` for what is no ONNX file.
    """
    for graph in _messages(onnx, _GRAPH):
        yield from _float_tensors(graph)


def _float_tensors(graph: bytes) -> Iterator[dict[str, Tensor]]:
    """Named float constants of ``graph``, then of each graph inside it."""
    own: dict[str, Tensor] = {}
    inner: list[bytes] = []
    for node in _messages(graph, _NODE):
        for attribute in _messages(node, _ATTRIBUTE):
            inner.extend(_messages(attribute, _ATTRIBUTE_GRAPH))
            for message in _messages(attribute, _ATTRIBUTE_TENSOR):
                name, tensor = _tensor(message)
                if name and tensor is not None:
                    own[name] = tensor
    yield own
    for other in inner:
        yield from _float_tensors(other)


def _tensor(message: bytes) -> tuple[str, Tensor | None]:
    name, raw, shape = "", b"", list[int]()
    is_float = False
    for number, value in _fields(message):
        if number == _TENSOR_DIMS:
            shape.extend([value] if isinstance(value, int) else _varints(value))
        elif number == _TENSOR_TYPE:
            is_float = value == _FLOAT32
        elif number == _TENSOR_NAME and isinstance(value, bytes):
            name = value.decode()
        elif number == _TENSOR_RAW and isinstance(value, bytes):
            raw = value
    if not is_float or not raw:
        return name, None
    return name, np.frombuffer(raw, "<f4").astype(np.float32).reshape(shape)


def _messages(message: bytes, wanted: int) -> Iterator[bytes]:
    return (value for number, value in _fields(message) if number == wanted and isinstance(value, bytes))


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of one protobuf message: numbers as int, everything else as its bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            number, at = _varint(message, at)
            yield key >> 3, number
            continue
        if wire == 2:
            length, at = _varint(message, at)
        else:
            length = {1: 8, 5: 4}[wire]
        yield key >> 3, message[at : at + length]
        at += length


def _varints(packed: bytes) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
