"""Reductions of ragged batches against a loop over the sequences, with gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unrolled.layers.layout import Layout, place, take
from unrolled.layers.ragged import (
    first,
    last,
    reverse,
    segment_max,
    segment_mean,
    segment_softmax,
    segment_sum,
)

lengths_strategy = st.lists(st.integers(0, 6), max_size=7)

REDUCTIONS: dict[Callable[..., Tensor], Callable[[Tensor], Tensor]] = {
    segment_sum: lambda s: s.sum(0),
    segment_mean: lambda s: s.mean(0),
    segment_max: lambda s: s.amax(0),
    first: lambda s: s[0],
    last: lambda s: s[-1],
}
REARRANGEMENTS: dict[Callable[..., Tensor], Callable[[Tensor], Tensor]] = {
    segment_softmax: lambda s: torch.softmax(s, 0),
    reverse: lambda s: s.flip(0),
}


def sequences(values: Tensor, lengths: list[int]) -> list[Tensor]:
    starts = [sum(lengths[:b]) for b in range(len(lengths))]
    return [values[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def agree(ours: Tensor, brute: Tensor, values: Tensor) -> None:
    assert ours.shape == brute.shape
    torch.testing.assert_close(ours, brute)
    if ours.numel() == 0 or not ours.requires_grad:
        return
    upstream = torch.randn_like(ours)
    mine = torch.autograd.grad(ours, values, upstream)[0]
    # Where every sequence is empty, the brute force has no gradient at all.
    theirs = (
        torch.autograd.grad(brute, values, upstream, retain_graph=True)[0]
        if brute.requires_grad
        else torch.zeros_like(values)
    )
    torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("features", [(), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize("function", REDUCTIONS, ids=lambda f: f.__name__)
@settings(deadline=None, max_examples=25)
@given(lengths=lengths_strategy)
def test_reductions(function: Callable[..., Tensor], features: tuple[int, ...], lengths: list[int]) -> None:
    values = torch.randn(sum(lengths), *features, requires_grad=True, dtype=torch.float64)
    rows = [
        REDUCTIONS[function](s) if len(s) else values.new_zeros(features) for s in sequences(values, lengths)
    ]
    brute = torch.stack(rows) if rows else values.new_zeros(0, *features)
    agree(function(values, lengths), brute, values)
    agree(function(values, Layout(lengths)), brute, values)


@pytest.mark.parametrize("features", [(), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize("function", REARRANGEMENTS, ids=lambda f: f.__name__)
@settings(deadline=None, max_examples=25)
@given(lengths=lengths_strategy)
def test_rearrangements(
    function: Callable[..., Tensor], features: tuple[int, ...], lengths: list[int]
) -> None:
    values = torch.randn(sum(lengths), *features, requires_grad=True, dtype=torch.float64)
    rows = [REARRANGEMENTS[function](s) for s in sequences(values, lengths)]
    agree(
        function(values, torch.tensor(lengths, dtype=torch.int64)),
        torch.cat(rows) if rows else values,
        values,
    )


def test_max_gives_the_gradient_to_the_first_of_equals_and_keeps_nan() -> None:
    values = torch.tensor([1.0, 5.0, 5.0, -torch.inf, 2.0, torch.nan], requires_grad=True)
    result = segment_max(values, [3, 1, 2])
    assert result[:2].tolist() == [5, -torch.inf] and result[2].isnan()
    assert torch.autograd.grad(result[0], values)[0].tolist() == [0, 1, 0, 0, 0, 0]


def test_softmax_of_large_scores() -> None:
    assert segment_softmax(torch.tensor([1e30, 1e30, -1e30]), [2, 1]).tolist() == [0.5, 0.5, 1]


def test_lengths_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"sum\(lengths\) = 5, got shape \(4, 2\)"):
        segment_sum(torch.ones(4, 2), [2, 3])
    with pytest.raises(ValueError, match="sequence 1 has length -1"):
        Layout([2, -1])
    with pytest.raises(ValueError, match=r"shape \(batch,\), got \(1, 2\)"):
        Layout(torch.ones(1, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="float32"):
        Layout(torch.ones(2))


@settings(deadline=None, max_examples=50)
@given(lengths=lengths_strategy)
def test_slots_lead_to_each_order_and_back(lengths: list[int]) -> None:
    layout = Layout(lengths)
    values = torch.arange(sum(lengths), dtype=torch.float32)[:, None]
    rows = sequences(values, lengths)
    for slots in (layout.packed, layout.reversed):
        assert sorted(slots.tolist()) == list(range(layout.total))
    padded = place(values, layout.padded(7), len(lengths) * 7)
    for row, sequence in zip(padded.view(len(lengths), 7, 1), rows, strict=True):
        assert torch.equal(row, torch.cat([sequence, torch.zeros(7 - len(sequence), 1)]))
    assert torch.equal(take(padded, layout.padded(7)), values)
    assert torch.equal(take(take(values, layout.reversed), layout.reversed), values)
    if nonempty := [row for row in rows if len(row)]:
        packed = torch.nn.utils.rnn.pack_sequence(nonempty, enforce_sorted=False)
        assert torch.equal(place(values, layout.packed, layout.total), packed.data)
        assert torch.equal(layout.batch_sizes, packed.batch_sizes)
