"""Tokenizers whose tokens are words, looked up in a :class:`~unrolled.text.vocab.Vocab`."""

from __future__ import annotations

import abc
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Self

import numpy as np

from unrolled.errors import DataError, ModelFileError, OptionError
from unrolled.text.basic_english import basic_english, basic_english_spans, basic_english_stream
from unrolled.text.batch import SequenceBatch
from unrolled.text.tokenizer import PAD_ID, PAD_TOKEN, UNK_ID, UNK_TOKEN, Tokenizer, checked_texts, saved_flag
from unrolled.text.vocab import Vocab, build_vocab_from_iterator, checked_tokens

_WORD = re.compile(r"\S+")
_BLOCK = 1024


class WordTokenizer(Tokenizer):
    """Base of the kinds that split text by rules and look each piece up.

    Args:
        vocab: the vocabulary; its first two tokens are ``<pad>`` and ``<unk>``.
        lowercase: whether text is lowered first.
    """

    def __init__(self, vocab: Vocab, *, lowercase: bool) -> None:
        vocab.set_default_index(UNK_ID)
        self.vocab = vocab
        self.lowercase = lowercase
        # Without the two specials: the characters "<pad>" in a text are a word nobody knows, not padding.
        self._ids = {token: index for token, index in vocab.get_stoi().items() if index > UNK_ID}

    @abc.abstractmethod
    def split_stream(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of one text after the other."""

    @classmethod
    def train(cls, texts: Iterable[str], *, vocab_size: int, min_freq: int, lowercase: bool) -> Self:
        """Takes the most frequent tokens, ties in the order of code points.

        Raises:
            DataError: if there is no token in the texts.
        """
        untrained = cls(Vocab([PAD_TOKEN, UNK_TOKEN]), lowercase=lowercase)
        vocab = build_vocab_from_iterator(
            untrained.split_stream(_strings(texts)),
            min_freq=min_freq,
            specials=[PAD_TOKEN, UNK_TOKEN],
            max_tokens=vocab_size,
        )
        if len(vocab) == 2:
            raise DataError(
                f"no token occurs {min_freq} times or more in the texts: "
                "set min_freq to 1, or give more texts"
            )
        return cls(vocab, lowercase=lowercase)

    @classmethod
    def from_saved(cls, saved: dict[str, Any]) -> Self:
        """Rebuilds what :meth:`to_json` wrote.

        Raises:
            ModelFileError: if a field is missing or of the wrong type.
        """
        tokens = checked_tokens(saved.get("tokens"), "tokenizer")
        if tokens[:2] != [PAD_TOKEN, UNK_TOKEN]:
            raise ModelFileError(f"tokenizer: the first two tokens must be {PAD_TOKEN} and {UNK_TOKEN}")
        try:
            return cls(Vocab(tokens), lowercase=saved_flag(saved, "lowercase"))
        except RuntimeError as error:
            raise ModelFileError(f"tokenizer: {error}") from None

    def to_json(self) -> str:
        saved = {
            "unrolled_tokenizer": self.kind,
            "format": 1,
            "lowercase": self.lowercase,
            "tokens": self.vocab.get_itos(),
        }
        return json.dumps(saved, ensure_ascii=False)

    def tokens(self, text: str) -> list[str]:
        return next(self.split_stream([text]))

    def tokens_batch(self, texts: Sequence[str]) -> list[list[str]]:
        return list(self.split_stream(texts))

    def encode_batch(self, texts: Sequence[str]) -> SequenceBatch:
        get = self._ids.get
        checked = checked_texts(texts)
        lengths = np.zeros(len(checked), dtype=np.int64)
        parts: list[np.ndarray] = []
        stream = enumerate(self.split_stream(checked))
        while True:
            ids: list[int] = []
            for position, tokens in islice(stream, _BLOCK):
                lengths[position] = len(tokens)
                ids += [get(token, UNK_ID) for token in tokens]
            parts.append(np.array(ids, dtype=np.int32))
            if len(parts) * _BLOCK >= len(checked):
                return SequenceBatch(np.concatenate(parts), lengths)

    def id_to_token(self, index: int) -> str:
        if not 0 <= index < len(self.vocab):
            raise OptionError(f"id {index} is outside the vocabulary of {len(self.vocab)} tokens")
        return self.vocab.lookup_token(int(index))

    def token_to_id(self, token: str) -> int:
        return self.vocab[token]

    def token_ids(self, tokens: Sequence[str]) -> list[int]:
        get = self._ids.get
        return [get(token, UNK_ID) for token in tokens]

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        return " ".join(self.id_to_token(int(index)) for index in ids if index != PAD_ID)

    def __len__(self) -> int:
        return len(self.vocab)


class WhitespaceTokenizer(WordTokenizer):
    """Runs of characters other than white space, in NFC."""

    kind = "whitespace"

    def split_stream(self, texts: Iterable[str]) -> Iterator[list[str]]:
        for text in texts:
            composed = unicodedata.normalize("NFC", text)
            yield (composed.lower() if self.lowercase else composed).split()

    def spans(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in _WORD.finditer(text)]


class BasicEnglishTokenizer(WordTokenizer):
    """torchtext's ``basic_english``; see :mod:`unrolled.text.basic_english`."""

    kind = "basic_english"

    def __init__(self, vocab: Vocab, *, lowercase: bool = True) -> None:
        del lowercase  # the rules begin with it
        super().__init__(vocab, lowercase=True)

    def split_stream(self, texts: Iterable[str]) -> Iterator[list[str]]:
        return basic_english_stream(texts)

    def tokens(self, text: str) -> list[str]:
        return basic_english(text)

    def spans(self, text: str) -> list[tuple[int, int]]:
        return basic_english_spans(text)


def _strings(texts: Iterable[str]) -> Iterator[str]:
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"text {position} is {type(text).__name__}, not str")
        yield text
