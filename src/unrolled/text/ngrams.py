"""Character n-grams of tokens, hashed into a fixed number of rows: what makes an unseen word readable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np

from unrolled import engine
from unrolled.errors import OptionError
from unrolled.text.batch import SequenceBatch

#: Characters of a token that n-grams are taken from: the bound on the work that one endless "word" can cause.
MAX_TOKEN_CHARACTERS = 256

_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_BLOCK_CHARACTERS = 1 << 18
#: Buckets up to which rows are looked up in an array of all buckets instead of by bisection.
_LARGEST_INDEX = 1 << 22


def most_frequent(hits: np.ndarray, min_freq: int, most: int) -> np.ndarray:
    """The ``most`` numbers with the most hits among those with ``min_freq`` or more: ascending, int32.

    Of numbers with equal hits the lower ones are taken.
    """
    kept = np.flatnonzero(hits >= min_freq)
    if len(kept) > most:
        kept = np.sort(kept[np.argsort(-hits[kept], kind="stable")[:most]])
    return kept.astype(np.int32)


class NgramHasher:
    """Hashes the character n-grams of tokens (the input of fastText; Bojanowski et al. 2017, section 3.2).

    A token is read as ``<token>``. Its n-grams are all runs of ``min_n`` to ``max_n`` characters of that,
    except the whole of it (the word's own row stands for it) and the two boundary marks alone. An n-gram that
    occurs twice counts twice. Of a token longer than ``longest`` characters only the first are read.

    The bucket of an n-gram with code points ``c_1 ... c_n`` is part of the saved model's format and never
    changes::

        h = 0;  h = h * 0x9E3779B97F4A7C15 + c_k + 1  for k = 1 ... n        (mod 2**64)
        h = mix(h)                   the finaliser of SplitMix64 (Steele, Lea, Flood 2014)
        bucket = ((h >> 32) * buckets) >> 32                                  (Lemire 2019)

    A model has no use for n-grams that training saw a few times: their rows only memorise. With ``kept`` only
    those buckets have a row, the others are left out of the bags.

    Args:
        min_n: shortest n-gram, at least 1.
        max_n: longest n-gram, at least ``min_n``.
        buckets: number of buckets, below 2**31.
        kept: ``(rows,)`` int32, ascending, the buckets that have a row; ``None`` if all have one.
        longest: characters of a token that are read.

    Attributes:
        rows: number of buckets that have a row; :meth:`bags` gives numbers in ``[0, rows)``.

    Raises:
        OptionError: a bound is out of range, or ``kept`` is not ascending within the buckets.
    """

    __slots__ = ("_row_of", "buckets", "kept", "longest", "max_n", "min_n", "rows")

    def __init__(
        self,
        min_n: int,
        max_n: int,
        buckets: int,
        kept: np.ndarray | None = None,
        *,
        longest: int = MAX_TOKEN_CHARACTERS,
    ) -> None:
        if not 1 <= min_n <= max_n:
            raise OptionError(f"n-grams need 1 <= min_n <= max_n, not min_n={min_n} and max_n={max_n}.")
        if not 1 <= buckets < 2**31:
            raise OptionError(f"n-gram buckets must lie between 1 and 2**31 - 1, not {buckets}.")
        if kept is not None:
            ascending = kept.ndim == 1 and bool(np.all(kept[1:] > kept[:-1]))
            if not ascending or (kept.size and not 0 <= int(kept[0]) <= int(kept[-1]) < buckets):
                raise OptionError(f"the n-gram buckets to keep must be ascending numbers below {buckets}.")
        self.min_n = min_n
        self.max_n = max_n
        self.buckets = buckets
        self.kept = kept
        self.rows = buckets if kept is None else len(kept)
        self.longest = longest
        self._row_of: np.ndarray | None = None
        if kept is not None and buckets <= _LARGEST_INDEX:
            self._row_of = np.full(buckets, -1, dtype=np.int32)
            self._row_of[kept] = np.arange(len(kept), dtype=np.int32)

    def __repr__(self) -> str:
        return (
            f"NgramHasher(min_n={self.min_n}, max_n={self.max_n}, buckets={self.buckets}, rows={self.rows})"
        )

    def keep_frequent(self, counts: Mapping[str, int], min_freq: int, most: int) -> NgramHasher:
        """The same hasher, with rows only for buckets that training hits often enough.

        Args:
            counts: how often each token occurs in training.
            min_freq: hits, counted over all tokens, below which a bucket has no row.
            most: rows at most; the most frequent buckets get them, of equal ones the lower.
        """
        hits = np.zeros(self.buckets, dtype=np.int64)
        items = iter(counts.items())
        everything = NgramHasher(self.min_n, self.max_n, self.buckets, longest=self.longest)
        while block := list(islice(items, 65_536)):
            bags = everything.bags([token for token, _ in block])
            weights = np.repeat(np.array([count for _, count in block], dtype=np.int64), bags.lengths)
            np.add.at(hits, bags.values, weights)
        return self.with_rows(most_frequent(hits, min_freq, most))

    def with_rows(self, kept: np.ndarray) -> NgramHasher:
        """The same hasher, with rows only for the buckets ``kept``."""
        return NgramHasher(self.min_n, self.max_n, self.buckets, kept, longest=self.longest)

    def ngrams(self, token: str) -> list[str]:
        """The n-grams of one token as text, in the order of :meth:`bags` (by start, then by size)."""
        marked = f"<{token[: self.longest]}>"
        last = len(marked) - 1
        return [
            marked[start : start + size]
            for start in range(len(marked))
            for size in range(self.min_n, self.max_n + 1)
            if start + size <= len(marked) and size <= last and not (size == 1 and start in (0, last))
        ]

    def bags(self, tokens: Sequence[str]) -> SequenceBatch:
        """The rows of the n-grams of every token.

        Returns:
            values: rows (buckets, where all are kept), int32, those of token 0 first; lengths
            ``(len(tokens),)``: n-grams of each token that have a row.
        """
        if self._can_compiled():
            return self._compiled(tokens, distinct=False)
        sizes = np.fromiter(map(len, tokens), dtype=np.int64, count=len(tokens))
        if sizes.size and int(sizes.max()) > self.longest:
            tokens = [token[: self.longest] for token in tokens]
            np.minimum(sizes, self.longest, out=sizes)
        sizes += 2  # the boundary marks
        ends = np.cumsum(sizes)
        parts: list[np.ndarray] = []
        first = 0
        while first < len(tokens):
            begin = int(ends[first] - sizes[first])
            last = max(first + 1, int(np.searchsorted(ends, begin + _BLOCK_CHARACTERS, side="right")))
            parts.append(self._block(tokens[first:last], sizes[first:last]))
            first = last
        values = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
        counts = self._counts(sizes)
        if self.kept is None:
            return SequenceBatch(values, counts)
        rows = self._rows_of(values)
        has_row = rows >= 0
        before = np.zeros(len(values) + 1, dtype=np.int64)
        np.cumsum(has_row, out=before[1:])
        ends = np.cumsum(counts)
        return SequenceBatch(rows[has_row], before[ends] - before[ends - counts])

    def distinct(self, tokens: Sequence[str]) -> SequenceBatch:
        """The same, each row of a token once and ascending."""
        if self._can_compiled():
            return self._compiled(tokens, distinct=True)
        bags = self.bags(tokens)
        token = np.repeat(np.arange(len(tokens), dtype=np.int64), bags.lengths)
        keys = token * self.rows + bags.values
        keys.sort()  # and not np.unique, whose hash table takes ten times as long
        if len(keys):
            keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
        token, rows = np.divmod(keys, max(self.rows, 1))
        return SequenceBatch(rows.astype(np.int32), np.bincount(token, minlength=len(tokens)))

    def headed(self, tokens: Sequence[str], heads: Sequence[int], base: int) -> SequenceBatch | None:
        """One row of its own for each token, then its :meth:`bags` with ``base`` added.

        ``None`` where the engine cannot: this is the quick way for a few tokens.
        """
        if not self._can_compiled():
            return None
        sizes = (self.min_n, self.max_n, self.buckets, self.longest)
        return SequenceBatch(*engine.ngram_rows(tokens, *sizes, self._row_of, heads=heads, base=base))

    def _can_compiled(self) -> bool:
        return engine.available() and (self.kept is None or self._row_of is not None)

    def _compiled(self, tokens: Sequence[str], *, distinct: bool) -> SequenceBatch:
        sizes = (self.min_n, self.max_n, self.buckets, self.longest)
        return SequenceBatch(*engine.ngram_rows(tokens, *sizes, self._row_of, distinct=distinct))

    def _rows_of(self, buckets: np.ndarray) -> np.ndarray:
        """The rows of buckets, int32; -1 for those without one."""
        if self._row_of is not None:
            found: np.ndarray = self._row_of[buckets]
            return found
        assert self.kept is not None
        rows = np.searchsorted(self.kept, buckets).astype(np.int32)
        if self.rows == 0:
            return rows - 1
        return np.where(self.kept[np.minimum(rows, self.rows - 1)] == buckets, rows, np.int32(-1))

    def _counts(self, sizes: np.ndarray) -> np.ndarray:
        """Number of n-grams of tokens whose marked forms have ``sizes`` characters."""
        counts = np.zeros(len(sizes), dtype=np.int64)
        for n in range(self.min_n, self.max_n + 1):
            counts += np.maximum(sizes - n + 1, 0)
            counts -= sizes == n
        if self.min_n == 1:
            counts -= 2
        return counts

    def _block(self, tokens: Sequence[str], sizes: np.ndarray) -> np.ndarray:
        """Buckets of some tokens, int32, flat."""
        marked = "<" + "><".join(tokens) + ">"
        # surrogatepass: a lone surrogate in damaged input is a character like any other here.
        codes = np.frombuffer(marked.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
        codes += np.uint64(1)
        ends = np.cumsum(sizes)
        left = np.repeat(ends, sizes) - np.arange(len(codes))  # characters from here to the token's end
        whole = np.zeros(len(codes), dtype=np.int64)
        whole[ends - sizes] = sizes  # at a token's first mark: the size that spans all of it
        hashes = np.zeros((len(codes), self.max_n - self.min_n + 1), dtype=np.uint64)
        valid = np.zeros(hashes.shape, dtype=np.bool_)
        running = np.zeros(len(codes), dtype=np.uint64)
        for n in range(1, self.max_n + 1):
            reach = len(codes) - n + 1
            if reach <= 0:
                break
            running = running[:reach] * _BASE
            running += codes[n - 1 :]
            if n >= self.min_n:
                column = n - self.min_n
                hashes[:reach, column] = running
                np.greater_equal(left, n, out=valid[:, column])
                valid[whole == n, column] = False
        if self.min_n == 1:
            valid[ends - sizes, 0] = False
            valid[ends - 1, 0] = False
        kept = hashes[valid]
        kept ^= kept >> np.uint64(30)
        kept *= _MIX_1
        kept ^= kept >> np.uint64(27)
        kept *= _MIX_2
        kept ^= kept >> np.uint64(31)
        kept >>= np.uint64(32)
        kept *= np.uint64(self.buckets)
        kept >>= np.uint64(32)
        return kept.astype(np.int32)
