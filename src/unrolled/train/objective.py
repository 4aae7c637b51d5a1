"""What training makes small, and what it is judged by on the dev data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unrolled.models import EncodedBatch
from unrolled.options import ClassifierOptions
from unrolled.runtime import metrics
from unrolled.train.targets import UNSEEN, Targets

#: Name of the dev score of each task; larger is better.
SCORE_NAMES = {"single": "accuracy", "multi": "micro-F1", "regression": "negative RMSE"}


class Objective:
    """Loss and score of one task.

    ========== ============================================================ ========================
    task       loss of a text                                               dev score
    ========== ============================================================ ========================
    single     cross-entropy, classes weighted, labels smoothed             accuracy
    multi      binary cross-entropy, mean over the labels                   micro-F1 at probability ½
    regression squared error of the standardised target                     minus RMSE, original unit
    ========== ============================================================ ========================

    Balanced class weights are ``rows / (labels * rows of the label)``; for several labels a text the positive
    side of a label weighs ``rows without / rows with`` it. The loss of a batch is the weighted mean over its
    texts, as in ``torch.nn.functional.cross_entropy``.

    Args:
        options: task, class weights, label smoothing.
        train: targets of the training rows.
        outputs: scores a text.
    """

    def __init__(self, options: ClassifierOptions, train: Targets, outputs: int) -> None:
        self.task = options.task
        self.outputs = outputs
        self.mean, self.std = 0.0, 1.0
        self._smoothing = options.label_smoothing
        self._weights: Tensor | None = None
        if self.task == "regression":
            self.mean, self.std = float(train.values.mean()), float(train.values.std())
        elif options.class_weights == "balanced":
            self._weights = torch.from_numpy(_balanced(train.values, outputs))

    def numbers(self, targets: Targets) -> Tensor:
        """The targets as the tensor that the loss takes."""
        if self.task == "regression":
            return torch.from_numpy(((targets.values - self.mean) / self.std).astype(np.float32))
        if self.task == "multi":
            return torch.from_numpy(targets.values.astype(np.float32))
        return torch.from_numpy(targets.values)

    def total(self, logits: Tensor, numbers: Tensor, *, smoothing: bool = True) -> Tensor:
        """Sum of the texts' weighted losses; :meth:`weight` is what to divide it by.

        Args:
            logits: ``(batch, outputs)``.
            numbers: of :meth:`numbers`, ``(batch,)`` or ``(batch, outputs)``.
            smoothing: spread the target as the options say; off for the dev loss, which keeps class weights.
        """
        spread = self._smoothing if smoothing else 0.0
        if self.task == "regression":
            return (logits[:, 0] - numbers).square().sum()
        if self.task == "multi":
            soft = numbers * (1 - spread) + 0.5 * spread
            losses = F.binary_cross_entropy_with_logits(
                logits, soft, reduction="none", pos_weight=self._weights
            )
            return losses.mean(dim=1).sum()
        return F.cross_entropy(
            logits, numbers, self._weights, reduction="sum", label_smoothing=spread, ignore_index=UNSEEN
        )

    def loss(self, model: nn.Module, batch: EncodedBatch, rows: Tensor, numbers: Tensor) -> Tensor:
        """:meth:`total` of what a model says, with ``rows`` in place of its embedding table."""
        return self.total(model(batch, rows=rows), numbers)

    def judge(
        self, weights: Mapping[str, Tensor], logits: np.ndarray, targets: Targets
    ) -> tuple[float, float]:
        """Mean loss, without smoothing, and score of a part.

        Args:
            weights: of the model; not looked at.
            logits: ``(rows, outputs)``.
            targets: theirs.
        """
        numbers = self.numbers(targets)
        total = float(self.total(torch.from_numpy(logits), numbers, smoothing=False))
        return total / max(self.weight(numbers), 1e-12), self.score(logits, targets)

    def weight(self, numbers: Tensor) -> float:
        """What the texts of a batch weigh together."""
        if self.task == "single":
            known = numbers[numbers != UNSEEN]
            return float(len(known)) if self._weights is None else float(self._weights[known].sum())
        return float(len(numbers))

    def score(self, logits: np.ndarray, targets: Targets) -> float:
        """The dev score, larger is better.

        Args:
            logits: ``(rows, outputs)``.
        """
        if self.task == "single":
            return metrics.accuracy(targets.values, logits.argmax(axis=1))
        if self.task == "multi":
            return label_counts_of(logits > 0, targets).micro_f1
        return -metrics.regression_scores(targets.values, self.in_units(logits))["rmse"]

    def in_units(self, logits: np.ndarray) -> np.ndarray:
        """Numbers ``(rows,)`` of a regression in the unit of its training data."""
        numbers: np.ndarray = logits[:, 0].astype(np.float64) * self.std + self.mean
        return numbers


def label_counts_of(found: np.ndarray, targets: Targets) -> metrics.Counts:
    """Hits and misses of several labels a text; a label that training never saw is one the model misses.

    Args:
        found: ``(rows, labels)`` bool.
        targets: theirs.
    """
    assert targets.unseen is not None
    counts = metrics.Counts.of_labels(targets.values, found)
    missed = np.array([int(targets.unseen.sum())])
    return metrics.Counts(
        np.append(counts.hits, 0), np.append(counts.predicted, 0), np.concatenate([counts.support, missed])
    )


def _balanced(values: np.ndarray, outputs: int) -> np.ndarray:
    rows = len(values)
    weights: Any
    if values.ndim == 2:
        positive = np.maximum(values.sum(axis=0), 1)
        weights = np.maximum(rows - positive, 1) / positive
    else:
        weights = rows / (outputs * np.maximum(np.bincount(values, minlength=outputs), 1))
    return np.asarray(weights, dtype=np.float32)
