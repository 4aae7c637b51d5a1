"""The ragged type against plain lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.text.batch import SequenceBatch

lists = st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=7), max_size=8)


def as_lists(batch: SequenceBatch) -> list[list[int]]:
    return [sequence.tolist() for sequence in batch]


@given(lists)
def test_round_trips(rows: list[list[int]]) -> None:
    batch = SequenceBatch.from_lists(rows)
    assert batch.values.dtype == np.int32
    assert batch.lengths.dtype == np.int64
    assert (len(batch), batch.total) == (len(rows), sum(map(len, rows)))
    assert as_lists(batch) == rows
    assert [batch[i].tolist() for i in range(len(rows))] == rows
    assert [batch[i - len(rows)].tolist() for i in range(len(rows))] == rows
    assert batch.offsets.tolist() == [sum(map(len, rows[:i])) for i in range(len(rows) + 1)]
    padded, mask = batch.to_padded(pad=9)
    longest = max(map(len, rows), default=0)
    assert padded.tolist() == [row + [9] * (longest - len(row)) for row in rows]
    assert mask.tolist() == [[True] * len(row) + [False] * (longest - len(row)) for row in rows]
    assert as_lists(SequenceBatch.from_padded(padded, batch.lengths)) == rows


@given(lists, st.integers(0, 8), st.data())
def test_select_reverse_truncate(rows: list[list[int]], longest: int, data: st.DataObject) -> None:
    batch = SequenceBatch.from_lists(rows)
    assert as_lists(batch.reversed()) == [row[::-1] for row in rows]
    assert as_lists(batch.truncate(longest)) == [row[:longest] for row in rows]
    index = st.integers(-len(rows), len(rows) - 1) if rows else st.nothing()
    indices = data.draw(st.lists(index, max_size=9 if rows else 0))
    assert as_lists(batch.select(indices)) == [rows[i] for i in indices]
    assert as_lists(batch.select(np.array(indices, dtype=np.int64))) == [rows[i] for i in indices]


def test_vectors_keep_their_last_dimension() -> None:
    batch = SequenceBatch(np.arange(12, dtype=np.float32).reshape(4, 3), np.array([1, 0, 3]))
    padded, mask = batch.to_padded()
    assert padded.shape == (3, 3, 3)
    assert mask.sum() == 4
    assert np.array_equal(SequenceBatch.from_padded(padded, batch.lengths).values, batch.values)
    assert np.array_equal(batch.reversed().values, batch.values[[0, 3, 2, 1]])
    assert batch.select([1, 2]).values.shape == (3, 3)


@pytest.mark.parametrize(
    ("values", "lengths", "message"),
    [
        (np.zeros(3, np.int32), np.array([1, 1]), "add up to 2, but there are 3"),
        (np.zeros(1, np.int32), np.array([2, -1]), "sequence 1 has length -1"),
        (np.zeros(1, np.int32), np.array([[1]]), "1-D array of integers"),
        (np.zeros(1, np.int32), np.array([1.0]), "1-D array of integers"),
        (np.zeros((1, 1, 1), np.float32), np.array([1]), "total_tokens"),
    ],
)
def test_refuses_what_does_not_fit(values: np.ndarray, lengths: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceBatch(values, lengths)


def test_refuses_wrong_ids_indices_and_lengths() -> None:
    with pytest.raises(ValueError, match="int32"):
        SequenceBatch.from_lists([[2**31]])
    with pytest.raises(ValueError, match="integers"):
        SequenceBatch.from_lists([[0.5]])  # type: ignore[list-item]
    batch = SequenceBatch.from_lists([[1], [2, 3]])
    with pytest.raises(IndexError):
        batch[2]
    with pytest.raises(IndexError):
        batch.select([2])
    with pytest.raises(ValueError, match="flat list of integers"):
        batch.select(np.array([True, False]))
    with pytest.raises(ValueError, match="negative"):
        batch.truncate(-1)
    with pytest.raises(ValueError, match="between 0 and 2"):
        SequenceBatch.from_padded(np.zeros((1, 2), np.int32), np.array([3]))


def test_holds_torch_tensors() -> None:
    torch = pytest.importorskip("torch")
    batch = SequenceBatch(torch.zeros(5, 2), torch.tensor([2, 3]))
    assert (len(batch), batch.total) == (2, 5)
