"""One-hot vectors and lookup in numpy: exactly equal, and strict about ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unrolled.embed import lookup, one_hot, vectors_for
from unrolled.text.batch import SequenceBatch

SIZE, DIM = 7, 3
TABLE = np.random.default_rng(0).normal(size=(SIZE, DIM)).astype(np.float32)


def test_one_hot_by_hand() -> None:
    expected = [[[0, 1, 0], [1, 0, 0]], [[0, 0, 1], [0, 0, 1]]]
    np.testing.assert_array_equal(one_hot([[1, 0], [2, 2]], 3), expected)
    assert one_hot([1], 3).dtype == np.float32
    assert one_hot([1], 3, dtype=np.int8).dtype == np.int8
    assert one_hot(2, 3).tolist() == [0, 0, 1]


@given(
    ids=hnp.arrays(
        np.int32, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5), elements=st.integers(0, 6)
    ),
    table=hnp.arrays(
        np.float32, (SIZE, DIM), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    ),
)
def test_one_hot_times_table_is_exactly_the_lookup(ids: Any, table: Any) -> None:
    looked_up = lookup(ids, table)
    assert looked_up.shape == (*ids.shape, DIM)
    np.testing.assert_array_equal(one_hot(ids, SIZE) @ table, looked_up)


def test_lookup_by_hand() -> None:
    ids = np.array([[0, 6, 2], [2, 2, 1]])
    expected = np.stack([np.stack([TABLE[i] for i in row]) for row in ids])
    np.testing.assert_array_equal(lookup(ids, TABLE), expected)


def test_ragged_batches_keep_their_lengths() -> None:
    batch = SequenceBatch.from_lists([[1, 2], [], [6]])
    for result in (lookup(batch, TABLE), one_hot(batch, SIZE)):
        np.testing.assert_array_equal(result.lengths, [2, 0, 1])
    np.testing.assert_array_equal(lookup(batch, TABLE).values, TABLE[[1, 2, 6]])
    np.testing.assert_array_equal(one_hot(batch, SIZE).values @ TABLE, TABLE[[1, 2, 6]])


@pytest.mark.parametrize("wrong", [7, -1, 100])
def test_an_id_out_of_range_is_named(wrong: int) -> None:
    for function in (lambda ids: lookup(ids, TABLE), lambda ids: one_hot(ids, SIZE)):
        with pytest.raises(IndexError, match=rf"id {wrong} .* table of 7 rows"):
            function([[0, 1], [wrong, 2]])


def test_ids_must_be_integers() -> None:
    with pytest.raises(TypeError, match="float64"):
        lookup([0.5], TABLE)


def test_vectors_for_a_vocabulary() -> None:
    known = {"cat": [1.0, 2.0], "dog": [3.0, 6.0], "unused": [9.0, 9.0]}
    table, found = vectors_for(["<unk>", "dog", "cat"], known)
    np.testing.assert_array_equal(table[1:], [[3, 6], [1, 2]])
    assert found.tolist() == [False, True, True]
    assert table.dtype == np.float32 and np.isfinite(table).all()
    again, _ = vectors_for(["<unk>", "dog", "cat"], known)
    np.testing.assert_array_equal(table, again)


def test_missing_vectors_are_drawn_like_the_known_ones() -> None:
    random = np.random.default_rng(0)
    known = {str(i): random.normal([5, -1], [0.1, 2]) for i in range(500)}
    table, found = vectors_for([*known, *(f"new {i}" for i in range(2000))], known)
    np.testing.assert_allclose(table[~found].mean(axis=0), [5, -1], atol=0.2)
    np.testing.assert_allclose(table[~found].std(axis=0), [0.1, 2], rtol=0.15)


def test_vectors_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="none of the 1 tokens"):
        vectors_for(["a"], {"b": [1.0]})
    with pytest.raises(ValueError, match=r"'b' has shape \(1,\), the first one \(2,\)"):
        vectors_for(["a", "b"], {"a": [1.0, 2.0], "b": [1.0]})
