"""Metrics against loops over their definitions, and against scikit-learn where it is installed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.runtime import metrics

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


@settings(deadline=None)
@given(pairs)
def test_classes(answers: list[tuple[int, int]]) -> None:
    truth, guess = (np.array(side) for side in zip(*answers, strict=True))
    matrix = metrics.confusion_matrix(truth, guess, 5)
    assert matrix.tolist() == [[answers.count((t, g)) for g in range(5)] for t in range(5)]
    assert metrics.accuracy(truth, guess) == pytest.approx(sum(t == g for t, g in answers) / len(answers))
    counts = metrics.Counts.of_classes(truth, guess, 5)
    f1 = []
    for c, scores in enumerate(counts.report("abcde").values()):
        hit = sum(t == g == c for t, g in answers)
        was, said = sum(t == c for t, _ in answers), sum(g == c for _, g in answers)
        assert scores["support"] == was
        assert scores["precision"] == pytest.approx(hit / said if said else 0)
        assert scores["recall"] == pytest.approx(hit / was if was else 0)
        harmonic = 2 * hit / (was + said) if was + said else 0
        assert scores["f1"] == pytest.approx(harmonic)
        assert counts.f1[c] == pytest.approx(harmonic)
        if was + said:
            f1.append(harmonic)
    assert counts.macro_f1 == pytest.approx(sum(f1) / len(f1))
    assert counts.micro_f1 == pytest.approx(metrics.accuracy(truth, guess))  # a known identity


sets = st.lists(st.tuples(st.sets(st.integers(0, 3)), st.sets(st.integers(0, 3))), min_size=1, max_size=20)


@settings(deadline=None)
@given(sets, st.integers(0, 20))
def test_labels(answers: list[tuple[set[int], set[int]]], cut: int) -> None:
    truth, guess = (
        np.array([[c in one for c in range(4)] for one in side]) for side in zip(*answers, strict=True)
    )
    assert metrics.exact_match(truth, guess) == pytest.approx(sum(t == g for t, g in answers) / len(answers))
    counts = metrics.Counts.of_labels(truth[:cut], guess[:cut]) + metrics.Counts.of_labels(
        truth[cut:], guess[cut:]
    )
    hits = sum(len(t & g) for t, g in answers)
    size = sum(len(t) + len(g) for t, g in answers)
    assert counts.micro_f1 == pytest.approx(2 * hits / size if size else 0)
    f1 = []
    for c in range(4):
        hit = sum(c in t and c in g for t, g in answers)
        both = sum((c in t) + (c in g) for t, g in answers)
        if both:
            f1.append(2 * hit / both)
    assert counts.macro_f1 == pytest.approx(sum(f1) / len(f1) if f1 else 0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 20))
def test_calibration_error(answers: list[tuple[float, bool]], bins: int) -> None:
    groups: dict[int, list[tuple[float, bool]]] = {}
    for confidence, correct in answers:
        groups.setdefault(max(math.ceil(confidence * bins), 1), []).append((confidence, correct))
    expected = sum(
        len(group) * abs(np.mean([c for c, _ in group]) - np.mean([float(r) for _, r in group]))
        for group in groups.values()
    ) / len(answers)
    confidence, correct = (np.array(side) for side in zip(*answers, strict=True))
    assert metrics.expected_calibration_error(confidence, correct, bins) == pytest.approx(expected, abs=1e-9)


def test_calibration_error_by_hand() -> None:
    error = metrics.expected_calibration_error(
        np.array([0.9, 0.9, 0.6]), np.array([True, False, True]), bins=10
    )
    assert error == pytest.approx((2 * abs(0.9 - 0.5) + 0.4) / 3)


numbers = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=1, max_size=30)


@settings(deadline=None)
@given(numbers)
def test_regression(answers: list[tuple[int, int]]) -> None:
    truth, guess = (np.array(side, dtype=np.float64) for side in zip(*answers, strict=True))
    scores = metrics.regression_scores(truth, guess)
    errors = [g - t for t, g in answers]
    assert scores["mae"] == pytest.approx(sum(map(abs, errors)) / len(errors))
    assert scores["rmse"] == pytest.approx(math.sqrt(sum(e * e for e in errors) / len(errors)))
    if len({t for t, _ in answers}) == 1:
        assert scores["r2"] is None
        assert scores["pearson"] is None
        return
    centre = sum(t for t, _ in answers) / len(answers)
    assert scores["r2"] == pytest.approx(
        1 - sum(e * e for e in errors) / sum((t - centre) ** 2 for t, _ in answers)
    )
    if len({g for _, g in answers}) == 1:
        assert scores["pearson"] is None
    else:
        assert scores["pearson"] == pytest.approx(np.corrcoef(truth, guess)[0, 1], abs=1e-9)


@settings(deadline=None)
@given(pairs)
def test_equals_scikit_learn(answers: list[tuple[int, int]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    truth, guess = (np.array(side) for side in zip(*answers, strict=True))
    counts = metrics.Counts.of_classes(truth, guess, 5)
    assert counts.macro_f1 == pytest.approx(sklearn.f1_score(truth, guess, average="macro", zero_division=0))
