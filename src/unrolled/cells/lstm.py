"""The long short-term memory cell (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000), one time
step.

f, i, o = sigmoid(W_x x_t + W_h h_{t-1} + b)    each gate with its own weights
g       = tanh(W_x x_t + W_h h_{t-1} + b)
c_t     = f * c_{t-1} + i * g
h_t     = o * tanh(c_t)
"""

from __future__ import annotations

from typing import NamedTuple

from unrolled.cells.arrays import Array, CellWeights, affine, sigmoid, tanh


class LSTMStep(NamedTuple):
    """What one step computes; each ``(batch, hidden)`` or ``(hidden,)``."""

    h: Array
    """The output, ``o * tanh(c)``."""
    c: Array
    """The cell state, ``f * c_before + i * g``."""
    i: Array
    """Input gate, 0 to 1: how much of ``g`` is written."""
    f: Array
    """Forget gate, 0 to 1: how much of the old cell state is kept."""
    g: Array
    """The candidate, -1 to 1."""
    o: Array
    """Output gate, 0 to 1: how much of the cell state is shown."""


def lstm_step(x: Array, h: Array, c: Array, w: CellWeights, *, mask: Array | None = None) -> LSTMStep:
    """One step.

    Args:
        x: input of this step, ``(batch, input)`` or ``(input,)``.
        h: output of the step before, ``(batch, hidden)`` or ``(hidden,)``.
        c: cell state of the step before, shape of ``h``.
        w: the weights, gates stacked in the order i, f, g, o.
        mask: variational dropout (Gal and Ghahramani 2016), shape of ``h``; multiplies ``h_{t-1}`` before
            ``W_h``.

    Returns:
        The new output and cell state, and the gates that made them.
    """
    h_in = h if mask is None else h * mask
    to_i, to_f, to_g, to_o = (affine(x, u.W_x, u.b_x) + affine(h_in, u.W_h, u.b_h) for u in w.gates())
    f, i, o = sigmoid(to_f), sigmoid(to_i), sigmoid(to_o)
    g = tanh(to_g)
    c = f * c + i * g
    h = o * tanh(c)
    return LSTMStep(h, c, i, f, g, o)
