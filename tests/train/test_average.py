"""The lazy average of the weights, against the sum written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unrolled.train.average import WeightAverage


def run(
    average: WeightAverage, dense: torch.Tensor, table: torch.Tensor, steps: range
) -> list[list[torch.Tensor]]:
    """Change some rows at each step; the weights after each step."""
    history = []
    for step in steps:
        rng = np.random.default_rng(step)
        rows = torch.from_numpy(np.sort(rng.choice(len(table), size=int(rng.integers(0, 4)), replace=False)))
        weights = table[rows]
        average.before_step(rows, weights)
        table[rows] = weights + torch.from_numpy(rng.standard_normal(weights.shape)).to(table.dtype)
        dense += torch.from_numpy(rng.standard_normal(dense.shape)).to(dense.dtype)
        average.after_step()
        history.append([dense.clone(), table.clone()])
    return history


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.9995])
@pytest.mark.parametrize("steps", [1, 2, 60])
def test_average_equals_the_weighted_sum_of_all_weights(decay: float, steps: int) -> None:
    dense, table = torch.ones(5), torch.full((10, 3), 2.0)
    average = WeightAverage(dense, table, decay)
    history = run(average, dense, table, range(steps))
    shares = np.array([decay ** (steps - 1 - step) for step in range(steps)])
    shares /= shares.sum()
    for got, weights in zip(average.averaged(), zip(*history, strict=True), strict=True):
        expected = sum(share * w.double() for share, w in zip(shares, weights, strict=True))
        np.testing.assert_allclose(got.double().numpy(), expected.numpy(), rtol=2e-5, atol=2e-5)


def test_no_step_gives_the_weights_themselves() -> None:
    dense, table = torch.ones(2), torch.ones(3, 2)
    got = WeightAverage(dense, table, 0.9).averaged()
    assert torch.equal(got[0], dense) and torch.equal(got[1], table)
    assert got[1] is not table


def test_asking_for_the_average_changes_nothing_and_its_state_goes_on() -> None:
    def start() -> tuple[WeightAverage, torch.Tensor, torch.Tensor]:
        dense, table = torch.ones(5), torch.full((10, 3), 2.0)
        return WeightAverage(dense, table, 0.97), dense, table

    whole, dense, table = start()
    run(whole, dense, table, range(20))
    expected = whole.averaged()
    first, dense, table = start()
    run(first, dense, table, range(9))
    first.averaged()
    second = WeightAverage(dense, table, 0.97)
    second.load_state(first.state())
    run(second, dense, table, range(9, 20))
    for got, wanted in zip(second.averaged(), expected, strict=True):
        assert torch.equal(got, wanted)
