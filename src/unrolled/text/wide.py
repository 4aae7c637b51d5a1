"""Character n-grams of whole texts: the input of the wide part of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from unrolled.text.batch import SequenceBatch
from unrolled.text.ngrams import NgramHasher, most_frequent

#: Sizes of the n-grams, the buckets they are hashed to, and the characters of a text that are read. All are
#: part of the saved model's format.
MIN_N, MAX_N = 1, 5
BUCKETS = 1 << 21
LONGEST = 10_000
_PART_CHARACTERS = 1 << 19


class TextNgrams:
    """Which n-grams a text holds. They run across its words, so that a short phrase is one of them.

    A text is read in lower case with single spaces.

    Args:
        kept: ``(rows,)`` int32, ascending, the buckets that have a row; ``None`` if all have one.
    """

    def __init__(self, kept: np.ndarray | None = None) -> None:
        self._hasher = NgramHasher(MIN_N, MAX_N, BUCKETS, kept, longest=LONGEST)

    @property
    def kept(self) -> np.ndarray | None:
        """The buckets that have a row."""
        return self._hasher.kept

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self._hasher.rows

    def encode(self, texts: Sequence[str]) -> SequenceBatch:
        """The distinct n-grams of each text.

        Returns:
            values: rows, int32, ascending within a text; lengths ``(len(texts),)``.
        """
        parts = list(self.encode_parts(texts))
        if len(parts) == 1:
            return parts[0]
        return SequenceBatch(
            np.concatenate([part.values for part in parts] or [np.zeros(0, dtype=np.int32)]),
            np.concatenate([part.lengths for part in parts] or [np.zeros(0, dtype=np.int64)]),
        )

    def encode_parts(self, texts: Sequence[str]) -> Iterator[SequenceBatch]:
        """The same in parts of bounded size: of some texts, then of the next ones."""
        first = characters = 0
        for last, text in enumerate(texts, start=1):
            characters += min(len(text), LONGEST)
            if characters >= _PART_CHARACTERS or last == len(texts):
                yield self._encoded(texts[first:last])
                first, characters = last, 0

    def _encoded(self, texts: Sequence[str]) -> SequenceBatch:
        return self._hasher.distinct([" ".join(text.lower().split()) for text in texts])

    def keep_frequent(self, blocks: Iterable[Sequence[str]], min_freq: int, most: int) -> TextNgrams:
        """The same, with rows only for n-grams that enough texts hold.

        Args:
            blocks: lists of texts.
            min_freq: texts that must hold an n-gram.
            most: rows at most; the most frequent are kept.
        """
        every = TextNgrams()
        hits = np.zeros(BUCKETS, dtype=np.int64)
        for texts in blocks:
            for part in every.encode_parts(texts):
                hits += np.bincount(part.values, minlength=BUCKETS)
        return TextNgrams(most_frequent(hits, min_freq, most))
