"""The wide part at work: scores from a text's character n-grams, and how they join the network's answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unrolled import engine
from unrolled.text.batch import SequenceBatch
from unrolled.text.wide import TextNgrams

# Probabilities nearer to 0, and for several labels a text nearer to 1 too, count as this near.
_SMALLEST = 1e-30
_SMALLEST_OF_TWO = 1e-12


class Wide:
    """A linear model over the n-grams of a text.

    Args:
        kept: ``(rows,)`` int32, the buckets of n-grams that have a row.
        weight: ``(rows, labels)``.
        bias: ``(labels,)``.

    Raises:
        OptionError: ``kept`` is not ascending within the buckets.
    """

    def __init__(self, kept: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> None:
        self._ngrams = TextNgrams(kept)
        self._weight = weight
        self._bias = bias

    def encode(self, texts: Sequence[str]) -> SequenceBatch:
        """The rows of the distinct n-grams of each text."""
        return self._ngrams.encode(texts)

    def __call__(self, rows: SequenceBatch) -> np.ndarray:
        """Scores ``(texts, labels)`` float32."""
        scores: np.ndarray = engine.embedding_bag(self._weight, rows.values, rows.lengths) + self._bias
        return scores


def joined(given: np.ndarray, wide: np.ndarray, shares: tuple[float, float], task: str) -> np.ndarray:
    """Probabilities of network and wide part together: a weighted product of experts (Hinton 2002).

    ``softmax(s_1 log p + s_2 w)``; for several labels a text ``sigmoid(s_1 logit p + s_2 w)``.

    Args:
        given: ``(texts, labels)``, p, the mean of the members' probabilities; float64 for ``"multi"``.
        wide: ``(texts, labels)``, w.
        shares: ``(s_1, s_2)``.
        task: ``"single"`` or ``"multi"``.

    Returns:
        ``(texts, labels)``, of the type of ``given``.
    """
    scores = shares[0] * evidence(given, task) + shares[1] * wide
    result = sigmoid(scores) if task == "multi" else softmax(scores)
    return result.astype(given.dtype, copy=False)


def evidence(given: np.ndarray, task: str) -> np.ndarray:
    """``log p``, or ``logit p`` for several labels a text; finite for every p.

    The logit of a p close to 1 is told apart only in float64.
    """
    if task == "multi":
        inside = np.clip(given, _SMALLEST_OF_TWO, 1 - _SMALLEST_OF_TWO)
        logits: np.ndarray = np.log(inside) - np.log1p(-inside)
        return logits
    logs: np.ndarray = np.log(np.maximum(given, _SMALLEST))
    return logs


def softmax(scores: np.ndarray) -> np.ndarray:
    """Along the labels: ``(texts, labels) -> (texts, labels)``."""
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """Of each score, of any size, without overflow."""
    halved: np.ndarray = np.tanh(scores * np.float32(0.5))
    return (halved + np.float32(1)) * np.float32(0.5)
