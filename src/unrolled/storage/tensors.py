"""Weights as a file: the safetensors format, read with every size checked before memory is taken.

The format (https://huggingface.co/docs/safetensors): 8 bytes little-endian length of the header, the header
as JSON ``{name: {"dtype", "shape", "data_offsets": [begin, end]}}``, then the tensors, row-major, end to end.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from unrolled.storage.strict_json import StrictJsonError, parse_object

MAX_HEADER_BYTES = 4 * 1024 * 1024

_DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I32": np.dtype("<i4"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class TensorFileError(Exception):
    """What is wrong with the bytes; the caller knows the name of the file."""


def payload_bytes(shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, str]) -> int:
    """Bytes of all tensors, in exact integers."""
    return sum(math.prod(shape) * _DTYPES[dtypes[name]].itemsize for name, shape in shapes.items())


def read_header(raw: bytes) -> dict[str, Any]:
    """The header from its bytes (without the 8 of the length).

    Raises:
        TensorFileError: not a JSON object.
    """
    try:
        header = parse_object(raw)
    except StrictJsonError as error:
        raise TensorFileError(f"its header is damaged ({error})") from None
    header.pop("__metadata__", None)
    return header


def views(
    header: Mapping[str, Any],
    payload: np.ndarray,
    shapes: Mapping[str, tuple[int, ...]],
    dtypes: Mapping[str, str],
) -> dict[str, np.ndarray]:
    """The tensors as arrays over the payload, after checking the header against what must be there.

    Args:
        header: from :func:`read_header`.
        payload: ``(bytes,)`` uint8, all that follows the header.
        shapes: name -> shape that each tensor must have.
        dtypes: name -> ``"F32"``, ``"F16"``, ``"I32"``, ``"I8"`` or ``"U8"``.

    Raises:
        TensorFileError: a tensor is missing, foreign, of another shape or type, or the ranges overlap or
            leave gaps.
    """
    for name in header:
        if name not in shapes:
            raise TensorFileError(f"it holds '{name[:80]}', which a model with these options does not have")
    ranges: list[tuple[int, int]] = []
    tensors: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        entry = header.get(name)
        if not isinstance(entry, dict):
            raise TensorFileError(f"'{name}' is missing")
        if entry.get("dtype") != dtypes[name]:
            raise TensorFileError(f"'{name}' has type {_short(entry.get('dtype'))}, not {dtypes[name]}")
        if entry.get("shape") != list(shape):
            raise TensorFileError(f"'{name}' has shape {_short(entry.get('shape'))}, not {list(shape)}")
        offsets = entry.get("data_offsets")
        if not (isinstance(offsets, list) and len(offsets) == 2 and all(type(end) is int for end in offsets)):
            raise TensorFileError(f"'{name}' has no valid range of bytes")
        dtype = _DTYPES[dtypes[name]]
        begin, end = offsets
        if not 0 <= begin <= end <= len(payload) or end - begin != math.prod(shape) * dtype.itemsize:
            raise TensorFileError(
                f"'{name}' lies at bytes {_short(offsets)}, which do not fit its shape or the file"
            )
        ranges.append((begin, end))
        tensors[name] = np.ndarray(shape, dtype, buffer=payload, offset=begin)
    ranges.sort()
    edge = 0
    for begin, end in ranges:
        if begin != edge:
            raise TensorFileError("its tensors overlap or leave gaps")
        edge = end
    if edge != len(payload):
        raise TensorFileError("bytes are left over behind the last tensor")
    return tensors


def file_parts(tensors: Mapping[str, np.ndarray]) -> Iterator[bytes | memoryview]:
    """The file for the tensors (float32, float16, int32 or uint8), in parts to be written in this order."""
    header: dict[str, Any] = {}
    edge = 0
    for name, array in tensors.items():
        dtype = _NAMES.get(array.dtype.newbyteorder("<"))
        if dtype is None:
            raise TypeError(f"'{name}' is {array.dtype}; only float32, float16, int32 and uint8 are stored")
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [edge, edge + array.nbytes],
        }
        edge += array.nbytes
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)  # so that the tensors are aligned when the file is mapped
    yield len(raw).to_bytes(8, "little")
    yield raw
    for array in tensors.values():
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        yield little.reshape(-1).view(np.uint8).data


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:60] + "..."
