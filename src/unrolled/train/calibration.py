"""Temperature: one number that makes probabilities mean what they say (Guo et al. 2017, "On Calibration of
Modern Neural Networks")."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from unrolled.train.targets import UNSEEN, Targets

_LOWEST, _HIGHEST = 0.1, 10.0
_GOLDEN = (math.sqrt(5) - 1) / 2


def probabilities(logits: np.ndarray, temperature: float, task: str) -> np.ndarray:
    """Mean of the members' probabilities.

    Args:
        logits: ``(members, rows, labels)``.
        temperature: the scores are divided by it.
        task: ``"single"`` (softmax) or ``"multi"`` (sigmoid).

    Returns:
        ``(rows, labels)`` float64.
    """
    scaled = logits.astype(np.float64) / temperature
    if task == "multi":
        result: np.ndarray = (0.5 * (1 + np.tanh(0.5 * scaled))).mean(axis=0)
        return result
    scaled -= scaled.max(axis=2, keepdims=True)
    powers = np.exp(scaled)
    result = (powers / powers.sum(axis=2, keepdims=True)).mean(axis=0)
    return result


def fit_temperature(logits: np.ndarray, targets: Targets, task: str) -> float:
    """The temperature under which the dev labels are most probable.

    All members share it, and it is fitted on the mean of their probabilities: the very number given out.
    With one member the negative log-likelihood is convex in ``1 / T``, so that a golden-section search over
    ``log T`` finds its minimum. The term ``(log T)^2``, worth about as much as one text, keeps the
    temperature of a handful of texts near 1.

    Args:
        logits: ``(members, rows, labels)`` of dev texts.
        targets: theirs; labels that training never saw are left out.
        task: ``"single"`` or ``"multi"``.

    Returns:
        between 0.1 and 10.
    """
    values = targets.values
    if task == "single":
        known = values != UNSEEN
        logits, values = logits[:, known], values[known]

    def cost(log_temperature: float) -> float:
        given = probabilities(logits, math.exp(log_temperature), task)
        if task == "multi":
            right = np.where(values, given, 1.0 - given)
        else:
            right = given[np.arange(len(values)), values]
        return float(-np.log(np.maximum(right, 1e-300)).sum()) + log_temperature**2

    return math.exp(_minimum(cost, math.log(_LOWEST), math.log(_HIGHEST)))


def _minimum(cost: Callable[[float], float], low: float, high: float) -> float:
    """Golden-section search for the minimum of a function with one valley."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    cost_left, cost_right = cost(left), cost(right)
    while high - low > 1e-4:
        if cost_left <= cost_right:
            high, right, cost_right = right, left, cost_left
            left = high - _GOLDEN * (high - low)
            cost_left = cost(left)
        else:
            low, left, cost_left = left, right, cost_right
            right = low + _GOLDEN * (high - low)
            cost_right = cost(right)
    return (low + high) / 2
