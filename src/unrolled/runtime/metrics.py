"""How good answers are: classes, several labels a text, numbers, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypedDict

import numpy as np


class ClassScores(TypedDict):
    """Figures of one class. A figure whose denominator is 0 is 0."""

    precision: float
    recall: float
    f1: float
    support: int


class RegressionScores(TypedDict):
    """Figures of a regression. ``r2`` is ``None`` for a constant truth, ``pearson`` for either constant."""

    mae: float
    rmse: float
    r2: float | None
    pearson: float | None


@dataclass(frozen=True)
class Counts:
    """What precision, recall and F1 are made of; adding counts joins parts of a file.

    Args:
        hits: ``(classes,)`` int64, how often a class was rightly predicted.
        predicted: ``(classes,)`` int64, how often it was predicted.
        support: ``(classes,)`` int64, how often it is the truth.
    """

    hits: np.ndarray
    predicted: np.ndarray
    support: np.ndarray

    @classmethod
    def of_classes(cls, truth: np.ndarray, predicted: np.ndarray, classes: int) -> Self:
        """One class a text; both ``(n,)`` class numbers."""
        return cls(
            np.bincount(truth[truth == predicted], minlength=classes),
            np.bincount(predicted, minlength=classes),
            np.bincount(truth, minlength=classes),
        )

    @classmethod
    def of_labels(cls, truth: np.ndarray, predicted: np.ndarray) -> Self:
        """Several labels a text; both ``(n, labels)`` bool."""
        return cls((truth & predicted).sum(axis=0), predicted.sum(axis=0), truth.sum(axis=0))

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.hits + other.hits, self.predicted + other.predicted, self.support + other.support)

    @property
    def f1(self) -> np.ndarray:
        """``(classes,)``, the harmonic mean of precision and recall; 0 for a class that never occurs."""
        both = self.predicted + self.support
        return np.where(both > 0, 2 * self.hits / np.maximum(both, 1), 0.0)

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that occur as truth or as prediction (as scikit-learn counts)."""
        occurs = (self.predicted + self.support) > 0
        return float(self.f1[occurs].mean()) if occurs.any() else 0.0

    @property
    def micro_f1(self) -> float:
        """F1 of all decisions taken together."""
        return ratio(2 * int(self.hits.sum()), int(self.predicted.sum()) + int(self.support.sum()))

    def report(self, names: Sequence[str]) -> dict[str, ClassScores]:
        """Name of each class -> its figures."""
        rows = zip(names, self.hits.tolist(), self.predicted.tolist(), self.support.tolist(), strict=True)
        return {name: class_scores(hits, said, was) for name, hits, said, was in rows}


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of equal entries; both ``(n,)``."""
    return float(np.mean(truth == predicted))


def exact_match(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of texts whose set of labels is exactly right; both ``(n, labels)`` bool."""
    return float((truth == predicted).all(axis=1).mean())


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts ``(classes, classes)`` int64, row true, column predicted; both ``(n,)`` class numbers."""
    counts = np.bincount(truth.astype(np.int64) * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy (Naeini et al. 2015; Guo et al. 2017); 0 is perfect.

    Args:
        confidence: ``(n,)``, probability of the predicted class, in [0, 1].
        correct: ``(n,)`` bool.
        bins: number of bins of equal width, closed on the right.
    """
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    difference = np.bincount(place, confidence - correct.astype(np.float64), minlength=bins)
    return float(np.abs(difference).sum() / len(confidence))


def regression_scores(truth: np.ndarray, predicted: np.ndarray) -> RegressionScores:
    """Mean absolute error, root mean squared error, coefficient of determination, Pearson's correlation.

    Args:
        truth: ``(n,)`` float.
        predicted: ``(n,)`` float.
    """
    truth, predicted = truth.astype(np.float64), predicted.astype(np.float64)
    error = predicted - truth
    truth_off, predicted_off = truth - truth.mean(), predicted - predicted.mean()
    # Not by the sums of squares: of a constant series they need not be exactly 0.
    varied, both_varied = np.ptp(truth) > 0, np.ptp(truth) > 0 and np.ptp(predicted) > 0
    norms = float(np.linalg.norm(truth_off)) * float(np.linalg.norm(predicted_off))
    return RegressionScores(
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt(np.mean(error**2))),
        r2=1.0 - float(error @ error) / float(truth_off @ truth_off) if varied else None,
        pearson=float(truth_off @ predicted_off) / norms if both_varied else None,
    )


def class_scores(hits: int, predicted: int, support: int) -> ClassScores:
    """Figures of one class, from how often it was rightly predicted, predicted at all, and the truth."""
    return ClassScores(
        precision=ratio(hits, predicted),
        recall=ratio(hits, support),
        f1=ratio(2 * hits, predicted + support),
        support=support,
    )


def ratio(part: int, whole: int) -> float:
    """A share; 0 of nothing."""
    return part / whole if whole else 0.0
