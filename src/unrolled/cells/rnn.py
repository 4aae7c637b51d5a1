"""The simple recurrent cell (Elman 1990), one time step.

    a_t = tanh(W_ax x_t + W_aa a_{t-1} + b_a)
    y_t = softmax(W_ya a_t + b_y)

The same step is often written with the input and the state joined to one row, ``h_t = tanh([x_t ; h_{t-1}]
[W_x ; W_h])``. :func:`rnn_step` and :func:`rnn_step_joined` are these two forms.
"""

from __future__ import annotations

from collections.abc import Callable

from unrolled.cells.arrays import Array, CellWeights, affine, namespace, relu, softmax, tanh

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"tanh": tanh, "relu": relu}


def rnn_step(
    x: Array, a: Array, w: CellWeights, *, activation: str = "tanh", mask: Array | None = None
) -> Array:
    """One step of the first form: ``a_t = tanh(W_ax x_t + W_aa a_{t-1} + b_a)``.

    Args:
        x: input of this step, ``(batch, input)`` or ``(input,)``.
        a: state of the step before, ``(batch, hidden)`` or ``(hidden,)``.
        w: ``W_ax``, ``W_aa`` and ``b_a``, the latter as the sum of torch's two biases.
        activation: ``"tanh"`` or ``"relu"``.
        mask: variational dropout (Gal and Ghahramani 2016), shape of ``a``; multiplies ``a_{t-1}`` before
            ``W_aa``.

    Returns:
        The new state ``a_t``, shape of ``a``.
    """
    W_ax, W_aa, b_x, b_h = w
    a_in = a if mask is None else a * mask
    return ACTIVATIONS[activation](affine(x, W_ax, b_x) + affine(a_in, W_aa, b_h))


def rnn_step_joined(x: Array, h: Array, W_x: Array, W_h: Array, b: Array | float = 0.0) -> Array:
    """One step of the second form: ``h_t = tanh([x_t ; h_{t-1}] [W_x ; W_h] + b)``.

    Args:
        x: ``(batch, input)`` or ``(input,)``.
        h: ``(batch, hidden)`` or ``(hidden,)``.
        W_x: ``(input, hidden)``; the transpose of ``W_ax``.
        W_h: ``(hidden, hidden)``; the transpose of ``W_aa``.
        b: ``(hidden,)``.

    Returns:
        The new state ``h_t``, shape of ``h``.
    """
    xp = namespace(x)
    return tanh(xp.concatenate([x, h], axis=-1) @ xp.concatenate([W_x, W_h], axis=0) + b)


def rnn_output(a: Array, W_ya: Array, b_y: Array | None = None) -> Array:
    """The answer of a step: ``y_t = softmax(W_ya a_t + b_y)``.

    Args:
        a: state, ``(batch, hidden)`` or ``(hidden,)``; the ``h_t`` of an LSTM or GRU serves as well.
        W_ya: ``(classes, hidden)``.
        b_y: ``(classes,)``.

    Returns:
        Probabilities ``(batch, classes)`` or ``(classes,)``; they sum to 1.
    """
    return softmax(affine(a, W_ya, b_y))
