"""All parameters of a model but the embedding table, laid end to end in one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Parameters begin at multiples of this many floats (64 bytes), as matrix kernels like it.
_ALIGNMENT = 16


class FlatParameters:
    """One vector of weights and one of gradients, of which the parameters are views.

    Optimiser, clipping, averaging, checkpoint and the exchange of gradients between processes then each work
    on one tensor instead of a dozen small ones.

    Args:
        parameters: by name. Each one's data moves into the common vector.

    Attributes:
        values: ``(n,)``.
        gradient: ``(n,)``; backward passes add to it.
    """

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        spans, size = {}, 0
        for name, parameter in parameters.items():
            spans[name] = (size, parameter.shape)
            size += -(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT
        self._spans = spans
        self.values = torch.zeros(size)
        self.gradient = torch.zeros(size)
        inside, gradients = self.named(self.values), self.named(self.gradient)
        for name, parameter in parameters.items():
            inside[name].copy_(parameter.data)
            parameter.data = inside[name]
            parameter.grad = gradients[name]

    def named(self, vector: Tensor) -> dict[str, Tensor]:
        """Views of a vector laid out as ``values``, under the parameters' names and shapes."""
        return {
            name: vector[start : start + shape.numel()].view(shape)
            for name, (start, shape) in self._spans.items()
        }
