"""Checks and allocation of the arrays that go to the extension."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.engine import library

Array = npt.NDArray[Any]

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}
KIND_NUMBERS = {"rnn_tanh": 0, "rnn_relu": 1, "lstm": 2, "gru": 3}
_SUFFIX = {np.dtype(np.float32): "_f32", np.dtype(np.float64): "_f64"}
_LARGE = 32 * 1024


def gate_count(kind: str) -> int:
    """Number of gates G of a kind of cell: 1 (RNN), 4 (LSTM), 3 (GRU)."""
    try:
        return GATES[kind]
    except KeyError:
        raise ValueError(f"unknown kind {kind!r}; one of {', '.join(GATES)}") from None


def suffix(dtype: np.dtype[Any]) -> str:
    """Name suffix of the extension's functions for a scalar type."""
    try:
        return _SUFFIX[dtype]
    except KeyError:
        raise TypeError(f"the engine computes in float32 or float64, not {dtype}") from None


def check(name: str, array: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse an array of another shape, type or layout; ``None`` passes."""
    if array is None:
        return
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    if array.dtype != dtype:
        raise TypeError(f"{name} has type {array.dtype}, expected {dtype}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous")


def lengths_fit(lengths: Array, total: int) -> bool:
    """Whether no length ``(batch,)`` int64 is negative and all add up to ``total``; quick for short arrays.

    Without the extension the answer is always no.
    """
    return library.available() and bool(library.native().lengths_fit(lengths, len(lengths), total))


def check_lengths(lengths: Array, total: int) -> Array:
    """``lengths`` as contiguous int64, refused if negative or if they do not add up to ``total``."""
    lengths = np.ascontiguousarray(lengths, dtype=np.int64)
    if lengths.ndim != 1:
        raise ValueError(f"lengths has {lengths.ndim} dimensions, expected 1")
    if lengths_fit(lengths, total):
        return lengths
    if lengths.size and int(lengths.min()) < 0:
        raise ValueError("lengths must not be negative")
    if int(lengths.sum()) != total:
        raise ValueError(f"lengths add up to {int(lengths.sum())}, but there are {total} rows of values")
    return lengths


def check_rows(name: str, rows: Array, count: int, entries: int) -> None:
    """Refuse row numbers that are not ``(count,)`` int32 within ``[0, entries)``."""
    check(name, rows, (count,), np.dtype(np.int32))
    if library.available() and library.native().rows_within(rows, count, entries):
        return
    if count and (int(rows.min()) < 0 or int(rows.max()) >= entries):
        raise ValueError(f"{name} must lie in 0..{entries - 1}")


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Uninitialised array. Large ones reuse memory of arrays that have died, since fresh pages are dear."""
    if math.prod(shape) * dtype.itemsize < _LARGE:
        return np.empty(shape, dtype)
    array: Array = getattr(library.native(), "empty" + suffix(dtype))(shape)
    return array
