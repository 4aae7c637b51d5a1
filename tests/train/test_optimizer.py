"""The row-wise Adam, the learning rate and gradient clipping, against torch's own."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from unrolled.engine import library
from unrolled.train.optimizer import AdamW, RowAdam, clip_scale
from unrolled.train.schedule import learning_rate


@pytest.fixture(params=["engine", "torch"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All of this with and without the compiled engine."""
    if request.param == "torch":
        monkeypatch.setattr(library, "_native", None)
    elif not library.available():
        pytest.skip(f"no compiled engine: {library.reason()}")
    return str(request.param)


def touched_rows(rng: np.random.Generator, rows: int, most: int) -> torch.Tensor:
    count = int(rng.integers(0, most + 1))
    return torch.from_numpy(np.sort(rng.choice(rows, size=count, replace=False)).astype(np.int32))


@pytest.mark.parametrize(("rows", "most"), [(50, 20), (3000, 2500)])  # less and more than one block
def test_row_adam_equals_torch_sparse_adam(rows: int, most: int) -> None:
    rng = np.random.default_rng(3)
    generator = torch.Generator().manual_seed(3)
    start = torch.randn(rows, 7, generator=generator)
    ours = RowAdam(start.clone(), betas=(0.85, 0.99), eps=1e-6)
    parameter = torch.nn.Parameter(start.clone())
    theirs = torch.optim.SparseAdam([parameter], betas=(0.85, 0.99), eps=1e-6)
    for step in range(25):
        touched = touched_rows(rng, rows, most)
        gradient = torch.randn(len(touched), 7, generator=generator) * 10.0 ** rng.integers(-6, 3)
        rate = 0.01 * (step + 1)
        scale = 0.5 ** (step % 3)
        ours.step(touched, gradient / scale, rate, scale)
        theirs.param_groups[0]["lr"] = rate
        with torch.sparse.check_sparse_tensor_invariants():
            parameter.grad = torch.sparse_coo_tensor(touched[None], gradient, (rows, 7))
        theirs.step()
    torch.testing.assert_close(ours.table, parameter.detach(), rtol=1e-6, atol=1e-6)
    assert not torch.equal(ours.table, start)


def test_row_adam_leaves_other_rows_alone() -> None:
    table = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    before = table.clone()
    adam = RowAdam(table)
    rows = torch.tensor([1, 4], dtype=torch.int32)
    adam.step(rows, torch.ones(2, 3), 0.1)
    others = [0, 2, 3, 5]
    assert torch.equal(table[others], before[others])
    assert float(adam.second[others].abs().max()) == 0
    assert not torch.equal(table[rows], before[rows])


def test_row_adam_goes_on_from_its_state() -> None:
    generator = torch.Generator().manual_seed(1)
    gradients = torch.randn(6, 4, 3, generator=generator)
    rows = torch.tensor([0, 2, 5, 7], dtype=torch.int32)

    def run(adam: RowAdam, steps: range) -> None:
        for step in steps:
            adam.step(rows, gradients[step], 0.01)

    whole = RowAdam(torch.ones(9, 3))
    run(whole, range(6))
    first = RowAdam(torch.ones(9, 3))
    run(first, range(3))
    second = RowAdam(first.table.clone())
    second.load_state(first.state())
    run(second, range(3, 6))
    assert torch.equal(whole.table, second.table)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw_equals_torchs(decay: float) -> None:
    generator = torch.Generator().manual_seed(4)
    start = torch.randn(50, generator=generator)
    parameter = torch.nn.Parameter(start.clone())
    theirs = torch.optim.AdamW([parameter], weight_decay=decay, betas=(0.85, 0.99), eps=1e-4)
    ours = AdamW(start.clone(), weight_decay=decay, betas=(0.85, 0.99), eps=1e-4)
    for step in range(30):
        gradient = torch.randn(50, generator=generator) * 10.0 ** (step % 7 - 5)
        rate = 0.01 * (step + 1)
        theirs.param_groups[0]["lr"] = rate
        parameter.grad = gradient.clone()
        theirs.step()
        if step == 10:
            resumed = AdamW(ours.values, weight_decay=decay, betas=(0.85, 0.99), eps=1e-4)
            resumed.load_state(ours.state())
            ours = resumed
        ours.step(gradient / 4, rate, 4.0)
    torch.testing.assert_close(ours.values, parameter.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clipping_equals_torch_over_all_parameters(limit: float) -> None:
    generator = torch.Generator().manual_seed(2)
    gradients = [torch.randn(shape, generator=generator) for shape in ((5, 4), (30,), (2, 3))]
    parameters = [torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    expected = torch.nn.utils.clip_grad_norm_(parameters, limit)
    norm, scale = clip_scale(gradients, limit)
    assert norm == pytest.approx(float(expected), rel=1e-6)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        torch.testing.assert_close(gradient * scale, parameter.grad, rtol=1e-5, atol=1e-7)


def test_limit_zero_means_no_clipping() -> None:
    norm, scale = clip_scale([torch.full((4,), 1e8)], 0.0)
    assert (norm, scale) == (pytest.approx(2e8), 1.0)


def test_clipping_shows_that_a_gradient_is_not_a_number() -> None:
    norm, _ = clip_scale([torch.tensor([1.0, math.nan])], 1.0)
    assert not math.isfinite(norm)


def test_learning_rate_rises_to_the_peak_and_falls_to_five_percent() -> None:
    total = 10_000
    rates = [learning_rate(step, total, 0.2) for step in range(total)]
    peak = int(np.argmax(rates))
    assert peak in (99, 100)
    assert rates[0] == pytest.approx(0.002)
    assert max(rates) == pytest.approx(0.2)
    assert all(a < b for a, b in pairwise(rates[:100]))
    assert all(a > b for a, b in pairwise(rates[100:]))
    assert rates[-1] == pytest.approx(0.01, rel=1e-3)
    assert rates[(total + 100) // 2] == pytest.approx(0.2 * 0.525, rel=1e-3)  # half way down the cosine


@pytest.mark.parametrize("total", [1, 2, 19, 40, 2000])
def test_learning_rate_of_short_trainings(total: int) -> None:
    rates = [learning_rate(step, total, 1.0) for step in range(total)]
    assert max(rates) == pytest.approx(1.0)
    assert min(rates) > 0
    assert int(np.argmax(rates)) <= max(0, total // 20)
