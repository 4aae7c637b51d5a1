"""A model's answers against the labels of a file."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from unrolled.data.records import Record
from unrolled.errors import DataError
from unrolled.runtime import metrics

_CHUNK = 8192
# From so many classes on, the confusion matrix would be larger than most models.
_MOST_CONFUSION_CLASSES = 1000

Labelled = Record | tuple[str, Any]
Answer = Callable[[list[str]], np.ndarray]


def evaluate_single(records: Iterable[Labelled], labels: Sequence[str], answer: Answer) -> dict[str, Any]:
    """Figures of a task with one label a text.

    A label that the model does not know is a class of its own, which is never predicted: its texts count as
    wrong, and ``unseen_labels`` says how many there were of each.

    Args:
        records: texts with a string each.
        labels: of the model, in the order of the columns that ``answer`` gives.
        answer: texts -> probabilities ``(n, labels)``.

    Returns:
        ``n``, ``accuracy``, ``macro_f1``, ``calibration_error``, ``per_class``, ``confusion`` (``labels`` and
        ``matrix``: rows true, columns predicted; ``None`` above 1000 classes) and ``unseen_labels``.

    Raises:
        DataError: no records, or a label that is not a string.
    """
    number = {label: index for index, label in enumerate(labels)}
    truth: list[int] = []
    predicted: list[np.ndarray] = []
    confidence: list[np.ndarray] = []
    for texts, found in _chunks(records):
        for label in found:
            if not isinstance(label, str):
                raise _wrong_label(len(truth), label, "one label a text, a string")
            truth.append(number.setdefault(label, len(number)))
        probabilities = answer(texts)
        predicted.append(probabilities.argmax(axis=1))
        confidence.append(probabilities.max(axis=1))
    if not truth:
        raise _nothing()
    names = list(number)
    true, guess = np.array(truth), np.concatenate(predicted)
    counts = metrics.Counts.of_classes(true, guess, len(names))
    confusion: dict[str, Any] | None = None
    if len(names) <= _MOST_CONFUSION_CLASSES:
        matrix = metrics.confusion_matrix(true, guess, len(names)).tolist()
        confusion = {"labels": names, "matrix": matrix}
    unseen = Counter(
        {name: int(counts.support[index]) for name, index in number.items() if index >= len(labels)}
    )
    return {
        "n": len(true),
        "accuracy": metrics.accuracy(true, guess),
        "macro_f1": counts.macro_f1,
        "calibration_error": metrics.expected_calibration_error(np.concatenate(confidence), true == guess),
        "per_class": counts.report(names),
        "confusion": confusion,
        "unseen_labels": dict(unseen.most_common()),
    }


def evaluate_multi(records: Iterable[Labelled], labels: Sequence[str], answer: Answer) -> dict[str, Any]:
    """Figures of a task with several labels a text; a probability of 0.5 and more is a yes.

    A label that the model does not know makes its text a wrong one for ``exact_match``, and is a miss for
    both F1 figures.

    Args:
        records: texts with a list of strings each.
        labels: of the model.
        answer: texts -> probabilities ``(n, labels)``.

    Returns:
        ``n``, ``exact_match``, ``micro_f1``, ``macro_f1``, ``per_class``, ``unseen_labels``.

    Raises:
        DataError: no records, or a label that is not a list of strings.
    """
    number = {label: index for index, label in enumerate(labels)}
    none = np.zeros(len(labels), dtype=np.int64)
    counts = metrics.Counts(none, none, none)
    unseen: Counter[str] = Counter()
    exact = n = 0
    for texts, found in _chunks(records):
        truth = np.zeros((len(texts), len(labels)), dtype=np.bool_)
        known = np.ones(len(texts), dtype=np.bool_)
        for position, several in enumerate(found):
            if not isinstance(several, (list, tuple)) or not all(isinstance(label, str) for label in several):
                raise _wrong_label(n + position, several, "a list of labels a text")
            for label in set(several):
                if label in number:
                    truth[position, number[label]] = True
                else:
                    unseen[label] += 1
                    known[position] = False
        guess = answer(texts) >= 0.5
        counts += metrics.Counts.of_labels(truth, guess)
        exact += int(((truth == guess).all(axis=1) & known).sum())
        n += len(texts)
    if not n:
        raise _nothing()
    missed = np.array(list(unseen.values()), dtype=np.int64)
    counts = metrics.Counts(
        np.concatenate([counts.hits, 0 * missed]),
        np.concatenate([counts.predicted, 0 * missed]),
        np.concatenate([counts.support, missed]),
    )
    return {
        "n": n,
        "exact_match": exact / n,
        "micro_f1": counts.micro_f1,
        "macro_f1": counts.macro_f1,
        "per_class": counts.report([*labels, *unseen]),
        "unseen_labels": dict(unseen.most_common()),
    }


def evaluate_regression(records: Iterable[Labelled], answer: Answer) -> dict[str, Any]:
    """Figures of a regression: ``n``, ``mae``, ``rmse``, ``r2``, ``pearson``.

    Args:
        records: texts with a number each.
        answer: texts -> ``(n,)``.

    Raises:
        DataError: no records, or a label that is not a finite number.
    """
    truth: list[float] = []
    predicted: list[np.ndarray] = []
    for texts, found in _chunks(records):
        for number in found:
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
                raise _wrong_label(len(truth), number, "a finite number")
            truth.append(float(number))
        predicted.append(answer(texts))
    if not truth:
        raise _nothing()
    return {"n": len(truth), **metrics.regression_scores(np.array(truth), np.concatenate(predicted))}


def _chunks(records: Iterable[Labelled]) -> Iterator[tuple[list[str], list[Any]]]:
    rest = iter(records)
    while chunk := list(itertools.islice(rest, _CHUNK)):
        pairs = [(item.text, item.label) if isinstance(item, Record) else item for item in chunk]
        yield [text for text, _ in pairs], [label for _, label in pairs]


def _wrong_label(index: int, label: object, expected: str) -> DataError:
    return DataError(f"record {index + 1} has the label {label!r}, but this model expects {expected}")


def _nothing() -> DataError:
    return DataError("there is nothing to evaluate: no labelled records")
