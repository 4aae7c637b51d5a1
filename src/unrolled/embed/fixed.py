"""Word vectors that a model reads and does not change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from unrolled.embed.opening import read_table
from unrolled.embed.table import unit


class FixedVectors:
    """A table of vectors, looked up as written and else in lower case.

    Args:
        words: all different.
        vectors: ``(words, dim)`` float.
    """

    def __init__(self, words: Sequence[str], vectors: np.ndarray) -> None:
        self.words = list(words)
        self.vectors = vectors
        self._index = {word: row for row, word in enumerate(self.words)}

    @classmethod
    def read(cls, path: str | Path, most: int) -> Self:
        """The first ``most`` words of a folder or file of any kind, their vectors at length 1.

        The length of a word's vector grows with its frequency, which the reader of a sentence has no use for.
        They are rounded to half precision, as the saved model holds them.

        Raises:
            DataError, ModelFileError: missing, damaged, or not word vectors.
        """
        table = read_table(path)
        return cls(table.words[:most], unit(table.vectors[:most]).astype(np.float16).astype(np.float32))

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return int(self.vectors.shape[1])

    def of(self, words: Sequence[str]) -> np.ndarray:
        """``(len(words), dim)`` float32, zeros where there is none."""
        index = self._index
        rows = [index.get(word, index.get(word.lower(), -1)) for word in words]
        found = np.zeros((len(words), self.dim), dtype=np.float32)
        places = np.array(rows, dtype=np.int64)
        known = places >= 0
        found[known] = self.vectors[places[known]]
        return found
