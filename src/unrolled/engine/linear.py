"""Dense products and lookups of the engine, on all its threads."""

from __future__ import annotations

import numpy as np

from unrolled.engine import library
from unrolled.engine.arrays import Array, check, empty, suffix


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
