"""Texts to rows of the embedding table: tokens, their ids, and the buckets of their n-grams."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from unrolled import engine
from unrolled.errors import OptionError
from unrolled.text.batch import SequenceBatch, gather_positions
from unrolled.text.ngrams import NgramHasher
from unrolled.text.tokenizer import Tokenizer

#: Distinct tokens, and n-grams of them, that are remembered; beyond either bound the memory is emptied.
CACHED_TOKENS = 1 << 18
CACHED_NGRAMS = 1 << 23
_FEW_TEXTS = 4


@dataclass(frozen=True, eq=False, slots=True)
class TextBatch:
    """Texts as rows of one embedding table of ``V + hasher.rows`` rows.

    Args:
        tokens: ids of the words, rows ``[0, V)``; ``tokens.lengths (batch,)``: tokens of each text.
        bags: rows ``[V, V + hasher.rows)`` of the n-grams of each token; ``bags.lengths (tokens.total,)``.
            ``None`` if the model reads no n-grams.
    """

    tokens: SequenceBatch
    bags: SequenceBatch | None

    def __post_init__(self) -> None:
        if self.bags is not None and len(self.bags) != self.tokens.total:
            raise ValueError(f"{self.tokens.total} tokens need as many bags, got {len(self.bags)}")

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.tokens)

    @property
    def rows(self) -> SequenceBatch:
        """For every token its word's row followed by the rows of its n-grams; lengths ``(tokens.total,)``."""
        ids = self.tokens.values
        if self.bags is None:
            return SequenceBatch(ids, np.ones(len(ids), dtype=np.int64))
        lengths = self.bags.lengths + 1
        firsts = np.cumsum(lengths) - lengths
        values = np.empty(len(ids) + self.bags.total, dtype=np.int32)
        is_ngram = np.ones(len(values), dtype=np.bool_)
        is_ngram[firsts] = False
        values[firsts] = ids
        values[is_ngram] = self.bags.values
        return SequenceBatch(values, lengths)

    def select(self, indices: Sequence[int] | np.ndarray) -> TextBatch:
        """The texts at ``indices``, in that order; an index may come twice."""
        chosen = np.asarray(indices, dtype=np.int64)
        tokens = self.tokens.select(chosen)
        if self.bags is None:
            return TextBatch(tokens, None)
        chosen = np.where(chosen < 0, chosen + len(self), chosen)
        places = gather_positions(self.tokens.offsets[:-1][chosen], tokens.lengths)
        return TextBatch(tokens, self.bags.select(places))


class TextPipeline:
    """Tokenizer and n-gram hasher as one step.

    Tokens seen before are looked up: id and n-grams of a token are computed once. The memory is bounded
    (:data:`CACHED_TOKENS`). A pipeline may be used from several threads.

    Args:
        tokenizer: gives tokens and their ids.
        hasher: gives the n-grams of a token, or ``None`` for a model without them.
        max_length: tokens of a text that are read; the rest is cut.

    Attributes:
        table_rows: rows of the embedding table that the ids address: ``V + hasher.rows``.
    """

    def __init__(self, tokenizer: Tokenizer, hasher: NgramHasher | None, max_length: int) -> None:
        if max_length < 1:
            raise OptionError(f"max_length must be at least 1, not {max_length}.")
        self.tokenizer = tokenizer
        self.hasher = hasher
        self.max_length = max_length
        self.table_rows = len(tokenizer) + (hasher.rows if hasher is not None else 0)
        self._lexicon = None if hasher is None else _Lexicon(tokenizer, hasher)
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> TextBatch:
        """Ids and n-grams of texts, in order; an empty text has no tokens.

        Raises:
            TypeError: if ``texts`` is one string instead of a sequence of them, or holds something else.
        """
        _check_texts(texts)
        if self._lexicon is None:
            return TextBatch(self._plain_ids(texts), None)
        with self._lock:
            entries = self._entries(texts, self._lexicon)
            return self._lexicon.batch(entries.values, entries.lengths)

    def encode_distinct(self, texts: Sequence[str]) -> tuple[SequenceBatch, SequenceBatch]:
        """Texts as positions in the list of their distinct tokens: each token's vector needs computing once.

        Returns:
            positions of the tokens of each text, ``positions.lengths (batch,)``; and for every distinct token
            the rows of the table that its vector is the sum of (as in :attr:`TextBatch.rows`).
        """
        _check_texts(texts)
        if self._lexicon is None:
            plain = self._plain_ids(texts)
            distinct, positions = engine.number_rows(plain.values, len(self.tokenizer))
            rows = SequenceBatch(distinct, np.ones(len(distinct), dtype=np.int64))
            return SequenceBatch(positions, plain.lengths), rows
        if len(texts) <= _FEW_TEXTS and (few := self._few(texts)) is not None:
            return few
        with self._lock:
            entries = self._entries(texts, self._lexicon)
            distinct, positions = engine.number_rows(entries.values, len(self._lexicon))
            rows = self._lexicon.rows_of(distinct)
        return SequenceBatch(positions, entries.lengths), rows

    def _plain_ids(self, texts: Sequence[str]) -> SequenceBatch:
        return self.tokenizer.encode_batch(texts).truncate(self.max_length)

    def _few(self, texts: Sequence[str]) -> tuple[SequenceBatch, SequenceBatch] | None:
        """:meth:`encode_distinct` without looking for equal tokens, which a few texts hardly have."""
        assert self.hasher is not None
        parts, lengths = self._tokens(texts)
        tokens = list(chain.from_iterable(parts))
        rows = self.hasher.headed(tokens, self.tokenizer.token_ids(tokens), len(self.tokenizer))
        if rows is None:
            return None
        return SequenceBatch(np.arange(len(tokens), dtype=np.int32), lengths), rows

    def _tokens(self, texts: Sequence[str]) -> tuple[list[list[str]], np.ndarray]:
        """The tokens of each text that are read, and how many they are."""
        tokens = self.tokenizer.tokens_batch(texts)
        lengths = np.fromiter(map(len, tokens), dtype=np.int64, count=len(tokens))
        if lengths.size and int(lengths.max()) > self.max_length:
            tokens = [part[: self.max_length] for part in tokens]
            np.minimum(lengths, self.max_length, out=lengths)
        return tokens, lengths

    def _entries(self, texts: Sequence[str], lexicon: _Lexicon) -> SequenceBatch:
        """Places of the texts' tokens in the lexicon."""
        tokens, lengths = self._tokens(texts)
        return SequenceBatch(lexicon.places(chain.from_iterable(tokens), int(lengths.sum())), lengths)


class _Places(dict[str, int]):
    """Token -> place. A token that is asked for and not there gets the next place and joins ``fresh``."""

    def __init__(self) -> None:
        self.fresh: list[str] = []

    def __missing__(self, token: str) -> int:
        place = len(self)
        self[token] = place
        self.fresh.append(token)
        return place


class _Lexicon:
    """Rows of every token met so far, its word's first and then those of its n-grams, in arrays that grow."""

    def __init__(self, tokenizer: Tokenizer, hasher: NgramHasher) -> None:
        self._tokenizer = tokenizer
        self._hasher = hasher
        self._clear()

    def _clear(self) -> None:
        self._places = _Places()
        self._starts = np.zeros(0, dtype=np.int64)
        self._counts = np.zeros(0, dtype=np.int64)
        self._rows = np.zeros(0, dtype=np.int32)
        self._rows_used = 0

    def __len__(self) -> int:
        return len(self._places)

    def places(self, tokens: Iterable[str], count: int) -> np.ndarray:
        """Places ``(count,)`` int32 of tokens; those met for the first time are added."""
        if len(self._places) > CACHED_TOKENS or self._rows_used > CACHED_NGRAMS:
            self._clear()
        try:
            found = np.fromiter(map(self._places.__getitem__, tokens), dtype=np.int32, count=count)
            if self._places.fresh:
                self._add(self._places.fresh)
                self._places.fresh = []
        except BaseException:
            self._clear()  # an interrupted update would leave tokens without rows
            raise
        return found

    def _add(self, tokens: list[str]) -> None:
        bags = self._hasher.bags(tokens)
        counts = bags.lengths + 1
        old, used = len(self._places) - len(tokens), self._rows_used
        self._starts = _grown(self._starts, old, len(tokens))
        self._counts = _grown(self._counts, old, len(tokens))
        self._rows = _grown(self._rows, used, bags.total + len(tokens))
        new = slice(old, old + len(tokens))
        firsts = np.cumsum(counts) - counts
        self._counts[new] = counts
        self._starts[new] = firsts + used
        is_ngram = np.ones(bags.total + len(tokens), dtype=np.bool_)
        is_ngram[firsts] = False
        rows = self._rows[used : used + len(is_ngram)]
        rows[firsts] = self._tokenizer.token_ids(tokens)
        rows[is_ngram] = bags.values + np.int32(len(self._tokenizer))
        self._rows_used += len(is_ngram)

    def rows_of(self, places: np.ndarray) -> SequenceBatch:
        """All rows of the tokens at ``places``, one sequence a token."""
        counts = self._counts[places]
        return SequenceBatch(self._rows[gather_positions(self._starts[places], counts)], counts)

    def batch(self, places: np.ndarray, lengths: np.ndarray) -> TextBatch:
        """Texts of the given lengths whose tokens stand at ``places``."""
        starts, counts = self._starts[places], self._counts[places] - 1
        bags = SequenceBatch(self._rows[gather_positions(starts + 1, counts)], counts)
        return TextBatch(SequenceBatch(self._rows[starts], lengths), bags)


def _grown(array: np.ndarray, used: int, more: int) -> np.ndarray:
    """The array, or a copy of its used part with room for ``more`` further elements."""
    if used + more <= len(array):
        return array
    grown = np.empty(max(used + more, 2 * len(array), 1024), dtype=array.dtype)
    grown[:used] = array[:used]
    return grown


def _check_texts(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise TypeError("expected a list of texts, got one string: put it into a list, [text]")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {index} is {type(text).__name__}, not a string")
