"""Words and their neighbours to the features of a linear tagger, hashed."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np

from unrolled.errors import OptionError
from unrolled.text.batch import SequenceBatch
from unrolled.text.word_features import shape_of

#: Numbers that features are hashed to; a power of two.
BUCKETS = 1 << 22
#: What a word is known by: itself, its outline, its beginnings and its ends of one to five characters, and
#: whether it begins with a capital.
_NAMES = (
    "lower",
    "cased",
    "shape",
    *(f"first{n}" for n in range(1, 6)),
    *(f"last{n}" for n in range(1, 6)),
    "capital",
)
_PLACE = {name: column for column, name in enumerate(_NAMES)}
#: Words to both sides that are looked at.
REACH = 3
_LONGEST = 64
# Share of capitalised words from which a sentence counts as mixed, and as a headline.
_MIXED, _HEADLINE = 0.25, 0.6


def _templates() -> list[tuple[tuple[int, str], ...]]:
    """Each feature as up to three pairs (offset, what of the word there)."""
    own = ["lower", "cased", "shape", *_NAMES[3:13]]
    found: list[tuple[tuple[int, str], ...]] = [((0, name),) for name in own]
    found += [((0, "last3"), (0, "shape"))]
    for offset in range(-REACH, REACH + 1):
        if offset:
            found.append(((offset, "lower"),))
        if 0 < abs(offset) <= 2:
            found += [((offset, name),) for name in ("shape", "last2", "last3")]
    pairs = [(-1, 0), (0, 1), (-1, 1), (-2, -1), (1, 2)]
    found += [((a, "lower"), (b, "lower")) for a, b in pairs]
    found += [((a, "last3"), (b, "last3")) for a, b in pairs[:2]]
    found += [((-1, "lower"), (0, "last3")), ((0, "last3"), (1, "lower"))]
    found += [tuple((offset, name) for offset in (-1, 0, 1)) for name in ("shape", "last2")]
    return found


_TEMPLATES = _templates()
_OFFSETS = np.array([[part[k][0] if k < len(part) else 0 for part in _TEMPLATES] for k in range(3)])
_COLUMNS = np.array([[_PLACE[part[k][1]] if k < len(part) else 0 for part in _TEMPLATES] for k in range(3)])
_USED = np.array([[k < len(part) for part in _TEMPLATES] for k in range(3)], dtype=np.uint64)
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)
_SHAPE = _PLACE["shape"]
_SEEDS = np.arange(1, len(_TEMPLATES) + 2, dtype=np.uint64) * np.uint64(0xD6E8FEB86659FD93)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
#: Features of a word: one a template, and its outline beside how much of the sentence is capitalised.
FEATURES = len(_TEMPLATES) + 1
# What stands before the first word and after the last.
_BORDER = np.full(len(_NAMES), 0xB07DE2, dtype=np.uint64)
_BORDER[_PLACE["capital"]] = 0
_BLOCK_WORDS = 4096


def word_columns(words: Sequence[str]) -> np.ndarray:
    """``(words, columns)`` uint64: what each word is known by, hashed. Words are compared in NFC."""
    table = np.empty((len(words), len(_NAMES)), dtype=np.uint64)
    for number, word in enumerate(words):
        normal = (word if word.isascii() else unicodedata.normalize("NFC", word))[:_LONGEST]
        lower = normal.lower()
        parts = [lower, normal, shape_of(normal)]
        parts += [lower[:n] for n in range(1, 6)] + [lower[-n:] for n in range(1, 6)]
        table[number, :-1] = [zlib.crc32(part.encode("utf-8", "surrogatepass")) for part in parts]
        table[number, -1] = normal[:1].isupper()
    return table


class WindowFeatures:
    """Rows of a linear tagger's table for each word, from the word and up to three on both sides.

    The features are those of classical taggers (Ratnaparkhi 1996; Ratinov and Roth 2009): words, outlines,
    beginnings and ends, and pairs and triples of neighbours. Their hash is part of the saved model's format
    and never changes::

        h = seed of the template + sum of factor_k * crc32(part_k)              (mod 2**64)
        h = mix(h)                   the finaliser of SplitMix64 (Steele, Lea, Flood 2014)
        bucket = h >> 42

    Args:
        kept: ``(rows,)`` int32, ascending, the buckets that have a row; ``None`` if all have one.

    Attributes:
        rows: number of buckets that have a row.

    Raises:
        OptionError: ``kept`` is not ascending within the buckets.
    """

    def __init__(self, kept: np.ndarray | None = None) -> None:
        self.kept = kept
        self.rows = BUCKETS
        self._row_of: np.ndarray | None = None
        if kept is not None:
            ascending = kept.ndim == 1 and bool(np.all(kept[1:] > kept[:-1]))
            if not ascending or (len(kept) and not 0 <= int(kept[0]) <= int(kept[-1]) < BUCKETS):
                raise OptionError(f"the buckets of features must be ascending numbers below {BUCKETS}.")
            self.rows = len(kept)
            self._row_of = np.full(BUCKETS, -1, dtype=np.int32)
            self._row_of[kept] = np.arange(len(kept), dtype=np.int32)

    def encode(self, columns: np.ndarray, words: np.ndarray, lengths: np.ndarray) -> SequenceBatch:
        """The rows of all words of some sentences; of features without a row nothing is left.

        Args:
            columns: ``(entries, columns)``, of :func:`word_columns`.
            words: ``(tokens,)``, the entry of each word, sentence after sentence.
            lengths: ``(sentences,)``.

        Returns:
            values: rows int32, those of the first word first; lengths ``(tokens,)``.
        """
        if len(words) <= _BLOCK_WORDS:
            return self._block(columns, words, lengths)
        # In blocks of whole sentences, so that the arrays stay small.
        ends = np.cumsum(lengths)
        values, counts, first, begin = [], [], 0, 0
        while first < len(lengths):
            last = max(first + 1, int(np.searchsorted(ends, begin + _BLOCK_WORDS, side="right")))
            stop = int(ends[last - 1])
            block = self._block(columns, words[begin:stop], lengths[first:last])
            values.append(block.values)
            counts.append(block.lengths)
            first, begin = last, stop
        return SequenceBatch(np.concatenate(values), np.concatenate(counts))

    def _block(self, columns: np.ndarray, words: np.ndarray, lengths: np.ndarray) -> SequenceBatch:
        buckets = _buckets(columns, words, lengths)
        if self._row_of is None:
            counts = np.full(len(buckets), FEATURES, dtype=np.int64)
            return SequenceBatch(buckets.reshape(-1), counts)
        rows = self._row_of[buckets]
        has_row = rows >= 0
        return SequenceBatch(rows[has_row], has_row.sum(axis=1))


def _buckets(columns: np.ndarray, words: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """``(tokens, FEATURES)`` int32."""
    sentence = np.repeat(np.arange(len(lengths)), lengths)
    own = columns[words]
    # All sentences in one row, borders between them and at both ends.
    row = np.empty((len(words) + REACH * (len(lengths) + 1), columns.shape[1]), dtype=np.uint64)
    row[:] = _BORDER
    places = np.arange(len(words)) + REACH * (sentence + 1)
    row[places] = own
    hashes = np.empty((len(words), FEATURES), dtype=np.uint64)
    parts = hashes[:, :-1]
    parts[:] = _SEEDS[:-1]
    for offsets, which, used, factor in zip(_OFFSETS, _COLUMNS, _USED, _FACTORS, strict=True):
        chosen = np.flatnonzero(used)
        parts[:, chosen] += row[places[:, None] + offsets[chosen], which[chosen]] * factor
    capitals = np.bincount(sentence, weights=own[:, -1], minlength=len(lengths)) / np.maximum(lengths, 1)
    manner = (capitals > _MIXED).astype(np.uint64) + (capitals > _HEADLINE).astype(np.uint64)
    hashes[:, -1] = _SEEDS[-1] + own[:, _SHAPE] * _FACTORS[0] + manner[sentence] * _FACTORS[1]
    hashes ^= hashes >> np.uint64(30)
    hashes *= _MIX_1
    hashes ^= hashes >> np.uint64(27)
    hashes *= _MIX_2
    hashes ^= hashes >> np.uint64(31)
    hashes >>= np.uint64(42)
    return hashes.astype(np.int32)
