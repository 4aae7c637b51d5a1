"""The compiled form of :class:`unrolled.text.ngrams.NgramHasher`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unrolled.engine import library
from unrolled.engine.arrays import Array


def ngram_rows(
    texts: Sequence[str],
    min_n: int,
    max_n: int,
    buckets: int,
    longest: int,
    row_of: Array | None,
    *,
    distinct: bool = False,
    heads: Sequence[int] | None = None,
    base: int = 0,
) -> tuple[Array, Array]:
    """The rows of the character n-grams of each text, as ``NgramHasher.bags`` defines them.

    Holds the interpreter lock.

    Args:
        texts: tokens, or whole texts.
        min_n, max_n, buckets, longest: of the hasher.
        row_of: ``(buckets,)`` int32, the row of each bucket, -1 for none; ``None``: buckets are rows.
        distinct: each row of a text once, ascending; otherwise by start and then by size of the n-gram.
        heads: a row for each text that comes before its n-grams.
        base: what is added to the rows of n-grams.

    Returns:
        rows int32, those of text 0 first; their number in each text ``(len(texts),)`` int64.

    Raises:
        RuntimeError: without the extension; ask :func:`available` first.
        TypeError: if a text is not a string.
    """
    rows, counts = library.native().ngram_rows(
        texts, min_n, max_n, buckets, longest, row_of, distinct, heads, base
    )
    # The same numbers as numpy's own int64: C has two types of 64 bits.
    return rows, counts.view(np.int64)
