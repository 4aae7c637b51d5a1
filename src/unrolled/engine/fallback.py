"""Inference on numpy alone, without the compiled extension. All running sequences step together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unrolled.engine.arrays import Array

if TYPE_CHECKING:
    from unrolled.engine.layer import Weights


def _sigmoid(x: Array) -> Array:
    result: Array = 0.5 * (np.tanh(0.5 * x) + 1.0)
    return result


def _step(kind: str, xw: Array, hw: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """One step: ``xw`` and ``hw`` ``(running, G*hidden)``, ``h`` and ``c`` ``(running, hidden)``."""
    if kind == "lstm":
        i, f, g, o = np.split(xw + hw, 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        return _sigmoid(o) * np.tanh(c), c
    if kind == "gru":
        (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(xw, 3, axis=1), np.split(hw, 3, axis=1)
        z = _sigmoid(x_z + h_z)
        n = np.tanh(x_n + _sigmoid(x_r + h_r) * h_n)
        return (1.0 - z) * n + z * h, c
    a = xw + hw
    return (np.maximum(a, 0.0) if kind == "rnn_relu" else np.tanh(a)), c


def infer_layer_numpy(
    kind: str, x: Array, lengths: Array, weights: Sequence[Weights], h0: Array | None, c0: Array | None
) -> tuple[Array, Array, Array | None]:
    """``(out, h_n, c_n)`` of a layer; arguments and shapes as :func:`unrolled.engine.infer_layer`."""
    hidden = weights[0].w_hh.shape[1]
    states = (len(weights), len(lengths), hidden)
    out = np.empty((len(x), len(weights) * hidden), dtype=x.dtype)
    h_n = np.zeros(states, dtype=x.dtype) if h0 is None else h0.copy()
    c_n = np.zeros(states, dtype=x.dtype) if c0 is None else c0.copy()
    starts = np.cumsum(lengths) - lengths
    order = np.argsort(-lengths, kind="stable")
    for d, w in enumerate(weights):
        xw = x @ w.w_ih.T
        if w.b_ih is not None:
            xw += w.b_ih
        for t in range(int(lengths.max(initial=0))):
            running = order[: int(np.count_nonzero(lengths > t))]
            tokens = starts[running] + (lengths[running] - 1 - t if d == 1 else t)
            hw = h_n[d, running] @ w.w_hh.T
            if w.b_hh is not None:
                hw += w.b_hh
            h, c = _step(kind, xw[tokens], hw, h_n[d, running], c_n[d, running])
            out[tokens, d * hidden : (d + 1) * hidden] = h
            h_n[d, running], c_n[d, running] = h, c
    return out, h_n, c_n if kind == "lstm" else None
