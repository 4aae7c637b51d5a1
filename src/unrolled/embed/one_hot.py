"""Ids as one-hot vectors: the explicit form of what an embedding looks up."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from unrolled.embed.embedding import check_ids
from unrolled.text.batch import SequenceBatch


def one_hot(ids: Any, size: int, *, dtype: DTypeLike = np.float32) -> Any:
    """A vector for each id: 1 at the id's place, 0 elsewhere.

    ``one_hot(ids, size) @ W`` equals the lookup ``W[ids]`` exactly, for every ``W (size, dim)`` of finite
    numbers: each sum has one term that is not zero. The lookup costs ``dim`` per token, the product ``size *
        dim``.

    Args:
        ids: integers of any shape ``(...)``, or a ``SequenceBatch`` of ids.
        size: number of different ids, the length of each vector.
        dtype: of the vectors.

    Returns:
        ``(..., size)``; for a ``SequenceBatch`` one with values ``(total_tokens, size)``.

    Raises:
        IndexError: if an id is negative or not below ``size``.
    """
    if isinstance(ids, SequenceBatch):
        return SequenceBatch(one_hot(ids.values, size, dtype=dtype), ids.lengths)
    array: NDArray[Any] = np.asarray(ids)
    check_ids(array, size)
    vectors = np.zeros((*array.shape, size), dtype=dtype)
    if array.size:
        np.put_along_axis(vectors, array[..., None].astype(np.intp), 1, axis=-1)
    return vectors
