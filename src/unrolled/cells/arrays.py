"""The few array functions that the equations need, for numpy arrays and torch tensors alike.

The cells are written once. Given numpy arrays they are the ground truth of the torch-free runtime; given
torch tensors they carry gradients. torch is never imported here: who passes a tensor has imported it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A ``numpy.ndarray`` or a ``torch.Tensor``; the functions return the kind that they were given."""


def namespace(array: Array) -> ModuleType:
    """The library of an array: ``torch`` for a tensor, ``numpy`` otherwise."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(array, torch.Tensor) else np


def tanh(z: Array) -> Array:
    """Hyperbolic tangent."""
    return namespace(z).tanh(z)


def sigmoid(z: Array) -> Array:
    """``1 / (1 + exp(-z))``, written with tanh so that no ``z`` overflows."""
    return 0.5 * (1.0 + tanh(0.5 * z))


def relu(z: Array) -> Array:
    """``max(z, 0)``."""
    return z * (z > 0)


def softmax(z: Array) -> Array:
    """``exp(z) / sum(exp(z))`` over the last axis; the largest score is subtracted against overflow."""
    xp = namespace(z)
    e = xp.exp(z - xp.amax(z, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


class CellWeights(NamedTuple):
    """Weights of one cell, gates stacked as in torch's saved weights.

    ``G`` is the number of gates: 1 for the RNN, 4 for the LSTM (order i, f, g, o), 3 for the GRU (order r, z,
    n).
    """

    W_x: Array
    """``(G * hidden, input)``, from the input; torch's ``weight_ih``."""
    W_h: Array
    """``(G * hidden, hidden)``, from the previous state; torch's ``weight_hh``."""
    b_x: Array | None = None
    """``(G * hidden,)``, torch's ``bias_ih``; ``None`` is zero."""
    b_h: Array | None = None
    """``(G * hidden,)``, torch's ``bias_hh``; ``None`` is zero."""

    def gates(self) -> list[CellWeights]:
        """The weights of each gate on its own, in the stacked order."""
        hidden = self.W_h.shape[-1]
        blocks = [slice(start, start + hidden) for start in range(0, len(self.W_h), hidden)]
        return [CellWeights(*(None if w is None else w[block] for w in self)) for block in blocks]


def affine(x: Array, W: Array, b: Array | None) -> Array:
    """``W x + b`` for a vector ``x (input,)`` or for each row of ``x (batch, input)``."""
    return x @ W.T if b is None else x @ W.T + b
