"""Words as bags of character n-grams, hashed as fastText does, so that its files and ours mean the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_OFFSET = np.uint32(2166136261)
_PRIME = np.uint32(16777619)
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True)
class Subwords:
    """Which rows of a table belong to the n-grams of a word (Bojanowski et al. 2017, section 3.2).

    A word is read as ``<word>``; its n-grams are all runs of ``min_n`` to ``max_n`` characters of that,
    except single boundary marks. The number of an n-gram is the FNV-1a hash of its UTF-8 bytes, taken as
    signed numbers as fastText's program does, modulo ``buckets``.

    Attributes:
        min_n, max_n: sizes in characters.
        buckets: of the hash.
        kept: ``(rows,)`` int32, ascending: the buckets that have a row. ``None``: all have one.
    """

    min_n: int
    max_n: int
    buckets: int
    kept: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """Rows of n-grams in the table."""
        return self.buckets if self.kept is None else len(self.kept)

    def of_words(self, words: Sequence[str | bytes]) -> tuple[np.ndarray, np.ndarray]:
        """The n-gram rows of every word; bytes are UTF-8, or what fastText takes for it.

        Returns:
            ``(starts, rows)``: those of word w are ``rows[starts[w] : starts[w + 1]]``, int64 and int32.
        """
        starts = np.zeros(len(words) + 1, dtype=np.int64)
        parts: list[np.ndarray] = []
        first = size = 0
        for place, word in enumerate(words):
            size += len(word)
            if size > _BLOCK_BYTES or place == len(words) - 1:
                counts, buckets = self._block(words[first : place + 1])
                owner = np.repeat(np.arange(len(counts)), counts)
                if self.kept is not None:
                    rows = np.searchsorted(self.kept, buckets)
                    last = max(len(self.kept) - 1, 0)
                    known = (
                        self.kept[np.minimum(rows, last)] == buckets
                        if len(self.kept)
                        else np.zeros(len(rows), bool)
                    )
                    buckets, owner = rows[known], owner[known]
                starts[first + 1 : place + 2] = np.bincount(owner, minlength=len(counts))
                parts.append(buckets.astype(np.int32))
                first, size = place + 1, 0
        np.cumsum(starts, out=starts)
        return starts, np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)

    def that_occur(self, words: Sequence[str]) -> Subwords:
        """The same n-grams, with rows only for the buckets that these words use."""
        _, buckets = Subwords(self.min_n, self.max_n, self.buckets).of_words(words)
        return Subwords(self.min_n, self.max_n, self.buckets, np.unique(buckets))

    def _block(self, words: Sequence[str | bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Number of n-grams of each word, and their buckets: by word, then start, then size."""
        encoded = [
            b"<%b>" % (word if isinstance(word, bytes) else word.encode("utf-8", "surrogatepass"))
            for word in words
        ]
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        raw = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        word_end = np.repeat(np.cumsum(lengths), lengths)
        word_of = np.repeat(np.arange(len(words)), lengths)
        signed = raw.astype(np.int8).astype(np.int32).astype(np.uint32)
        begins = (raw & 0xC0) != 0x80
        starts = np.flatnonzero(begins)
        # The byte after each character; an n-gram grows by whole characters.
        next_start = np.append(starts[1:], len(raw))
        longest = int(np.diff(next_start, prepend=0).max(initial=0))  # 4 bytes, but in what is not UTF-8
        character_at = np.cumsum(begins) - 1
        at_word_start = starts == (word_end - np.repeat(lengths, lengths))[starts]
        end = starts.copy()
        hashes = np.full(len(starts), _OFFSET)
        alive = np.ones(len(starts), dtype=np.bool_)
        owners, order, buckets = [], [], []
        with np.errstate(over="ignore"):
            for size in range(1, self.max_n + 1):
                alive &= end < word_end[starts]
                growing = np.flatnonzero(alive)
                if not len(growing):
                    break
                stop = next_start[character_at[end[growing]]]
                for step in range(longest):
                    place = end[growing] + step
                    inside = place < stop
                    chosen = growing[inside]
                    hashes[chosen] = (hashes[chosen] ^ signed[place[inside]]) * _PRIME
                end[growing] = stop
                if size < self.min_n:
                    continue
                taken = growing
                if size == 1:
                    taken = growing[~at_word_start[growing] & (end[growing] != word_end[starts[growing]])]
                owners.append(word_of[starts[taken]])
                order.append(taken * (self.max_n + 1) + size)
                buckets.append(hashes[taken] % np.uint32(self.buckets))
        if not buckets:
            return np.zeros(len(words), dtype=np.int64), np.zeros(0, dtype=np.int64)
        by_place = np.argsort(np.concatenate(order), kind="stable")
        counts = np.bincount(np.concatenate(owners), minlength=len(words))
        return counts, np.concatenate(buckets)[by_place].astype(np.int64)
