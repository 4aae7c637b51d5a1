"""The nearest of many vectors, for many questions at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_SCORES = 1 << 24  # in memory at a time
_GROUP = 64


def nearest(
    unit: np.ndarray, queries: np.ndarray, n: int, exclude: Sequence[Sequence[int]] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows with the largest cosine to each query, exactly.

    The scores of some queries at a time are one matrix product. Sorting them all would take longer than that;
    but the n best lie in the n groups of rows with the largest maximum, and those few are sorted.

    Args:
        unit: ``(rows, dim)`` float32, each of length 1.
        queries: ``(queries, dim)``, of any length but zero.
        n: how many to find, at most.
        exclude: for each query, rows that do not count.

    Returns:
        ``(rows, cosines)``: ``(queries, m)`` int64 and float32, the nearest first, of equal ones the lower
        row; ``m`` is ``n``, or fewer if there are not so many. Where fewer are left after ``exclude``, the
        cosine is ``-inf``.
    """
    count = len(unit)
    n = min(n, count)
    lengths = np.sqrt((queries.astype(np.float32) ** 2).sum(axis=1, keepdims=True))
    scaled = (queries / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    rows = np.empty((len(queries), n), dtype=np.int64)
    cosines = np.empty((len(queries), n), dtype=np.float32)
    block = max(1, _SCORES // max(count, 1))
    for begin in range(0, len(queries), block):
        scores = scaled[begin : begin + block] @ unit.T
        if exclude is not None:
            for place, left_out in enumerate(exclude[begin : begin + block]):
                scores[place, list(left_out)] = -np.inf
        candidates = _candidates(scores, n)
        found = np.take_along_axis(scores, candidates, axis=1)
        order = np.lexsort((candidates, -found), axis=1)[:, :n]
        rows[begin : begin + block] = np.take_along_axis(candidates, order, axis=1)
        cosines[begin : begin + block] = np.take_along_axis(found, order, axis=1)
    return rows, cosines


def _candidates(scores: np.ndarray, n: int) -> np.ndarray:
    """``(queries, candidates)``: rows among which the n best are."""
    queries, count = scores.shape
    groups = count // _GROUP
    if groups <= n:
        return np.broadcast_to(np.arange(count), scores.shape)
    # Group g holds the rows g, g + groups, g + 2 groups ...: so maxima are taken along whole rows of memory.
    maxima = scores[:, : groups * _GROUP].reshape(queries, _GROUP, groups).max(axis=1)
    best = np.argpartition(maxima, groups - n, axis=1)[:, groups - n :]
    members = (best[:, :, None] + groups * np.arange(_GROUP)).reshape(queries, -1)
    rest = np.broadcast_to(np.arange(groups * _GROUP, count), (queries, count - groups * _GROUP))
    few = np.concatenate([members, rest], axis=1)
    found = np.take_along_axis(scores, few, axis=1)
    top = np.argpartition(found, found.shape[1] - n, axis=1)[:, found.shape[1] - n :]
    chosen: np.ndarray = np.take_along_axis(few, top, axis=1)
    return chosen
