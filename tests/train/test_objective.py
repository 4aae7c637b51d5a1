"""Losses against torch's, scores and calibration against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from toy_training import small

from unrolled.train.calibration import fit_temperature, probabilities
from unrolled.train.objective import Objective
from unrolled.train.targets import UNSEEN, Targets

LOGITS = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
CLASSES = np.random.default_rng(0).choice(3, size=40, p=[0.6, 0.3, 0.1])


@pytest.mark.parametrize("weights", ["none", "balanced"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_single_loss_is_torchs_weighted_cross_entropy(weights: str, smoothing: float) -> None:
    targets = Targets(CLASSES, None)
    objective = Objective(small(class_weights=weights, label_smoothing=smoothing), targets, 3)
    numbers = objective.numbers(targets)
    balanced = (
        torch.tensor(40 / (3 * np.bincount(CLASSES)), dtype=torch.float32) if weights == "balanced" else None
    )
    expected = F.cross_entropy(LOGITS, torch.from_numpy(CLASSES), balanced, label_smoothing=smoothing)
    found = objective.total(LOGITS, numbers) / objective.weight(numbers)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    # Parts of a batch add up to the whole, as several processes need.
    parts = sum(float(objective.total(LOGITS[i::2], numbers[i::2])) for i in range(2))
    assert parts / objective.weight(numbers) == pytest.approx(float(expected), rel=1e-5)


def test_labels_that_training_never_saw_are_wrong_and_have_no_loss() -> None:
    objective = Objective(small(), Targets(CLASSES, None), 3)
    values = LOGITS.argmax(1).numpy().copy()
    values[:10] = UNSEEN
    targets = Targets(values, None)
    numbers = objective.numbers(targets)
    assert objective.score(LOGITS.numpy(), targets) == pytest.approx(0.75)
    expected = F.cross_entropy(LOGITS[10:], torch.from_numpy(values[10:]))
    found = objective.total(LOGITS, numbers) / objective.weight(numbers)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_multi_loss_and_score() -> None:
    values = np.random.default_rng(1).random((40, 3)) < 0.3
    targets = Targets(values, np.zeros(40, dtype=np.int64))
    objective = Objective(small(task="multi"), targets, 3)
    numbers = objective.numbers(targets)
    expected = F.binary_cross_entropy_with_logits(LOGITS, torch.from_numpy(values).float())
    assert float(objective.total(LOGITS, numbers) / objective.weight(numbers)) == pytest.approx(
        float(expected)
    )
    found = LOGITS.numpy() > 0
    hits, wrong, missed = (found & values).sum(), (found & ~values).sum(), (~found & values).sum()
    assert objective.score(LOGITS.numpy(), targets) == pytest.approx(2 * hits / (2 * hits + wrong + missed))
    unseen = Targets(values, np.ones(40, dtype=np.int64))
    assert objective.score(LOGITS.numpy(), unseen) == pytest.approx(
        2 * hits / (2 * hits + wrong + missed + 40)
    )


def test_regression_loss_is_standardised_and_the_score_is_not() -> None:
    values = np.random.default_rng(2).normal(500.0, 20.0, 40)
    targets = Targets(values, None)
    objective = Objective(small(task="regression"), targets, 1)
    standard = objective.numbers(targets)
    assert float(standard.mean()) == pytest.approx(0, abs=1e-5)
    assert float(standard.std(correction=0)) == pytest.approx(1, rel=1e-5)
    assert objective.score(standard[:, None].numpy(), targets) == pytest.approx(0, abs=1e-3)
    assert objective.score(np.zeros((40, 1), dtype=np.float32), targets) == pytest.approx(
        -values.std(), rel=1e-5
    )


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_temperature_is_recovered(true_temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((1, 40_000, 3))
    chances = probabilities(logits, true_temperature, "single")
    labels = (rng.random((len(chances), 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(max=2)
    found = fit_temperature(logits, Targets(labels, None), "single")
    assert found == pytest.approx(true_temperature, rel=0.05)
    yes = rng.random(chances.shape) < probabilities(logits, true_temperature, "multi")
    found = fit_temperature(logits, Targets(yes, np.zeros(len(yes))), "multi")
    assert found == pytest.approx(true_temperature, rel=0.05)


def test_temperature_of_a_few_perfect_answers_stays_sane() -> None:
    labels = np.array([0, 1, 0])
    logits = (10 * np.eye(2)[labels])[None]
    assert 0.3 < fit_temperature(logits, Targets(labels, None), "single") < 1.0
    logits = -logits  # all wrong
    assert 1.0 < fit_temperature(logits, Targets(labels, None), "single") <= 10.0


def test_probabilities_are_the_mean_over_members() -> None:
    logits = np.stack([LOGITS.numpy(), -LOGITS.numpy()])
    expected = (F.softmax(LOGITS.double() / 2, 1) + F.softmax(-LOGITS.double() / 2, 1)) / 2
    np.testing.assert_allclose(probabilities(logits, 2.0, "single"), expected.numpy(), rtol=1e-5)
    np.testing.assert_allclose(probabilities(logits, 2.0, "multi"), 0.5, rtol=1e-6)
