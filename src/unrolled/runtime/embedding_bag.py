"""Vectors of tokens: each the sum of a few rows of one large table."""

from __future__ import annotations

import numpy as np

from unrolled import engine
from unrolled.text.batch import SequenceBatch

_BLOCK_ROWS = 1 << 16


class EmbeddingBag:
    """Sums of rows of a table that may be stored in half precision.

    The engine converts half-precision rows while it reads them. Without it the table is converted when a call
    needs more than an eighth of it; until then only the rows that are asked for are, so that a single
    prediction does not pay for all.

    Args:
        table: ``(rows, dim)`` float32 or float16; kept, not copied.
    """

    def __init__(self, table: np.ndarray) -> None:
        self._table = table

    def __call__(self, rows: SequenceBatch) -> np.ndarray:
        """``rows.lengths (tokens,)`` -> ``(tokens, dim)`` float32; a token without rows gives zeros."""
        if engine.available():
            return engine.embedding_bag(self._table, rows.values, rows.lengths)
        if self._table.dtype != np.float32 and rows.total > len(self._table) // 8:
            self._table = self._table.astype(np.float32)
        sums = np.zeros((len(rows), self._table.shape[1]), dtype=np.float32)
        # Longest first: the k-th rows of all tokens that have one are then the first so many.
        order = np.argsort(-rows.lengths, kind="stable")
        starts, lengths = rows.offsets[:-1][order], rows.lengths[order]
        first = 0
        while first < len(order) and lengths[first]:
            size = max(1, _BLOCK_ROWS // int(lengths[first]))
            block = slice(first, first + size)
            sums[order[block]] = self._block(rows.values, starts[block], lengths[block])
            first += size
        return sums

    def _block(self, values: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Sums for tokens of falling length."""
        longest = int(lengths[0])
        counts = np.searchsorted(-lengths, -np.arange(longest), side="left").tolist()
        sums = self._take(values[starts[: counts[0]]])
        if counts[0] < len(lengths):
            sums = np.concatenate(
                [sums, np.zeros((len(lengths) - counts[0], sums.shape[1]), dtype=np.float32)]
            )
        for k in range(1, longest):
            sums[: counts[k]] += self._take(values[starts[: counts[k]] + k])
        return sums

    def _take(self, rows: np.ndarray) -> np.ndarray:
        taken: np.ndarray = self._table.take(rows, axis=0)
        return taken.astype(np.float32, copy=False)
