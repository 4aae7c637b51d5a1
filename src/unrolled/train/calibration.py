"""Temperature: one number that makes probabilities mean what they say (Guo et al. 2017, "On Calibration of
Modern Neural Networks")."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from unrolled.runtime.wide import evidence
from unrolled.train.targets import UNSEEN, Targets

_LOWEST, _HIGHEST = 0.1, 10.0
#: Shares of network and wide part before, or without, a fit on dev data.
EQUAL_SHARES = (0.5, 0.5)
_LARGEST_SHARE = 10.0
_NEWTON_STEPS = 50
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


def fit_shares(given: np.ndarray, wide: np.ndarray, targets: Targets, task: str) -> tuple[float, float]:
    """How much network and wide part count, so that the dev labels are most probable.

    The negative log-likelihood of :func:`unrolled.runtime.wide.joined` is convex in both shares: Newton's
    method with step halving. A penalty worth about one text keeps the shares of a handful of texts near one
    half each. The fit is a calibration too: both shares together set how sure the model is.

    Args:
        given: ``(rows, labels)``, mean of the members' probabilities for dev texts.
        wide: ``(rows, labels)``, scores of the wide part.
        targets: theirs; labels that training never saw are left out.
        task: ``"single"`` or ``"multi"``.

    Returns:
        shares of the network and of the wide part, each between 0 and 10.
    """
    values = targets.values
    features = np.stack([evidence(given.astype(np.float64), task), wide.astype(np.float64)], axis=2)
    if task == "multi":
        # Each decision is one of two classes, the first of which scores 0.
        positive = features.reshape(-1, 1, 2)
        features = np.concatenate([np.zeros_like(positive), positive], axis=1)
        values = values.reshape(-1).astype(np.int64)
    else:
        features, values = features[values != UNSEEN], values[values != UNSEEN]
    rows = np.arange(len(values))
    centre = np.array(EQUAL_SHARES)

    def cost(shares: np.ndarray) -> tuple[float, np.ndarray]:
        scores = features @ shares
        scores -= scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return float(-logs[rows, values].sum() + np.square(shares - centre).sum()), np.exp(logs)

    shares, (now, p) = centre, cost(centre)
    for _ in range(_NEWTON_STEPS):
        mean = np.einsum("rl,rlk->rk", p, features)
        gradient = (mean - features[rows, values]).sum(axis=0) + 2 * (shares - centre)
        curvature = np.einsum("rl,rlk,rlm->km", p, features, features) - mean.T @ mean + 2 * np.eye(2)
        # A share at a bound that wants to cross it stays there.
        free = ((shares > 0) | (gradient < 0)) & ((shares < _LARGEST_SHARE) | (gradient > 0))
        step = np.zeros(2)
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        size = 1.0
        while size > 1e-8:
            tried = np.clip(shares - size * step, 0.0, _LARGEST_SHARE)
            then, p_then = cost(tried)
            if then < now:
                break
            size /= 2
        else:
            break
        shares, now, p = tried, then, p_then
    return float(shares[0]), float(shares[1])


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
