"""Words with their vectors: what is trained, read, asked and written."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from unrolled.embed.subwords import Subwords
from unrolled.errors import DataError, UnknownWordError

_ROWS = 1 << 14
_COMPARED = 50_000  # words that an unknown one is compared with, the most frequent


class VectorTable:
    """A vocabulary and a vector for each word; with sub-words, a vector for any other word too.

    Args:
        words: all different.
        vectors: ``(words, dim)`` float32; used, not copied.
        counts: ``(words,)`` int64, how often each was seen; ``None`` if unknown.
        subwords: how words become n-grams.
        ngrams: ``(subwords.rows, dim)`` float32.

    Raises:
        DataError: a word comes twice, or shapes do not fit.
    """

    def __init__(
        self,
        words: Sequence[str],
        vectors: np.ndarray,
        counts: np.ndarray | None = None,
        subwords: Subwords | None = None,
        ngrams: np.ndarray | None = None,
    ) -> None:
        self.words = list(words)
        self.vectors = vectors
        self.counts = counts
        self.subwords = subwords
        self.ngrams = ngrams
        self.index = {word: place for place, word in enumerate(self.words)}
        if len(self.index) != len(self.words):
            twice = next(word for place, word in enumerate(self.words) if self.index[word] != place)
            raise DataError(f"the word '{twice[:40]}' comes twice")
        if vectors.shape[:1] != (len(self.words),) or vectors.ndim != 2:
            raise DataError(f"{len(self.words)} words, but vectors of shape {vectors.shape}")

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return int(self.vectors.shape[1])

    @cached_property
    def unit(self) -> np.ndarray:
        """``(words, dim)``: the vectors at length 1; a zero vector stays zero."""
        scaled = np.empty(self.vectors.shape, dtype=np.float32)
        for begin in range(0, len(scaled), _ROWS):
            scaled[begin : begin + _ROWS] = unit(self.vectors[begin : begin + _ROWS])
        return scaled

    def __contains__(self, word: object) -> bool:
        """Whether the vocabulary has the word."""
        return word in self.index

    def vector(self, word: str) -> np.ndarray:
        """``(dim,)``: the word's vector, or the mean of its n-grams' if there are sub-words.

        Raises:
            UnknownWordError: there is none; names words that look alike.
        """
        place = self.index.get(word)
        if place is not None:
            found: np.ndarray = self.vectors[place]
            return found
        composed = self.composed([word])[0]
        if composed is None:
            raise UnknownWordError(self.unknown(word))
        return composed

    def composed(self, words: Sequence[str]) -> list[np.ndarray | None]:
        """Vectors of words made from their n-grams; ``None`` where no n-gram is known."""
        if self.subwords is None or self.ngrams is None:
            return [None] * len(words)
        starts, rows = self.subwords.of_words(words)
        return [
            self.ngrams[rows[begin:end]].mean(axis=0) if end > begin else None
            for begin, end in pairwise(starts.tolist())
        ]

    def unknown(self, word: str) -> str:
        """The message for a word without a vector."""
        if word.lower() in self.index:
            lower = word.lower()
            return (
                f"there is no vector for '{word[:40]}', but one for '{lower}': the words are in lower case."
            )
        near = difflib.get_close_matches(word, self.words[:_COMPARED], n=3) if len(word) <= 40 else []
        hint = f" Did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
        return f"there is no vector for '{word[:40]}' among {len(self.words):,} words.{hint}"

    def known(self, words: Iterable[str]) -> list[int]:
        """Rows of words; all must be in the vocabulary.

        Raises:
            UnknownWordError: one is not.
        """
        places = []
        for word in words:
            place = self.index.get(word)
            if place is None:
                raise UnknownWordError(self.unknown(word))
            places.append(place)
        return places


def all_finite(array: np.ndarray) -> bool:
    """No NaN and no infinity; looked at in parts, so that it takes no memory to speak of."""
    return all(bool(np.isfinite(array[row : row + _ROWS]).all()) for row in range(0, len(array), _ROWS))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors ``(..., dim)`` at length 1; zero stays zero."""
    lengths = np.sqrt((vectors.astype(np.float32) ** 2).sum(axis=-1, keepdims=True))
    scaled: np.ndarray = vectors / np.where(lengths > 0, lengths, 1)
    return scaled
