"""The end of a training step: the size of a gradient, and Adam's update of the weights in place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unrolled.engine import library
from unrolled.engine.arrays import Array, check, suffix


class AdamRule(NamedTuple):
    """The numbers of one step of Adam (Kingma and Ba 2015), for each element::

    g = scale * gradient      m = m + (1 - beta1) (g - m)      v = beta2 v + (1 - beta2) g^2
    weight = keep * weight - size * m / (sqrt(v) + eps)
    """

    scale: float
    beta1: float
    beta2: float
    eps: float
    size: float
    keep: float = 1.0


def norm(arrays: Sequence[Array]) -> float:
    """Euclidean norm of all arrays taken as one vector; they are C-contiguous and of one type.

    Raises:
        RuntimeError: the extension is missing, here and below.
    """
    extension = library.native()
    threads, isa = library.get_num_threads(), library.isa_number()
    total = 0.0
    for array in arrays:
        check("array", array, array.shape, array.dtype)
        total += getattr(extension, "square_sum" + suffix(array.dtype))(array, array.size, threads, isa)
    return math.sqrt(total)


def adam(rule: AdamRule, weights: Array, first: Array, second: Array, gradient: Array) -> None:
    """One step of all weights: ``weights``, ``first`` and ``second`` (the moments) are changed in place.

    Raises:
        ValueError, TypeError: arrays of different shapes or types.
    """
    extension = library.native()
    for name, array in (("weights", weights), ("first", first), ("second", second), ("gradient", gradient)):
        check(name, array, weights.shape, weights.dtype)
    run = getattr(extension, "adam" + suffix(weights.dtype))
    threads, isa = library.get_num_threads(), library.isa_number()
    run(tuple(rule), weights, first, second, None, gradient, weights.size, 1, threads, isa)


def adam_rows(
    rule: AdamRule, table: Array, first: Array, second: Array, rows: Array, gradient: Array
) -> None:
    """One step of some rows of a table; those of ``table`` and both moments are changed in place.

    Args:
        rule: the numbers of the step.
        table, first, second: ``(entries, dim)``.
        rows: ``(count,)`` int32, ascending, none twice.
        gradient: ``(count, dim)``.

    Raises:
        ValueError, TypeError: shapes or types that do not fit, a row outside the table or given twice.
    """
    extension = library.native()
    (entries, dim), dtype = table.shape, table.dtype
    for name, array in (("table", table), ("first", first), ("second", second)):
        check(name, array, (entries, dim), dtype)
    check("rows", rows, (len(rows),), np.dtype(np.int32))
    check("gradient", gradient, (len(rows), dim), dtype)
    # Two threads would write a row that is there twice at the same time.
    if len(rows) and not (rows[0] >= 0 and rows[-1] < entries and bool((rows[1:] > rows[:-1]).all())):
        raise ValueError(f"rows must be ascending and lie in 0..{entries - 1}")
    run = getattr(extension, "adam" + suffix(dtype))
    threads, isa = library.get_num_threads(), library.isa_number()
    run(tuple(rule), table, first, second, rows, gradient, len(rows), dim, threads, isa)
