"""Bags, pooling and dropout masks: the engine and plain torch give the same, derivatives included."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from unrolled import engine
from unrolled.engine import library
from unrolled.layers import ragged
from unrolled.layers.arrays import on_engine
from unrolled.layers.bag import summed_rows
from unrolled.layers.dropout import dropout_mask

LENGTHS = [3, 0, 1, 6, 0]
ROWS, COUNTS = [4, 1, 0, 0, 4, 2, 4], [2, 0, 3, 1, 1]


@pytest.fixture(autouse=True)
def needs_engine() -> None:
    if not engine.available():
        pytest.skip(f"no compiled engine: {engine.reason()}")


def functions() -> dict[str, Callable[[Tensor], Tensor]]:
    generator = torch.Generator().manual_seed(3)
    texts = torch.rand(5, 4, generator=generator, dtype=torch.float64)
    tokens = torch.rand(10, generator=generator, dtype=torch.float64)
    rows, starts = torch.tensor(ROWS), torch.tensor(COUNTS).cumsum(0) - torch.tensor(COUNTS)
    weights = torch.rand(7, generator=generator, dtype=torch.float64)
    return {
        "sum": lambda x: ragged.segment_sum(x, LENGTHS),
        "mean": lambda x: ragged.segment_mean(x, LENGTHS),
        "max": lambda x: ragged.segment_max(x, LENGTHS),
        "mean and max": lambda x: ragged.segment_mean_and_max(x, LENGTHS),
        "softmax": lambda x: ragged.segment_softmax(x, LENGTHS),
        "scale": lambda x: ragged.scale(x, LENGTHS, texts.to(x.dtype), tokens.to(x.dtype)),
        "scale by sequence": lambda x: ragged.scale(x, LENGTHS, texts.to(x.dtype)),
        "scale by token": lambda x: ragged.scale(x, LENGTHS, by_token=tokens.to(x.dtype)),
        "bag": lambda x: summed_rows(x, rows.int(), starts),
        "weighted bag": lambda x: summed_rows(x, rows, starts, weights.to(x.dtype)),
    }


def values(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(10, 4, dtype=dtype, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", functions())
def test_engine_and_torch_agree(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    function, x = functions()[name], values(dtype)
    found = function(x)
    upstream = torch.randn(found.shape, dtype=dtype, generator=torch.Generator().manual_seed(2))
    gradient = torch.autograd.grad(found, x, upstream)[0]
    assert found.grad_fn is not None
    monkeypatch.setattr(library, "_native", None)
    assert not on_engine(x)
    plain = function(x)
    torch.testing.assert_close(found, plain)
    torch.testing.assert_close(gradient, torch.autograd.grad(plain, x, upstream)[0])


@pytest.mark.parametrize("name", functions())
def test_finite_differences_of_both_orders(name: str) -> None:
    function = functions()[name]
    assert torch.autograd.gradcheck(function, values())
    assert torch.autograd.gradgradcheck(function, values())


def test_transformed_and_half_precision_tensors_take_the_way_of_torch() -> None:
    x = values().detach()
    jacobian = torch.func.jacrev(lambda v: ragged.segment_max(v, LENGTHS))(x)
    assert jacobian.shape == (5, 4, 10, 4)
    assert not on_engine(x.to(torch.bfloat16))
    assert ragged.segment_mean(x.to(torch.bfloat16), LENGTHS).dtype == torch.bfloat16


def test_arrays_that_do_not_lie_in_order_are_copied() -> None:
    x = values().detach()
    torch.testing.assert_close(
        ragged.segment_mean_and_max(x.T.contiguous().T, LENGTHS), ragged.segment_mean_and_max(x, LENGTHS)
    )
    wide = torch.randn(10, 8, dtype=torch.float64)
    torch.testing.assert_close(
        ragged.segment_sum(wide[:, ::2], LENGTHS), ragged.segment_sum(wide[:, ::2].contiguous(), LENGTHS)
    )


def test_bag_equals_torchs_own() -> None:
    table = values().detach()
    rows, starts = torch.tensor(ROWS), torch.tensor([0, 2, 2, 5, 6])
    torch.testing.assert_close(
        summed_rows(table, rows, starts), F.embedding_bag(rows, table, starts, mode="sum")
    )
    assert summed_rows(table, rows[:0], starts[:0]).shape == (0, 4)


def test_masks_repeat_with_torchs_seed_and_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    like = torch.zeros(1)

    def masks() -> list[Tensor]:
        torch.manual_seed(5)
        return [dropout_mask(33, 7, drop=0.4, like=like), dropout_mask(20, drop=0.4, like=like.double())]

    first, second = masks()
    assert first.dtype == torch.float32 and second.dtype == torch.float64
    assert first.unique().tolist() == pytest.approx([0, 1 / 0.6])
    assert not torch.equal(first[0], first[1])
    assert set(dropout_mask(50, drop=0.5, like=like, keep_mean=False).tolist()) == {0.0, 1.0}
    assert all(torch.equal(a, b) for a, b in zip(masks(), (first, second), strict=True))
    monkeypatch.setattr(library, "_native", None)
    assert all(torch.equal(a, b) for a, b in zip(masks(), (first, second), strict=True))
