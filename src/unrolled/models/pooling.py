"""Pooling: the states of all steps of a text become one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unrolled.layers import ragged
from unrolled.layers.layout import Layout


class AttentionPooling(nn.Linear):
    """Weighted mean of the states, the weights learned.

    ``score_t = w . tanh(y_t) + b``, softmax over the steps of a text, ``sum_t weight_t y_t`` (Zhou et al.
    2016, "Attention-Based Bidirectional LSTM Networks for Relation Classification").

    Args:
        width: size of a state.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, 1)

    def pool(self, states: Tensor, layout: Layout) -> Tensor:
        """``(total, width) -> (batch, width)``; an empty text gives zeros."""
        weights = ragged.segment_softmax(self(states.tanh()), layout)
        return ragged.segment_sum(weights * states, layout)


def last_state(states: Tensor, layout: Layout, bidirectional: bool) -> Tensor:
    """The state after the whole text has been read: ``(total, width) -> (batch, width)``.

    With two directions the second half of a state comes from the backward one, which ends at the first step.
    """
    if not bidirectional:
        return ragged.last(states, layout)
    half = states.shape[1] // 2
    return torch.cat([ragged.last(states[:, :half], layout), ragged.first(states[:, half:], layout)], dim=1)
