"""Dense products, on all threads of the engine."""

from __future__ import annotations

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


def peak_flops() -> float:
    """Floating-point operations a second of the engine's threads on registers alone, in float32: what
    the speed of a layer can be measured against. Takes some milliseconds.

    Raises:
        RuntimeError: without the extension.
    """
    return float(library.native().peak_f32(library.get_num_threads(), library.isa_number()))
