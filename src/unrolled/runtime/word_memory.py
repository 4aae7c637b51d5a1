"""Vectors of words that were met before: what depends on a word alone is computed once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

import numpy as np

#: Words that are remembered; when there are more, the memory is emptied.
REMEMBERED = 1 << 15

# words -> some (words, width) arrays
_Encode = Callable[[Sequence[str]], list[np.ndarray]]


class _Places(dict[str, int]):
    """Word -> place. A word that is asked for and not there gets the next place and joins ``fresh``."""

    def __init__(self) -> None:
        self.fresh: list[str] = []

    def __missing__(self, word: str) -> int:
        place = len(self)
        self[word] = place
        self.fresh.append(word)
        return place


class WordMemory:
    """Looks words up and has those encoded that are new. May be used from several threads.

    Args:
        encode: words to some arrays with a row a word.
    """

    def __init__(self, encode: _Encode) -> None:
        self._encode = encode
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._places = _Places()
        self._tables: list[np.ndarray] = []

    def find(self, words: Iterable[str], count: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """Places ``(count,)`` int32 of words, and the tables that they count in.

        Args:
            words: as they stand in the text.
            count: how many they are.
        """
        with self._lock:
            if len(self._places) > REMEMBERED:
                self._clear()
            try:
                found = np.fromiter(map(self._places.__getitem__, words), dtype=np.int32, count=count)
                if self._places.fresh:
                    self._add(self._places.fresh)
                    self._places.fresh = []
            except BaseException:
                self._clear()  # an interrupted update would leave words without vectors
                raise
            # A later call puts rows behind those that are known here, or makes new tables: these stay.
            return found, list(self._tables)

    def _add(self, words: list[str]) -> None:
        fresh = self._encode(words)
        if not self._tables:
            self._tables = [np.empty((0, part.shape[1]), dtype=part.dtype) for part in fresh]
        old, needed = len(self._places) - len(words), len(self._places)
        for number, part in enumerate(fresh):
            table = self._tables[number]
            if len(table) < needed:
                grown = np.zeros((max(needed, 2 * len(table), 1024), part.shape[1]), dtype=part.dtype)
                grown[:old] = table[:old]
                self._tables[number] = table = grown
            table[old:needed] = part
