"""One direction of one recurrent layer whose input projection the caller has done."""

from __future__ import annotations

from typing import NamedTuple

from unrolled.engine import library
from unrolled.engine.arrays import KIND_NUMBERS, Array, check, check_lengths, empty, gate_count, suffix


class Saved(NamedTuple):
    """What the backward pass needs of the forward pass besides ``out``.

    Attributes:
        gates: ``(total, G*hidden)`` activated gates (the buffer of ``xw``); ``None`` for RNN.
        cells: ``(total, hidden)`` cell states (LSTM), recurrent part of the n gate (GRU), ``None`` (RNN).
    """

    gates: Array | None
    cells: Array | None


class Scan(NamedTuple):
    """Result of :func:`forward`.

    Attributes:
        out: ``(total, hidden)`` h of every token.
        h_n: ``(batch, hidden)`` last h of every sequence in scan order; ``h0`` where the length is 0.
        c_n: ``(batch, hidden)`` last cell state; ``None`` unless LSTM.
        saved: for :func:`backward`; ``None`` unless asked for.
    """

    out: Array
    h_n: Array
    c_n: Array | None
    saved: Saved | None


class ScanGradients(NamedTuple):
    """Gradients of a loss, as :func:`backward` gives them.

    Attributes:
        d_xw: ``(total, G*hidden)``; from it the caller gets d_w_ih = d_xw.T @ x, d_x = d_xw @ w_ih and
            d_b_ih = d_xw.sum(0).
        d_h0: ``(batch, hidden)``.
        d_c0: ``(batch, hidden)``; ``None`` unless LSTM.
        d_w_hh: ``(G*hidden, hidden)``.
        d_b_hh: ``(G*hidden,)``; for RNN and LSTM equal to d_b_ih.
    """

    d_xw: Array
    d_h0: Array
    d_c0: Array | None
    d_w_hh: Array
    d_b_hh: Array


def forward(
    kind: str,
    xw: Array,
    lengths: Array,
    w_hh: Array,
    b_hh: Array | None,
    h0: Array | None,
    c0: Array | None,
    *,
    reverse: bool = False,
    save: bool = False,
    h_mask: Array | None = None,
) -> Scan:
    """Scan every sequence of a ragged batch.

    Args:
        kind: ``"rnn_tanh"``, ``"rnn_relu"``, ``"lstm"`` or ``"gru"``.
        xw: ``(total, G*hidden)`` input projection x @ w_ih.T + b_ih, gates in torch's order.
            **Overwritten if** ``save``.
        lengths: ``(batch,)`` tokens of each sequence, any order, 0 allowed.
        w_hh: ``(G*hidden, hidden)``.
        b_hh: ``(G*hidden,)`` recurrent bias, added inside. For RNN and LSTM it may be in ``xw`` already (then
            ``None``); for GRU its n part belongs inside, so all of it is given here.
        h0, c0: ``(batch, hidden)`` initial states or ``None`` for zeros; ``c0`` for LSTM only.
        reverse: scan each sequence from its end.
        save: keep what :func:`backward` needs.
        h_mask: ``(batch, hidden)`` variational dropout: multiplies h_{t-1} before ``w_hh``; scaled by
            1/(1-p) already.

    Raises:
        ValueError: a shape or layout that does not fit.
        TypeError: a scalar type that does not fit; all arrays share float32 or float64.
        RuntimeError: the extension is missing.
    """
    extension = library.native()
    gates = gate_count(kind)
    hidden = w_hh.shape[-1]
    total, dtype = xw.shape[0], xw.dtype
    lengths = check_lengths(lengths, total)
    states = (len(lengths), hidden)
    check("xw", xw, (total, gates * hidden), dtype)
    check("w_hh", w_hh, (gates * hidden, hidden), dtype)
    check("b_hh", b_hh, (gates * hidden,), dtype)
    for name, state in (("h0", h0), ("c0", c0), ("h_mask", h_mask)):
        check(name, state, states, dtype)
    is_lstm = kind == "lstm"
    out = empty((total, hidden), dtype)
    h_n = empty(states, dtype)
    c_n = empty(states, dtype) if is_lstm else None
    cells = empty((total, hidden), dtype) if save and gates > 1 else None
    direction = (reverse, None, None, None, None, xw, w_hh, b_hh, h0, c0, h_mask, out, h_n, c_n, cells)
    run = getattr(extension, "forward" + suffix(dtype))
    run(
        KIND_NUMBERS[kind],
        hidden,
        0,
        lengths,
        total,
        [direction],
        save,
        library.get_num_threads(),
        library.isa_number(),
    )
    return Scan(out, h_n, c_n, Saved(xw if gates > 1 else None, cells) if save else None)


def backward(
    kind: str,
    d_out: Array | None,
    d_h_n: Array | None,
    d_c_n: Array | None,
    lengths: Array,
    w_hh: Array,
    saved: Saved,
    out: Array,
    h0: Array | None,
    c0: Array | None,
    *,
    reverse: bool = False,
    h_mask: Array | None = None,
) -> ScanGradients:
    """Gradients of :func:`forward`. Arguments as there; ``saved`` and ``out`` are its results, not changed.

    Args:
        d_out: ``(total, hidden)`` gradient of the loss with respect to ``out``; ``None`` for zeros. Likewise
            ``d_h_n`` and ``d_c_n``, ``(batch, hidden)``.

    Raises:
        ValueError, TypeError, RuntimeError: as :func:`forward`.
    """
    extension = library.native()
    gates = gate_count(kind)
    hidden = w_hh.shape[-1]
    total, dtype = out.shape[0], out.dtype
    lengths = check_lengths(lengths, total)
    states = (len(lengths), hidden)
    check("out", out, (total, hidden), dtype)
    check("d_out", d_out, (total, hidden), dtype)
    check("w_hh", w_hh, (gates * hidden, hidden), dtype)
    for name, state in (("h0", h0), ("c0", c0), ("d_h_n", d_h_n), ("d_c_n", d_c_n), ("h_mask", h_mask)):
        check(name, state, states, dtype)
    if gates > 1 and (saved.gates is None or saved.cells is None):
        raise ValueError("saved does not come from a forward pass of this kind with save=True")
    check("saved.gates", saved.gates, (total, gates * hidden), dtype)
    check("saved.cells", saved.cells, (total, hidden), dtype)
    d_xw = empty((total, gates * hidden), dtype)
    d_hn = empty((total, hidden), dtype) if kind == "gru" else None
    d_h0 = empty(states, dtype)
    d_c0 = empty(states, dtype) if kind == "lstm" else None
    d_w_hh = empty((gates * hidden, hidden), dtype)
    d_b_hh = empty((gates * hidden,), dtype)
    direction = (
        reverse, w_hh, h0, c0, h_mask, saved.gates, saved.cells, out,
        d_out, d_h_n, d_c_n, d_xw, d_hn, d_h0, d_c0, d_w_hh, d_b_hh,
        None, None, None, None, None,
    )  # fmt: skip
    run = getattr(extension, "backward" + suffix(dtype))
    run(
        KIND_NUMBERS[kind],
        hidden,
        0,
        lengths,
        total,
        [direction],
        library.get_num_threads(),
        library.isa_number(),
    )
    return ScanGradients(d_xw, d_h0, d_c0, d_w_hh, d_b_hh)
