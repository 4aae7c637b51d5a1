"""The states of all steps of a text become one vector; on packed texts, a step of all at once."""

from __future__ import annotations

import numpy as np

from unrolled.runtime.packing import Packed


def mean(states: np.ndarray, packed: Packed) -> np.ndarray:
    """``(total, width) -> (batch, width)``; an empty text gives zeros, here and below."""
    pooled = np.zeros((packed.batch, states.shape[1]), dtype=np.float32)
    for start, count in zip(packed.starts, packed.counts, strict=True):
        pooled[:count] += states[start : start + count]
    pooled /= np.maximum(packed.lengths, 1)[:, None].astype(np.float32)
    return pooled


def maximum(states: np.ndarray, packed: Packed) -> np.ndarray:
    """``(total, width) -> (batch, width)``."""
    pooled = np.zeros((packed.batch, states.shape[1]), dtype=np.float32)
    for step, (start, count) in enumerate(zip(packed.starts, packed.counts, strict=True)):
        if step:
            np.maximum(pooled[:count], states[start : start + count], out=pooled[:count])
        else:
            pooled[:count] = states[:count]
    return pooled


def last(states: np.ndarray, packed: Packed, bidirectional: bool) -> np.ndarray:
    """``(total, width) -> (batch, width)``: the state of each direction after it has read the whole text.

    The backward direction, the second half of a state, ends at the first step.
    """
    pooled = np.zeros((packed.batch, states.shape[1]), dtype=np.float32)
    filled = len(packed.last)
    half = states.shape[1] // 2 if bidirectional else states.shape[1]
    pooled[:filled, :half] = states[packed.last, :half]
    pooled[:filled, half:] = states[:filled, half:]
    return pooled


def attention(states: np.ndarray, packed: Packed, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """``(total, width) -> (batch, width)``: ``sum_t softmax_t(w . tanh(y_t) + b) y_t`` (Zhou et al. 2016).

    Args:
        states: packed.
        packed: the layout.
        weight: ``(1, width)``.
        bias: ``(1,)``.
    """
    scores = np.tanh(states) @ weight[0] + bias[0]
    highest = maximum(scores[:, None], packed)[:, 0]
    scores -= highest[packed.sequence]
    np.exp(scores, out=scores)
    total = np.bincount(packed.sequence, scores, minlength=packed.batch).astype(np.float32)
    scores /= total[packed.sequence]
    pooled = np.zeros((packed.batch, states.shape[1]), dtype=np.float32)
    for start, count in zip(packed.starts, packed.counts, strict=True):
        stop = start + count
        pooled[:count] += scores[start:stop, None] * states[start:stop]
    return pooled
