"""The one interface of all tokenizers, and how they are trained and read back.

| kind            | tokens                                            | lower case | spans |
|-----------------|---------------------------------------------------|------------|-------|
| `basic_english` | torchtext's rules for English                     | always     | yes   |
| `whitespace`    | runs of other than white space                    | option     | yes   |
| `char`          | characters, or letters of Hangul with `jamo`      | option     | yes   |
| `bpe`           | sub-words, byte-pair encoding of characters       | option     | yes   |
| `wordpiece`     | sub-words, longest match first                    | option     | yes   |
| `unigram`       | sub-words, most probable split                    | option     | yes   |
| `pretrained`    | those of a Hugging Face `tokenizer.json`          | its own    | yes   |
| `morphemes`     | Korean morphemes with their tags, by kiwipiepy    | option     | yes   |

Id 0 is padding and id 1 the unknown token, whatever the text says: a text that holds the characters
``<pad>`` never gets id 0. (A pre-trained tokenizer keeps its own ids.) All kinds but `basic_english`,
`morphemes` and `pretrained` bring text into NFC first (NFD for `jamo`), so that the two ways of writing
``é`` or ``한`` are one.
"""

from __future__ import annotations

import abc
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unrolled.errors import DataError, ModelFileError, OptionError
from unrolled.text.batch import SequenceBatch

if TYPE_CHECKING:
    from unrolled.text.words import WordTokenizer

PAD_TOKEN = "<pad>"
UNK_TOKEN = "<unk>"
PAD_ID = 0
UNK_ID = 1

#: Kinds that :func:`train_tokenizer` makes.
TRAINABLE_KINDS = ("basic_english", "whitespace", "char", "bpe", "wordpiece", "unigram", "morphemes")
_SUBWORD_KINDS = ("bpe", "wordpiece", "unigram")

# Characters of JSON. The largest public tokenizers (250,000 tokens) take some 20 million.
_MAX_JSON = 128 * 1024 * 1024
_OWN_FORMAT = re.compile(r'\s*\{\s*"unrolled_tokenizer"\s*:')


class Tokenizer(abc.ABC):
    """Text to tokens to ids and back. Made by :func:`train_tokenizer` or :func:`tokenizer_from_json`."""

    kind: str
    pad_id: int = PAD_ID
    unk_id: int = UNK_ID

    @abc.abstractmethod
    def tokens(self, text: str) -> list[str]:
        """The tokens of one text. Those the vocabulary lacks are still themselves here."""

    def tokens_batch(self, texts: Sequence[str]) -> list[list[str]]:
        """The tokens of many texts, as :meth:`tokens` gives them; faster where a kind has a faster way."""
        return list(map(self.tokens, texts))

    @abc.abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> SequenceBatch:
        """The ids of many texts; int32, one sequence a text. The fast way.

        Raises:
            DataError: if ``texts`` is one string, or an element is not a string.
        """

    @abc.abstractmethod
    def spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end of each token of :meth:`tokens` in the original text, counted in characters."""

    @abc.abstractmethod
    def id_to_token(self, index: int) -> str:
        """The token of an id.

        Raises:
            OptionError: if there is none.
        """

    @abc.abstractmethod
    def token_to_id(self, token: str) -> int:
        """The id of a token, ``unk_id`` if the vocabulary does not have it."""

    def token_ids(self, tokens: Sequence[str]) -> list[int]:
        """The ids of tokens of a text, in which the characters ``<pad>`` are a word nobody knows."""
        find, unknown = self.token_to_id, self.unk_id
        return [unknown if token == PAD_TOKEN else find(token) for token in tokens]

    @abc.abstractmethod
    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """A text for ids, padding left out. The inverse of :meth:`encode` up to case, spacing and
        unknown tokens.

        Raises:
            OptionError: if an id has no token.
        """

    @abc.abstractmethod
    def __len__(self) -> int:
        """Size of the vocabulary: every id is smaller."""

    @abc.abstractmethod
    def to_json(self) -> str:
        """JSON for :func:`tokenizer_from_json`; Hugging Face's format where it is one of theirs."""

    def encode(self, text: str) -> np.ndarray:
        """The ids of one text, ``(tokens,)`` int32."""
        values: np.ndarray = self.encode_batch([text]).values
        return values

    def __reduce__(self) -> tuple[Callable[[str], Tokenizer], tuple[str]]:
        return tokenizer_from_json, (self.to_json(),)

    def __repr__(self) -> str:
        return f"<{self.kind} tokenizer, {len(self)} tokens>"


def train_tokenizer(
    kind: str,
    texts: Iterable[str],
    *,
    vocab_size: int,
    min_freq: int | None = None,
    lowercase: bool | None = None,
    jamo: bool = False,
) -> Tokenizer:
    """Learns a vocabulary from texts. The same texts in the same order give the same tokenizer.

    Args:
        kind: one of :data:`TRAINABLE_KINDS`.
        texts: read as a stream, never held whole. Sub-words need two passes: give something that can be
            iterated twice, such as a list; a one-time iterator is copied to a temporary file.
        vocab_size: the largest number of ids, padding and unknown included.
        min_freq: how often a token must occur; for bpe and wordpiece how often a pair must occur to be
            merged. Default 1, and 2 for bpe and wordpiece. Unigram takes none.
        lowercase: lower all text first. Default no, but ``basic_english`` always does.
        jamo: take Hangul syllables apart into letters first; char and sub-words only.

    Raises:
        OptionError: for an unknown kind or options that do not fit it.
        DataError: if there is no text to learn from, or an element is not a string.
        MissingExtraError: if ``morphemes`` is asked for without kiwipiepy.
    """
    if kind not in TRAINABLE_KINDS:
        hint = "; read one with pretrained_tokenizer(path)" if kind == "pretrained" else ""
        raise OptionError(
            f"no tokenizer of kind {kind!r} can be trained{hint}. Kinds: {', '.join(TRAINABLE_KINDS)}"
        )
    if vocab_size < 8:
        raise OptionError(f"vocab_size must be at least 8, got {vocab_size}")
    if min_freq is not None and min_freq < 1:
        raise OptionError(f"min_freq must be at least 1, got {min_freq}")
    if kind == "unigram" and min_freq is not None and min_freq != 1:
        raise OptionError("a unigram tokenizer weighs pieces by probability and takes no min_freq")
    if kind == "basic_english" and lowercase is False:
        raise OptionError("basic_english always lowers case; take whitespace or a sub-word kind to keep it")
    if jamo and kind != "char" and kind not in _SUBWORD_KINDS:
        raise OptionError(f"jamo is for char, bpe, wordpiece and unigram, not for {kind}")
    if isinstance(texts, str):
        raise DataError("expected many texts, got one string; put it into a list")
    lower = bool(lowercase)
    if kind in _SUBWORD_KINDS:
        from unrolled.text.subwords import train_subwords

        return train_subwords(
            kind, texts, vocab_size=vocab_size, min_freq=min_freq, lowercase=lower, jamo=jamo
        )
    if kind == "char":
        from unrolled.text.characters import CharTokenizer

        return CharTokenizer.train(
            texts, vocab_size=vocab_size, min_freq=min_freq or 1, lowercase=lower, jamo=jamo
        )
    return _word_class(kind).train(texts, vocab_size=vocab_size, min_freq=min_freq or 1, lowercase=lower)


def tokenizer_from_json(text: str) -> Tokenizer:
    """Reads a tokenizer that :meth:`Tokenizer.to_json` wrote, or any Hugging Face ``tokenizer.json``.

    Raises:
        ModelFileError: if the text is neither, is damaged, or is larger than any real tokenizer.
    """
    if len(text) > _MAX_JSON:
        raise ModelFileError(f"tokenizer: {len(text)} characters of JSON are more than any real one; refused")
    if not _OWN_FORMAT.match(text):
        from unrolled.text.subwords import SubwordTokenizer

        return SubwordTokenizer.from_json(text)
    try:
        saved = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"tokenizer: not valid JSON ({error})") from None
    kind, version = saved["unrolled_tokenizer"], saved.get("format")
    if version != 1:
        raise ModelFileError(
            f"tokenizer: format {version!r} is not one this version of Unrolled reads; update it"
        )
    if kind == "char":
        from unrolled.text.characters import CharTokenizer

        return CharTokenizer.from_saved(saved)
    if kind in ("basic_english", "whitespace", "morphemes"):
        return _word_class(kind).from_saved(saved)
    raise ModelFileError(f"tokenizer: unknown kind {kind!r}")


def pretrained_tokenizer(path: str | Path) -> Tokenizer:
    """Reads a Hugging Face ``tokenizer.json``, or a folder that holds one.

    Raises:
        ModelFileError: if there is no such file or it is not a tokenizer.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "tokenizer.json"
    try:
        if path.stat().st_size > 4 * _MAX_JSON:
            raise ModelFileError(f"{path}: larger than any real tokenizer; refused")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot be read ({error.strerror}); give a Hugging Face tokenizer.json"
        ) from None
    except UnicodeDecodeError:
        raise ModelFileError(f"{path}: not UTF-8 text; give a Hugging Face tokenizer.json") from None
    try:
        return tokenizer_from_json(text)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None


def checked_texts(texts: Sequence[str]) -> list[str]:
    """The texts as a list, each a string.

    Raises:
        DataError: if not.
    """
    if isinstance(texts, str):
        raise DataError("expected a list of texts, got one string; put it into a list")
    checked = list(texts)
    for position, text in enumerate(checked):
        if not isinstance(text, str):
            raise DataError(f"text {position} is {type(text).__name__}, not str")
    return checked


def saved_flag(saved: dict[str, Any], name: str) -> bool:
    """A true-or-false field of a saved tokenizer.

    Raises:
        ModelFileError: if it is missing or anything else.
    """
    flag = saved.get(name)
    if not isinstance(flag, bool):
        raise ModelFileError(f"tokenizer: field '{name}' must be true or false, got {flag!r}")
    return flag


def _word_class(kind: str) -> type[WordTokenizer]:
    if kind == "morphemes":
        from unrolled.text.morphemes import MorphemeTokenizer

        return MorphemeTokenizer
    from unrolled.text.words import BasicEnglishTokenizer, WhitespaceTokenizer

    return BasicEnglishTokenizer if kind == "basic_english" else WhitespaceTokenizer
