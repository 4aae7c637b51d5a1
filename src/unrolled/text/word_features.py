"""Words to what a tagger sees of them: rows of its embedding table, and their characters."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import numpy as np

from unrolled.errors import ModelFileError
from unrolled.storage.strict_json import StrictJsonError, parse_object
from unrolled.text.batch import SequenceBatch, gather_positions
from unrolled.text.ngrams import NgramHasher

#: Ids of characters that every model has: one that training did not see, and the two ends of a word.
UNKNOWN_CHARACTER, WORD_START, WORD_END = 0, 1, 2
#: Characters of a word that its character encoder reads.
LONGEST_WORD = 32
#: Words seen at least this often give the characters and shapes that a model knows.
_CHARACTER_MIN_FREQ = 2
_LONGEST_SHAPE = 12
_KIND = "words"
_RUN = re.compile(r"(.)\1{2,}", re.DOTALL)


def shape_of(word: str) -> str:
    """The outline of a word: ``X`` for capitals, ``x`` for other letters, ``d`` for digits, signs as are.

    Runs of more than two are cut to two, so that ``Seoul`` and ``Gangneung`` are both ``Xxx``; characters
    beyond ASCII that have no case give ``u``.
    """
    outline = "".join(map(_outline, word[: 4 * LONGEST_WORD]))
    return _RUN.sub(r"\1\1", outline)[:_LONGEST_SHAPE]


def _outline(character: str) -> str:
    if character.isupper():
        return "X"
    if character.islower():
        return "x"
    if character.isdigit():
        return "d"
    return character if character.isascii() else "u"


@dataclass(frozen=True, slots=True)
class EncodedWords:
    """What a model sees of a list of words.

    Attributes:
        rows: one sequence a word, the rows of the embedding table whose sum is its vector: first those of
            its own, then its shape, then its n-grams. May be empty.
        own: ``(words,)`` int64, how many of the rows are the word's own (as written, and lowered).
        characters: one sequence a word, ids between :data:`WORD_START` and :data:`WORD_END`.
    """

    rows: SequenceBatch
    own: np.ndarray
    characters: SequenceBatch


class WordFeatures:
    """The words, shapes and characters that a tagger knows.

    A word has up to two rows of its own: one in lower case, one as written if that differs. An unknown word
    has none, and is then the sum of its shape and its character n-grams alone: what word dropout makes of a
    known one in training. Words are compared in Unicode's form NFC.

    Args:
        lower, cased, shapes: known words in lower case, known words that are written otherwise, and known
            outlines; in the order of their rows.
        characters: known characters; the first has id 3.
        hasher: gives the n-grams, whose rows come last; ``None`` for a model without.

    Attributes:
        table_rows: rows of the embedding table.
    """

    def __init__(
        self,
        lower: Sequence[str],
        cased: Sequence[str],
        shapes: Sequence[str],
        characters: Sequence[str],
        hasher: NgramHasher | None,
    ) -> None:
        self.hasher = hasher
        self._lists = {"lower": lower, "cased": cased, "shapes": shapes, "characters": characters}
        self._lower = {word: row for row, word in enumerate(lower)}
        self._cased = {word: row for row, word in enumerate(cased, len(lower))}
        self._shapes = {shape: row for row, shape in enumerate(shapes, len(lower) + len(cased))}
        self._base = len(lower) + len(cased) + len(shapes)
        self._characters = {character: number for number, character in enumerate(characters, WORD_END + 1)}
        self.table_rows = self._base + (0 if hasher is None else hasher.rows)

    @classmethod
    def of(cls, counts: Mapping[str, int], min_freq: int, hasher: NgramHasher | None) -> Self:
        """From the words of the training data.

        Args:
            counts: word -> how often it occurs.
            min_freq: occurrences below which a word has no row of its own.
            hasher: of n-grams, already cut to the frequent ones.
        """
        lower: Counter[str] = Counter()
        cased: Counter[str] = Counter()
        shapes: Counter[str] = Counter()
        characters: Counter[str] = Counter()
        for word, count in counts.items():
            normal = unicodedata.normalize("NFC", word)
            lowered = normal.lower()
            lower[lowered] += count
            if lowered != normal:
                cased[normal] += count
            shapes[shape_of(normal)] += count
            for character in normal[:LONGEST_WORD]:
                characters[character] += count
        return cls(
            _ranked(lower, min_freq),
            _ranked(cased, min_freq),
            _ranked(shapes, _CHARACTER_MIN_FREQ),
            _ranked(characters, _CHARACTER_MIN_FREQ),
            hasher,
        )

    @property
    def character_count(self) -> int:
        """Rows of the table of characters."""
        return len(self._characters) + WORD_END + 1

    def knows(self, word: str) -> bool:
        """Whether the word has a row of its own."""
        normal = unicodedata.normalize("NFC", word)
        return normal in self._cased or normal.lower() in self._lower

    def row_names(self) -> dict[str, int]:
        """Lower-case word -> row, for the words that have one."""
        return self._lower

    def encode(self, words: Sequence[str]) -> EncodedWords:
        """Rows and characters of words, in order."""
        normal = [word if word.isascii() else unicodedata.normalize("NFC", word) for word in words]
        heads: list[list[int]] = []
        own = np.zeros(len(words), dtype=np.int64)
        for number, word in enumerate(normal):
            lowered = word.lower()
            found = [self._cased.get(word)] if lowered != word else []
            rows = [row for row in (*found, self._lower.get(lowered)) if row is not None]
            own[number] = len(rows)
            shape = self._shapes.get(shape_of(word))
            if shape is not None:
                rows.append(shape)
            heads.append(rows)
        return EncodedWords(self._with_ngrams(heads, normal), own, self._spelled(normal))

    def _with_ngrams(self, heads: list[list[int]], words: list[str]) -> SequenceBatch:
        first = SequenceBatch.from_lists(heads)
        if self.hasher is None:
            return first
        bags = self.hasher.bags(words)
        lengths = first.lengths + bags.lengths
        starts = np.cumsum(lengths) - lengths
        values = np.empty(int(lengths.sum()), dtype=np.int32)
        is_head = np.zeros(len(values), dtype=np.bool_)
        is_head[gather_positions(starts, first.lengths)] = True
        values[is_head] = first.values
        values[~is_head] = bags.values + np.int32(self._base)
        return SequenceBatch(values, lengths)

    def _spelled(self, words: list[str]) -> SequenceBatch:
        known = self._characters
        ids = [
            [
                WORD_START,
                *(known.get(character, UNKNOWN_CHARACTER) for character in word[:LONGEST_WORD]),
                WORD_END,
            ]
            for word in words
        ]
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        flat = np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=int(lengths.sum()))
        return SequenceBatch(flat, lengths)

    def to_json(self, **more: Any) -> str:
        """All but the n-grams as JSON; ``more`` goes along."""
        return json.dumps({"kind": _KIND, **more, **self._lists}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, hasher: NgramHasher | None) -> Self:
        """From :meth:`to_json`.

        Raises:
            ModelFileError: something else, or damaged.
        """
        return cls.from_dict(parsed_words(text), hasher)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], hasher: NgramHasher | None) -> Self:
        """From what :func:`parsed_words` gives.

        Raises:
            ModelFileError: something else, or damaged.
        """
        if content.get("kind") != _KIND:
            raise ModelFileError("these are not the words of a tagger.")
        lists = [content.get(name) for name in ("lower", "cased", "shapes", "characters")]
        for entries in lists:
            if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
                raise ModelFileError("a list of words is damaged.")
            if len(set(entries)) != len(entries):
                raise ModelFileError("a word comes twice.")
        if not all(len(character) == 1 for character in lists[3] or ()):
            raise ModelFileError("the list of characters is damaged.")
        lower, cased, shapes, characters = (entries or [] for entries in lists)
        return cls(lower, cased, shapes, characters, hasher)


def parsed_words(text: str) -> dict[str, Any]:
    """The content of what :meth:`WordFeatures.to_json` wrote, with all that went along.

    Raises:
        ModelFileError: no JSON object.
    """
    try:
        return parse_object(text.encode("utf-8", "surrogatepass"))
    except StrictJsonError as error:
        raise ModelFileError(f"{error}.") from None


def _ranked(counts: Counter[str], min_freq: int) -> list[str]:
    """Those counted often enough, the most frequent first, ties in the order of code points."""
    kept = [(-count, entry) for entry, count in counts.items() if count >= min_freq]
    return [entry for _, entry in sorted(kept)]
