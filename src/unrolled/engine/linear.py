"""Dense products and sums of table rows, on all threads of the engine."""

from __future__ import annotations

import numpy as np

from unrolled.engine import library
from unrolled.engine.arrays import Array, check, check_lengths, empty, suffix


def linear(x: Array, w: Array, bias: Array | None = None) -> Array:
    """``x @ w.T + bias``: x ``(rows, k)``, w ``(n, k)``, bias ``(n,)`` -> ``(rows, n)``.

    Without the extension numpy computes it.
    """
    (rows, k), n = x.shape, len(w)
    check("x", x, (rows, k), x.dtype)
    check("w", w, (n, k), x.dtype)
    check("bias", bias, (n,), x.dtype)
    if not library.available():
        result: Array = x @ w.T
        return result if bias is None else result + bias
    out = empty((rows, n), x.dtype)
    run = getattr(library.native(), "linear" + suffix(x.dtype))
    run(x, w, bias, out, rows, k, n, library.get_num_threads(), library.isa_number())
    return out


def linear_weight_gradient(d: Array, x: Array) -> tuple[Array, Array]:
    """Gradients of :func:`linear`'s parameters, ``(d.T @ x, d.sum(0))``: d ``(rows, n)``, x ``(rows, k)``."""
    (rows, n), k = d.shape, x.shape[1]
    check("d", d, (rows, n), d.dtype)
    check("x", x, (rows, k), d.dtype)
    if not library.available():
        return d.T @ x, d.sum(axis=0)
    d_w, d_bias = empty((n, k), d.dtype), empty((n,), d.dtype)
    run = getattr(library.native(), "linear_weight_gradient" + suffix(d.dtype))
    run(d, x, d_w, d_bias, rows, k, n, library.get_num_threads(), library.isa_number())
    return d_w, d_bias


def gather(table: Array, ids: Array) -> Array:
    """``table[ids]``: table ``(entries, dim)``, ids ``(count,)`` int32 -> ``(count, dim)``.

    Raises:
        ValueError: an id outside the table.
    """
    entries, dim = table.shape
    check("table", table, (entries, dim), table.dtype)
    check("ids", ids, (len(ids),), np.dtype(np.int32))
    if len(ids) and (int(ids.min()) < 0 or int(ids.max()) >= entries):
        raise ValueError(f"ids must lie in 0..{entries - 1}")
    if not library.available():
        result: Array = table[ids]
        return result
    out = empty((len(ids), dim), table.dtype)
    getattr(library.native(), "gather" + suffix(table.dtype))(
        table, ids, out, len(ids), dim, library.get_num_threads()
    )
    return out


def peak_flops() -> float:
    """Floating-point operations a second of the engine's threads on registers alone, in float32: what the speed
    of a layer can be measured against. Takes some milliseconds.

    Raises:
        RuntimeError: without the extension.
    """
    return float(library.native().peak_f32(library.get_num_threads(), library.isa_number()))


def embedding_bag(table: Array, rows: Array, lengths: Array) -> Array:
    """Sums of table rows, one sum a token.

    Args:
        table: ``(entries, dim)`` float32, float64, or float16, whose rows are converted as they are read.
        rows: ``(lengths.sum(),)`` int32, the rows of token 0, then those of token 1 ...
        lengths: ``(tokens,)``, rows of each token; 0 gives zeros.

    Returns:
        ``(tokens, dim)``, float32 for a float16 table, else of the table's type.

    Raises:
        ValueError: a row outside the table, or lengths that do not add up.
    """
    (entries, dim), half = table.shape, table.dtype == np.float16
    dtype = np.dtype(np.float32) if half else table.dtype
    check("table", table, (entries, dim), table.dtype)
    check("rows", rows, (len(rows),), np.dtype(np.int32))
    lengths = check_lengths(lengths, len(rows))
    if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= entries):
        raise ValueError(f"rows must lie in 0..{entries - 1}")
    if not library.available():
        sums = np.zeros((len(lengths), dim), dtype)
        some = lengths > 0
        if some.any():
            taken = table.take(rows, axis=0).astype(dtype, copy=False)
            sums[some] = np.add.reduceat(taken, (np.cumsum(lengths) - lengths)[some], axis=0)
        return sums
    out = empty((len(lengths), dim), dtype)
    run = getattr(library.native(), "embedding_bag" + suffix(dtype))
    stored = table.view(np.uint16) if half else table
    threads, isa = library.get_num_threads(), library.isa_number()
    run(stored, half, rows, lengths, out, len(lengths), dim, threads, isa)
    return out
