"""Batches by length: each index once, within the limits, nearly even, and decided by seed and epoch alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import OptionError
from unrolled.text.bucketing import length_batches


@given(
    st.lists(st.integers(0, 40), max_size=60),
    st.integers(1, 60),
    st.integers(1, 9),
    st.integers(0, 5),
    st.integers(0, 5),
    st.booleans(),
)
def test_every_index_once_within_the_limits(
    lengths: list[int], max_tokens: int, max_batch: int, seed: int, epoch: int, shuffle: bool
) -> None:
    def batches() -> list[list[int]]:
        found = length_batches(
            np.array(lengths, dtype=np.int64),
            max_tokens=max_tokens,
            max_batch=max_batch,
            seed=seed,
            epoch=epoch,
            shuffle=shuffle,
        )
        return [batch.tolist() for batch in found]

    first = batches()
    assert sorted(index for batch in first for index in batch) == list(range(len(lengths)))
    for batch in first:
        assert 1 <= len(batch) <= max_batch
        assert len(batch) == 1 or sum(lengths[i] for i in batch) <= max_tokens
    assert batches() == first
    if not shuffle:
        flat = [index for batch in first for index in batch]
        assert flat == sorted(flat, key=lambda i: (lengths[i], i))


def test_epochs_differ_and_batches_are_even() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 5000)
    options = {"max_tokens": 100_000, "max_batch": 64, "seed": 3}
    epochs = [length_batches(lengths, epoch=epoch, **options) for epoch in (0, 1)]
    as_sets = [{frozenset(batch.tolist()) for batch in epoch} for epoch in epochs]
    assert not as_sets[0] & as_sets[1]
    for epoch in epochs:
        padded = sum(len(batch) * int(lengths[batch].max()) for batch in epoch)
        assert padded < 1.15 * lengths.sum()
        # Batches do not come in the order of length.
        means = [lengths[batch].mean() for batch in epoch]
        assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.4
    other = length_batches(lengths, epoch=0, max_tokens=100_000, max_batch=64, seed=4)
    assert {frozenset(batch.tolist()) for batch in other} != as_sets[0]


@pytest.mark.parametrize(
    "wrong",
    [{"max_tokens": 0}, {"max_batch": 0}, {"seed": -1}, {"epoch": -1}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_refuses_limits_out_of_range(wrong: dict[str, int]) -> None:
    options = {"max_tokens": 1, "max_batch": 1, "seed": 0, "epoch": 0} | wrong
    with pytest.raises(OptionError):
        length_batches(np.array([1]), **options)
