"""Ids to vectors by lookup, in numpy; and tables of vectors made for a vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unrolled.text.batch import SequenceBatch


def check_ids(ids: NDArray[Any], size: int) -> None:
    """Check ids against a table of ``size`` rows.

    Raises:
        TypeError: if the ids are not integers.
        IndexError: if an id is negative or not below ``size``; names the id and the size.
    """
    if ids.size == 0:
        return
    if ids.dtype.kind not in "iu":
        raise TypeError(f"ids must be integers, got {ids.dtype}")
    lowest, highest = int(ids.min()), int(ids.max())
    if lowest < 0 or highest >= size:
        raise IndexError(out_of_range(lowest if lowest < 0 else highest, size))


def out_of_range(wrong: int, size: int) -> str:
    """The message for an id that a table does not have."""
    return (
        f"id {wrong} is out of range for a table of {size} rows (ids 0 to {size - 1}). "
        "Was it made with another vocabulary?"
    )


@overload
def lookup(ids: SequenceBatch, table: NDArray[Any]) -> SequenceBatch: ...
@overload
def lookup(ids: ArrayLike, table: NDArray[Any]) -> NDArray[Any]: ...
def lookup(ids: Any, table: NDArray[Any]) -> Any:
    """The row of each id.

    Args:
        ids: integers ``(batch, seq)`` or of any other shape, or a ``SequenceBatch`` of ids.
        table: ``(size, dim)``.

    Returns:
        ``(batch, seq, dim)``; for a ``SequenceBatch`` one with values ``(total_tokens, dim)``.

    Raises:
        IndexError: if an id is not in the table.
    """
    if isinstance(ids, SequenceBatch):
        return SequenceBatch(lookup(ids.values, table), ids.lengths)
    array = np.asarray(ids)
    check_ids(array, len(table))
    return table[array.astype(np.intp, copy=False)]


def vectors_for(
    tokens: Iterable[str], vectors: Mapping[str, ArrayLike], *, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A table for a vocabulary from known word vectors.

    A token without a vector gets a random one with the mean and the spread of each feature over the vectors
    found, so that it lies among them.

    Args:
        tokens: the vocabulary in the order of its ids.
        vectors: token to vector ``(dim,)``; all of the same ``dim``.
        seed: of the random vectors.

    Returns:
        ``(table, found)``: ``(size, dim)`` float32, and ``(size,)`` bool, true where the token had a vector.

    Raises:
        ValueError: if no token has a vector, or one has another shape than the first.
    """
    order = list(tokens)
    known = {
        i: np.asarray(vectors[token], dtype=np.float32) for i, token in enumerate(order) if token in vectors
    }
    if not known:
        raise ValueError(f"none of the {len(order)} tokens of the vocabulary has a vector")
    shape = next(iter(known.values())).shape
    for i, vector in known.items():
        if vector.ndim != 1 or vector.shape != shape:
            raise ValueError(
                f"expected vectors of one shape (dim,): that of {order[i]!r} has shape {vector.shape}, "
                f"the first one {shape}"
            )
    rows = np.stack(list(known.values()))
    found = np.zeros(len(order), dtype=np.bool_)
    found[list(known)] = True
    random = np.random.default_rng(seed).normal(rows.mean(axis=0), rows.std(axis=0), (len(order), *shape))
    table = random.astype(np.float32)
    table[found] = rows
    return table, found
