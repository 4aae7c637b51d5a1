"""What the demo's model is compared with: the most frequent topic, and a linear model over word counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pairs = Sequence[tuple[str, str]]
Tokenize = Callable[[str], Sequence[str]]

_PENALTIES = (1e-5, 1e-4, 1e-3)
_STEPS = 300


@dataclass(frozen=True)
class Baseline:
    """A comparison's share of right answers; ``setting`` was chosen by the share on ``dev``."""

    dev: float
    test: float
    setting: str


def majority(train: Pairs, dev: Pairs, test: Pairs) -> Baseline:
    """Always the most frequent topic of the training part."""
    topic = Counter(label for _, label in train).most_common(1)[0][0]

    def share(part: Pairs) -> float:
        return sum(label == topic for _, label in part) / max(1, len(part))

    return Baseline(share(dev), share(test), topic)


def bag_of_words(train: Pairs, dev: Pairs, test: Pairs, tokenize: Tokenize) -> Baseline:
    """Multinomial logistic regression on word counts, blind to order; the L2 penalty is chosen on dev.

    Counts are damped by ``log(1 + count)`` and each text is scaled to length 1, the usual preparation. The
    convex objective (mean cross-entropy + penalty / 2 * ||W||^2) is minimised by full-batch gradient steps
    with Nesterov's momentum; words that training has not seen are left out.
    """
    words = {
        word: index
        for index, word in enumerate(dict.fromkeys(w for text, _ in train for w in tokenize(text)))
    }
    labels = {label: index for index, label in enumerate(dict.fromkeys(label for _, label in train))}
    parts = [_counts(part, words, tokenize) for part in (train, dev, test)]
    wanted = [
        np.array([labels.get(label, -1) for _, label in part], dtype=np.int64) for part in (train, dev, test)
    ]
    best: Baseline | None = None
    for penalty in _PENALTIES:
        weights = _fit(parts[0], wanted[0], len(labels), penalty)
        scores = [
            float(np.mean((x @ weights).argmax(1) == y)) if len(y) else 0.0
            for x, y in zip(parts, wanted, strict=True)
        ]
        if best is None or scores[1] > best.dev:
            best = Baseline(scores[1], scores[2], f"L2 {penalty:g}")
    assert best is not None
    return best


def _counts(pairs: Pairs, words: dict[str, int], tokenize: Tokenize) -> NDArray[np.float32]:
    """``(texts, words + 1)``: damped, scaled counts and a constant 1 for the bias."""
    matrix = np.zeros((len(pairs), len(words) + 1), dtype=np.float32)
    for row, (text, _) in enumerate(pairs):
        for word in tokenize(text):
            if word in words:
                matrix[row, words[word]] += 1
    np.log1p(matrix, out=matrix)
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
    matrix[:, -1] = 1
    return matrix


def _fit(x: NDArray[np.float32], y: NDArray[np.int64], classes: int, penalty: float) -> NDArray[np.float32]:
    """Weights ``(features, classes)`` of the penalised softmax regression; the bias is not penalised."""
    target = np.eye(classes, dtype=np.float32)[y]
    weights = np.zeros((x.shape[1], classes), dtype=np.float32)
    velocity = np.zeros_like(weights)
    shrink = np.full((x.shape[1], 1), penalty, dtype=np.float32)
    shrink[-1] = 0
    # Rows have norm sqrt(2) and softmax curves by 1/2 at most: the gradient's Lipschitz constant is about 1.
    step = 1.0
    for turn in range(_STEPS):
        momentum = turn / (turn + 3)
        ahead = weights + momentum * velocity
        scores = x @ ahead
        scores = np.exp(scores - scores.max(1, keepdims=True))
        scores /= scores.sum(1, keepdims=True)
        following = ahead - step * (x.T @ (scores - target) / len(y) + shrink * ahead)
        velocity, weights = following - weights, following
    return weights
