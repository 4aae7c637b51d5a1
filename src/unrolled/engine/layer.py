"""A whole recurrent layer, one or two directions, with its input projection: the fastest way.

The projection is done inside the scan, a few time steps at a time, so that it never leaves the cache; the
directions run side by side; all gradients come from one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from unrolled.engine import library
from unrolled.engine.arrays import (
    KIND_NUMBERS,
    Array,
    check,
    check_lengths,
    check_rows,
    empty,
    gate_count,
    suffix,
)
from unrolled.engine.fallback import infer_layer_numpy
from unrolled.engine.scan import Saved
from unrolled.errors import OptionError

Precision: TypeAlias = Literal["float32", "bfloat16", "int8"]

PRECISIONS: tuple[Precision, ...] = get_args(Precision)  # in the order in which the extension counts them


class Weights(NamedTuple):
    """Parameters of one direction, in torch's layout and gate order; or their gradients.

    Attributes:
        w_ih: ``(G*hidden, input)``.
        w_hh: ``(G*hidden, hidden)``.
        b_ih: ``(G*hidden,)`` or ``None``.
        b_hh: ``(G*hidden,)`` or ``None``.
    """

    w_ih: Array
    w_hh: Array
    b_ih: Array | None = None
    b_hh: Array | None = None


class LayerResult(NamedTuple):
    """Result of :func:`layer_forward`.

    Attributes:
        out: ``(total, directions*hidden)``.
        h_n: ``(directions, batch, hidden)``.
        c_n: ``(directions, batch, hidden)``; ``None`` unless LSTM.
        saved: one entry a direction; ``None`` unless asked for.
    """

    out: Array
    h_n: Array
    c_n: Array | None
    saved: list[Saved] | None


class LayerGradients(NamedTuple):
    """Gradients as :func:`layer_backward` gives them.

    Attributes:
        d_x: ``(total, input)``; ``None`` if not asked for.
        d_h0: ``(directions, batch, hidden)``.
        d_c0: ``(directions, batch, hidden)``; ``None`` unless LSTM.
        weights: gradients of each direction's parameters, biases included even where the layer has none.
    """

    d_x: Array | None
    d_h0: Array
    d_c0: Array | None
    weights: list[Weights]


class PreparedWeights:
    """The weights of a layer, packed once for many predictions; see :func:`prepare`."""

    def __init__(self, kind: str, weights: Sequence[Weights], precision: Precision = "float32") -> None:
        if precision not in PRECISIONS:
            raise OptionError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}.")
        self.kind = kind
        self.precision = precision
        self.weights = tuple(weights)
        self.inputs = int(self.weights[0].w_ih.shape[1])
        self.dtype = self.weights[0].w_ih.dtype
        self.hidden = _check_weights(self.weights, gate_count(kind), self.inputs, self.dtype)
        self._packed: tuple[int, object] | None = None
        if precision != "float32" and self.dtype != np.float32:
            raise OptionError(f"weights of {self.dtype} cannot be reduced to {precision}; give float32.")

    def packed(self) -> object:
        """The extension's copy, in the order of the instruction set in use."""
        isa, kept = library.isa_number(), self._packed
        if kept is None or kept[0] != isa:
            run = getattr(library.native(), "pack" + suffix(self.dtype))
            given = [tuple(w) for w in self.weights]
            number = PRECISIONS.index(self.precision)
            packed = run(KIND_NUMBERS[self.kind], self.hidden, self.inputs, given, isa, number)
            kept = self._packed = (isa, packed)
        return kept[1]


def prepare(kind: str, weights: Sequence[Weights], *, precision: Precision = "float32") -> PreparedWeights:
    """Pack the weights of a layer for :func:`infer_layer`; later changes of the arrays are not seen.

    It saves most of the time of a prediction on one short text.

    Args:
        kind: as :func:`unrolled.engine.forward`.
        weights: one or two directions.
        precision: of the weights. ``"bfloat16"`` rounds each to 8 bits, and halves the memory that a step
            reads; ``"int8"`` rounds to 7 bits and a scale a row, quarters the memory, and
            multiplies integers.
            Biases, inputs, states and outputs stay float32. Without the extension all weights stay float32.

    Raises:
        ValueError, TypeError: shapes or types that do not fit.
        OptionError: an unknown precision, or a reduced one for weights that are not float32.
    """
    return PreparedWeights(kind, weights, precision)


def _check_weights(weights: Sequence[Weights], gates: int, inputs: int, dtype: np.dtype[np.generic]) -> int:
    if len(weights) not in (1, 2):
        raise ValueError(f"a layer has one or two directions, not {len(weights)}")
    hidden = int(weights[0].w_hh.shape[-1])
    for w in weights:
        check("w_ih", w.w_ih, (gates * hidden, inputs), dtype)
        check("w_hh", w.w_hh, (gates * hidden, hidden), dtype)
        check("b_ih", w.b_ih, (gates * hidden,), dtype)
        check("b_hh", w.b_hh, (gates * hidden,), dtype)
    return hidden


def _part(array: Array | None, direction: int) -> Array | None:
    return None if array is None else array[direction]


def layer_forward(
    kind: str,
    x: Array,
    lengths: Array,
    weights: Sequence[Weights] | PreparedWeights,
    h0: Array | None = None,
    c0: Array | None = None,
    *,
    save: bool = False,
    h_mask: Array | None = None,
    rows: Array | None = None,
) -> LayerResult:
    """Run a layer over a ragged batch; the second direction, if given, scans from the end of each sequence.

    Args:
        kind: as :func:`unrolled.engine.forward`.
        x: ``(total, input)``; or, with ``rows``, an embedding table ``(entries, input)``.
        lengths: ``(batch,)``.
        weights: one or two directions, or what :func:`prepare` made of them.
        h0, c0: ``(directions, batch, hidden)`` or ``None`` for zeros.
        save: keep what :func:`layer_backward` needs.
        h_mask: ``(directions, batch, hidden)``; see :func:`unrolled.engine.forward`.
        rows: ``(total,)`` int32: token k reads ``x[rows[k]]``, without a copy. Not together with ``save``.

    Raises:
        ValueError, TypeError, RuntimeError: as :func:`unrolled.engine.forward`.
    """
    extension = library.native()
    gates, dtype, inputs = gate_count(kind), x.dtype, x.shape[1]
    packed: object = None
    if isinstance(weights, PreparedWeights):
        if (weights.kind, weights.inputs, weights.dtype) != (kind, inputs, dtype):
            raise ValueError(
                f"the weights are prepared for {weights.kind} on {weights.inputs} inputs of {weights.dtype}, "
                f"not for {kind} on {inputs} of {dtype}"
            )
        packed, hidden, weights = weights.packed(), weights.hidden, weights.weights
    else:
        hidden = _check_weights(weights, gates, inputs, dtype)
    total = len(x) if rows is None else len(rows)
    lengths = check_lengths(lengths, total)
    check("x", x, (len(x), inputs), dtype)
    if rows is not None:
        check_rows("rows", rows, total, len(x))
        if save:
            raise ValueError("rows is for inference; gather the vectors before a forward pass that saves")
    count, batch = len(weights), len(lengths)
    states = (count, batch, hidden)
    for name, state in (("h0", h0), ("c0", c0), ("h_mask", h_mask)):
        check(name, state, states, dtype)
    out = empty((total, count * hidden), dtype)
    h_n = empty(states, dtype)
    c_n = empty(states, dtype) if kind == "lstm" else None
    saved: list[Saved] = []
    directions = []
    for d, w in enumerate(weights):
        xw = empty((total, gates * hidden), dtype) if save and gates > 1 else None
        cells = empty((total, hidden), dtype) if save and gates > 1 else None
        saved.append(Saved(xw, cells))
        directions.append((
            d == 1, x, rows, w.w_ih, w.b_ih, xw, w.w_hh, w.b_hh, _part(h0, d), _part(c0, d), _part(h_mask, d),
            out[:, d * hidden : (d + 1) * hidden], h_n[d], _part(c_n, d), cells,
        ))  # fmt: skip
    run = getattr(extension, "forward" + suffix(dtype))
    run(
        KIND_NUMBERS[kind], hidden, inputs, lengths, total, directions, save and gates > 1,
        library.get_num_threads(), library.isa_number(), packed,
    )  # fmt: skip
    return LayerResult(out, h_n, c_n, saved if save else None)


def layer_backward(
    kind: str,
    d_out: Array | None,
    d_h_n: Array | None,
    d_c_n: Array | None,
    x: Array,
    lengths: Array,
    weights: Sequence[Weights],
    saved: Sequence[Saved],
    out: Array,
    h0: Array | None = None,
    c0: Array | None = None,
    *,
    h_mask: Array | None = None,
    need_d_x: bool = True,
) -> LayerGradients:
    """Gradients of :func:`layer_forward`. ``d_out`` ``(total, directions*hidden)``, ``d_h_n`` and ``d_c_n``
    ``(directions, batch, hidden)``; ``None`` means zeros. ``saved`` and ``out`` stay unchanged.

    Raises:
        ValueError, TypeError, RuntimeError: as :func:`layer_forward`.
    """
    extension = library.native()
    gates, dtype, (total, inputs) = gate_count(kind), x.dtype, x.shape
    hidden = _check_weights(weights, gates, inputs, dtype)
    lengths = check_lengths(lengths, total)
    count, batch = len(weights), len(lengths)
    states = (count, batch, hidden)
    check("x", x, (total, inputs), dtype)
    check("out", out, (total, count * hidden), dtype)
    check("d_out", d_out, (total, count * hidden), dtype)
    for name, state in (("h0", h0), ("c0", c0), ("d_h_n", d_h_n), ("d_c_n", d_c_n), ("h_mask", h_mask)):
        check(name, state, states, dtype)
    if len(saved) != count or (gates > 1 and any(s.gates is None or s.cells is None for s in saved)):
        raise ValueError("saved does not come from a forward pass of this layer with save=True")
    d_x = empty((total, inputs), dtype) if need_d_x else None
    d_h0 = empty(states, dtype)
    d_c0 = empty(states, dtype) if kind == "lstm" else None
    gradients: list[Weights] = []
    directions = []
    for d, (w, kept) in enumerate(zip(weights, saved, strict=True)):
        check("saved.gates", kept.gates, (total, gates * hidden), dtype)
        check("saved.cells", kept.cells, (total, hidden), dtype)
        bias = (gates * hidden,)
        gradient = Weights(
            empty(w.w_ih.shape, dtype), empty(w.w_hh.shape, dtype), empty(bias, dtype), empty(bias, dtype)
        )
        gradients.append(gradient)
        part = slice(d * hidden, (d + 1) * hidden)
        directions.append((
            d == 1, w.w_hh, _part(h0, d), _part(c0, d), _part(h_mask, d), kept.gates, kept.cells,
            out[:, part], None if d_out is None else d_out[:, part], _part(d_h_n, d), _part(d_c_n, d),
            empty((total, gates * hidden), dtype), empty((total, hidden), dtype) if kind == "gru" else None,
            d_h0[d], _part(d_c0, d), gradient.w_hh, gradient.b_hh,
            x, w.w_ih, gradient.w_ih, gradient.b_ih, d_x,
        ))  # fmt: skip
    run = getattr(extension, "backward" + suffix(dtype))
    run(
        KIND_NUMBERS[kind],
        hidden,
        inputs,
        lengths,
        total,
        directions,
        library.get_num_threads(),
        library.isa_number(),
    )
    return LayerGradients(d_x, d_h0, d_c0, gradients)


def infer_layer(
    kind: str,
    x: Array,
    lengths: Array,
    weights: Sequence[Weights] | PreparedWeights,
    h0: Array | None = None,
    c0: Array | None = None,
    *,
    rows: Array | None = None,
) -> LayerResult:
    """:func:`layer_forward` for prediction. Without the extension it runs on numpy, after one warning."""
    if library.available():
        return layer_forward(kind, x, lengths, weights, h0, c0, rows=rows)
    library.notify_missing()
    weights = weights.weights if isinstance(weights, PreparedWeights) else weights
    _check_weights(weights, gate_count(kind), x.shape[1], x.dtype)
    values = x if rows is None else x[rows]
    return LayerResult(
        *infer_layer_numpy(kind, values, check_lengths(lengths, len(values)), weights, h0, c0), None
    )
