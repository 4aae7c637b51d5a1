"""Characters as tokens: code points looked up in a table, all texts at once."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Self

import numpy as np

from unrolled.errors import DataError, ModelFileError, OptionError
from unrolled.text.batch import SequenceBatch
from unrolled.text.jamo import compose, decompose
from unrolled.text.tokenizer import PAD_ID, PAD_TOKEN, UNK_ID, UNK_TOKEN, Tokenizer, checked_texts, saved_flag
from unrolled.text.vocab import checked_tokens

_BLOCK = 4096


class CharTokenizer(Tokenizer):
    """One token a character of the text in NFC, spaces included.

    Args:
        characters: the known characters; the first gets id 2.
        lowercase: whether text is lowered first.
        jamo: whether Hangul syllables are taken apart into letters (conjoining jamo), one token each.
    """

    kind = "char"

    def __init__(self, characters: Sequence[str], *, lowercase: bool, jamo: bool) -> None:
        self.lowercase = lowercase
        self.jamo = jamo
        self._tokens = [PAD_TOKEN, UNK_TOKEN, *characters]
        self._ids = {character: index for index, character in enumerate(characters, start=2)}
        codes = np.fromiter(map(ord, characters), dtype=np.int64, count=len(characters))
        # One entry beyond the largest code: all higher code points are clipped to it and so unknown.
        self._table = np.full(int(codes.max(initial=0)) + 2, UNK_ID, dtype=np.int32)
        self._table[codes] = np.arange(2, len(self._tokens), dtype=np.int32)

    @classmethod
    def train(
        cls, texts: Iterable[str], *, vocab_size: int, min_freq: int, lowercase: bool, jamo: bool
    ) -> Self:
        """Takes the most frequent characters, ties in the order of code points.

        Raises:
            DataError: if there is no character in the texts, or an element is not a string.
        """
        untrained = cls([], lowercase=lowercase, jamo=jamo)
        counts: Counter[str] = Counter()
        source = iter(texts)
        while block := list(islice(source, _BLOCK)):
            counts.update("".join(untrained._normalized(checked_texts(block))))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        characters = [character for character, count in ranked[: vocab_size - 2] if count >= min_freq]
        if not characters:
            raise DataError(
                f"no character occurs {min_freq} times or more in the texts: "
                "set min_freq to 1, or give more texts"
            )
        return cls(characters, lowercase=lowercase, jamo=jamo)

    @classmethod
    def from_saved(cls, saved: dict[str, Any]) -> Self:
        """Rebuilds what :meth:`to_json` wrote.

        Raises:
            ModelFileError: if a field is missing or of the wrong type.
        """
        characters = checked_tokens(saved.get("tokens"), "tokenizer")
        if any(len(character) != 1 for character in characters) or len(set(characters)) != len(characters):
            raise ModelFileError("tokenizer: the tokens of kind 'char' must be single characters, each once")
        return cls(characters, lowercase=saved_flag(saved, "lowercase"), jamo=saved_flag(saved, "jamo"))

    def to_json(self) -> str:
        saved = {
            "unrolled_tokenizer": self.kind,
            "format": 1,
            "lowercase": self.lowercase,
            "jamo": self.jamo,
            "tokens": self._tokens[2:],
        }
        # Escaped, as a lone surrogate is a possible character and has no form in UTF-8.
        return json.dumps(saved)

    def tokens(self, text: str) -> list[str]:
        return list(self._normalized([text])[0])

    def encode_batch(self, texts: Sequence[str]) -> SequenceBatch:
        normalized = self._normalized(checked_texts(texts))
        lengths = np.fromiter(map(len, normalized), dtype=np.int64, count=len(normalized))
        codes = np.frombuffer("".join(normalized).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        return SequenceBatch(self._table[np.minimum(codes, len(self._table) - 1)], lengths)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """As for every tokenizer; what NFC composes, and the letters of one syllable, share one span."""
        spans: list[tuple[int, int]] = []
        for start, end in _composition_clusters(text):
            spans += [(start, end)] * len(self._normalized([text[start:end]])[0])
        return spans

    def id_to_token(self, index: int) -> str:
        if not 0 <= index < len(self._tokens):
            raise OptionError(f"id {index} is outside the vocabulary of {len(self._tokens)} tokens")
        return self._tokens[index]

    def token_to_id(self, token: str) -> int:
        if token == PAD_TOKEN:
            return PAD_ID
        return self._ids.get(token, UNK_ID)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        text = "".join(self.id_to_token(int(index)) for index in ids if index != PAD_ID)
        return compose(text) if self.jamo else text

    def __len__(self) -> int:
        return len(self._tokens)

    def _normalized(self, texts: list[str]) -> list[str]:
        texts = [text if text.isascii() else unicodedata.normalize("NFC", text) for text in texts]
        if self.lowercase:
            texts = [text.lower() for text in texts]
        return [decompose(text) for text in texts] if self.jamo else texts


def _composition_clusters(text: str) -> list[tuple[int, int]]:
    """Cuts the text between characters that do not compose: NFC of the parts, joined, is NFC of the whole."""
    if unicodedata.is_normalized("NFC", text):
        return [(position, position + 1) for position in range(len(text))]
    clusters: list[tuple[int, int]] = []
    start, part = 0, ""
    for position, character in enumerate(text):
        alone = unicodedata.normalize("NFC", character)
        joined = unicodedata.normalize("NFC", part + character)
        if position and not unicodedata.combining(alone[0]) and joined == part + alone:
            clusters.append((start, position))
            start, part = position, alone
        else:
            part = joined
    if text:
        clusters.append((start, len(text)))
    return clusters
