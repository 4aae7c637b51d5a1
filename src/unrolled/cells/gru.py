"""The gated recurrent unit (Cho et al. 2014), one time step, in the form that torch and cuDNN compute.

    r   = sigmoid(W_x x_t + b_x + W_h h_{t-1} + b_h)    each gate with its own weights
    z   = sigmoid(W_x x_t + b_x + W_h h_{t-1} + b_h)
    n   = tanh(W_x x_t + b_x + r * (W_h h_{t-1} + b_h))
    h_t = (1 - z) * n + z * h_{t-1}

The reset gate acts after the recurrent product, not before it as in the paper; so ``n`` needs two biases.
"""

from __future__ import annotations

from typing import NamedTuple

from unrolled.cells.arrays import Array, CellWeights, affine, sigmoid, tanh


class GRUStep(NamedTuple):
    """What one step computes; each ``(batch, hidden)`` or ``(hidden,)``."""

    h: Array
    """The new state, ``(1 - z) * n + z * h_before``."""
    r: Array
    """Reset gate, 0 to 1: how much of the old state the candidate sees."""
    z: Array
    """Update gate, 0 to 1: how much of the old state is kept."""
    n: Array
    """The candidate, -1 to 1."""


def gru_step(x: Array, h: Array, w: CellWeights, *, mask: Array | None = None) -> GRUStep:
    """One step.

    Args:
        x: input of this step, ``(batch, input)`` or ``(input,)``.
        h: state of the step before, ``(batch, hidden)`` or ``(hidden,)``.
        w: the weights, gates stacked in the order r, z, n.
        mask: variational dropout (Gal and Ghahramani 2016), shape of ``h``; multiplies ``h_{t-1}`` before
            ``W_h``.

    Returns:
        The new state, and the gates that made it.
    """
    h_in = h if mask is None else h * mask
    x_r, x_z, x_n = (affine(x, u.W_x, u.b_x) for u in w.gates())
    h_r, h_z, h_n = (affine(h_in, u.W_h, u.b_h) for u in w.gates())
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = tanh(x_n + r * h_n)
    h = (1 - z) * n + z * h
    return GRUStep(h, r, z, n)
