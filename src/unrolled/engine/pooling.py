"""Ragged batches in a training step: each sequence to one row, or each row times factors of its sequence."""

from __future__ import annotations

import numpy as np

from unrolled.engine import library
from unrolled.engine.arrays import Array, check, check_lengths, empty, suffix

_INT32 = np.dtype(np.int32)


def pool(
    values: Array, lengths: Array, *, mean: bool, largest: bool, divide: bool = True
) -> tuple[Array, Array | None]:
    """Mean and maximum of each sequence.

    Args:
        values: ``(total, width)``.
        lengths: ``(batch,)``; an empty sequence gives zeros.
        mean, largest: what is wanted; at least one.
        divide: ``False`` gives sums in place of means.

    Returns:
        ``(batch, width)``, or ``(batch, 2 * width)`` with the means first; and, with ``largest``, the step of
        each maximum ``(batch, width)`` int32, -1 in an empty sequence. Of equal elements it is the first one;
        a NaN is larger than every number.

    Raises:
        ValueError, TypeError: shapes or types that do not fit.
        RuntimeError: the extension is missing.
    """
    extension = library.native()
    (total, width), dtype = values.shape, values.dtype
    lengths = check_lengths(lengths, total)
    check("values", values, (total, width), dtype)
    batch = len(lengths)
    out = empty((batch, width * (mean + largest)), dtype)
    where = np.empty((batch, width), _INT32) if largest else None
    threads, isa = library.get_num_threads(), library.isa_number()
    run = getattr(extension, "pool" + suffix(dtype))
    run(values, lengths, out, where, mean, divide, batch, width, threads, isa)
    return out, where


def pool_gradient(d_out: Array, lengths: Array, where: Array | None, *, divide: bool = True) -> Array:
    """Gradient of :func:`pool`: ``(total, width)`` of values.

    Args:
        d_out: as its first result.
        lengths: as there.
        where: its second result.
        divide: as there.
    """
    extension = library.native()
    dtype, batch = d_out.dtype, len(lengths)
    lengths = check_lengths(lengths, int(lengths.sum()))
    width = d_out.shape[1] if where is None else where.shape[1]
    mean = where is None or d_out.shape[1] == 2 * width
    check("d_out", d_out, (batch, width * (mean + (where is not None))), dtype)
    check("where", where, (batch, width), _INT32)
    d_values = empty((int(lengths.sum()), width), dtype)
    threads, isa = library.get_num_threads(), library.isa_number()
    run = getattr(extension, "pool_gradient" + suffix(dtype))
    run(d_out, lengths, d_values, where, mean, divide, batch, width, threads, isa)
    return d_values


def scale_rows(values: Array, lengths: Array, by_sequence: Array | None, by_token: Array | None) -> Array:
    """Each row times the factors of its sequence and its own; the gradient is the same function.

    Args:
        values: ``(total, width)``.
        lengths: ``(batch,)``.
        by_sequence: ``(batch, width)`` or ``None``.
        by_token: ``(total,)`` or ``None``.
    """
    extension = library.native()
    (total, width), dtype = values.shape, values.dtype
    lengths = check_lengths(lengths, total)
    check("values", values, (total, width), dtype)
    check("by_sequence", by_sequence, (len(lengths), width), dtype)
    check("by_token", by_token, (total,), dtype)
    out = empty((total, width), dtype)
    threads, isa = library.get_num_threads(), library.isa_number()
    run = getattr(extension, "scale_rows" + suffix(dtype))
    run(values, lengths, by_sequence, by_token, out, len(lengths), width, threads, isa)
    return out
