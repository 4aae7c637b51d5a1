"""BPE, WordPiece and Unigram through the Hugging Face library ``tokenizers``, trained here or read."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Literal, TypeVar

import numpy as np

from unrolled.errors import DataError, ModelFileError, OptionError
from unrolled.text.batch import SequenceBatch
from unrolled.text.corpus import frequent_characters, normalized_blocks, replayable
from unrolled.text.tokenizer import PAD_ID, PAD_TOKEN, UNK_ID, UNK_TOKEN, Tokenizer, checked_texts
from unrolled.text.unigram import train_unigram

# Texts a call of the library: its results carry offsets and masks and are many times larger than the ids.
_BLOCK = 4096
_MAX_ID = 10_000_000

_Result = TypeVar("_Result")


class SubwordTokenizer(Tokenizer):
    """A tokenizer of the Hugging Face library behind the common interface.

    No special tokens are added around a text, and none is truncated or padded, whatever the file says.

    Args:
        library_tokenizer: a ``tokenizers.Tokenizer``.

    Raises:
        ModelFileError: if its ids are out of any reasonable range.
    """

    def __init__(self, library_tokenizer: Any) -> None:
        self._library = library_tokenizer
        self._library.no_truncation()
        self._library.no_padding()
        vocab: dict[str, int] = self._library.get_vocab(with_added_tokens=True)
        self._size = max(vocab.values(), default=-1) + 1
        if not 0 < self._size <= _MAX_ID:
            raise ModelFileError(f"tokenizer: ids up to {self._size - 1}; expected between 0 and {_MAX_ID}")
        ours = vocab.get(PAD_TOKEN) == PAD_ID and vocab.get(UNK_TOKEN) == UNK_ID
        names = {"BPE": "bpe", "WordPiece": "wordpiece", "Unigram": "unigram"}
        self.kind = names.get(type(self._library.model).__name__, "pretrained") if ours else "pretrained"
        if ours:
            # "<pad>" in a text is text.
            self._library.encode_special_tokens = True
        else:
            self.pad_id = _first_of(vocab, (PAD_TOKEN, "[PAD]", "<|endoftext|>", "</s>"), PAD_ID)
            unknown = getattr(self._library.model, "unk_token", None)
            self.unk_id = _first_of(vocab, (unknown, UNK_TOKEN, "[UNK]", "<|endoftext|>"), self.pad_id)

    @classmethod
    def from_json(cls, text: str) -> SubwordTokenizer:
        """Reads the Hugging Face format.

        Raises:
            ModelFileError: if it is not that.
        """
        library = _library()
        return cls(_guarded(lambda: library.Tokenizer.from_str(text)))

    def to_json(self) -> str:
        text: str = self._library.to_str()
        return text

    def tokens(self, text: str) -> list[str]:
        tokens: list[str] = self._encoded(text).tokens
        return tokens

    def spans(self, text: str) -> list[tuple[int, int]]:
        offsets: list[tuple[int, int]] = self._encoded(text).offsets
        return offsets

    def encode(self, text: str) -> np.ndarray:
        return np.array(self._encoded(text).ids, dtype=np.int32)

    def encode_batch(self, texts: Sequence[str]) -> SequenceBatch:
        checked = checked_texts(texts)
        lengths = np.zeros(len(checked), dtype=np.int64)
        parts = [np.zeros(0, dtype=np.int32)]
        for start in range(0, len(checked), _BLOCK):
            block = checked[start : start + _BLOCK]
            try:
                encodings = self._library.encode_batch_fast(block, add_special_tokens=False)
            except (TypeError, UnicodeError):
                encodings = self._library.encode_batch_fast(
                    list(map(_encodable, block)), add_special_tokens=False
                )
            ids = [encoding.ids for encoding in encodings]
            lengths[start : start + len(block)] = list(map(len, ids))
            parts.append(np.fromiter(chain.from_iterable(ids), dtype=np.int32))
        return SequenceBatch(np.concatenate(parts), lengths)

    def id_to_token(self, index: int) -> str:
        token: str | None = self._library.id_to_token(int(index)) if 0 <= index < self._size else None
        if token is None:
            raise OptionError(f"id {index} has no token in a vocabulary of {self._size}")
        return token

    def token_to_id(self, token: str) -> int:
        index: int | None = self._library.token_to_id(token)
        return self.unk_id if index is None else index

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        wanted = [int(index) for index in ids if index != self.pad_id]
        for index in wanted:
            if not 0 <= index < self._size:
                raise OptionError(f"id {index} is outside the vocabulary of {self._size} tokens")
        return unicodedata.normalize("NFC", self._library.decode(wanted, skip_special_tokens=False))

    def __len__(self) -> int:
        return self._size

    def _encoded(self, text: str) -> Any:
        try:
            return self._library.encode(text, add_special_tokens=False)
        except (TypeError, UnicodeError):
            (checked,) = checked_texts([text])
            return self._library.encode(_encodable(checked), add_special_tokens=False)


def train_subwords(
    kind: str, texts: Iterable[str], *, vocab_size: int, min_freq: int | None, lowercase: bool, jamo: bool
) -> SubwordTokenizer:
    """Learns sub-words; see :func:`unrolled.text.tokenizer.train_tokenizer`.

    In a first pass the characters are counted, and in the second those too rare to learn are seen as
    spaces: the library would take them all, or break ties among them at random.
    """
    library = _library()
    form: Literal["NFC", "NFD"] = "NFD" if jamo else "NFC"
    # WordPiece has two tokens a character, at the start of a word and inside it.
    limit = max(2, (vocab_size - 2) // (3 if kind == "wordpiece" else 2))
    with replayable(texts) as source:

        def blocks() -> Iterator[str]:
            return normalized_blocks(source, form=form, lowercase=lowercase)

        frequent, rare = frequent_characters(blocks(), limit=limit)
        if not frequent:
            raise DataError("the texts hold nothing but white space: nothing to learn sub-words from")
        cleaned: Iterable[str] = blocks()
        if rare:
            pattern = re.compile("[" + "".join(map(re.escape, sorted(rare))) + "]")
            cleaned = (pattern.sub(" ", block) for block in cleaned)
        # A word of three letters a syllable is three times as long.
        scale = 3 if jamo else 1
        merges = 2 if min_freq is None else min_freq
        if kind == "unigram":
            tokenizer = _unigram(library, cleaned, vocab_size, 16 if scale == 1 else 32)
        elif kind == "bpe":
            tokenizer = _bpe(library, cleaned, vocab_size, merges)
        else:
            tokenizer = _wordpiece(library, cleaned, vocab_size, merges, sorted(frequent), 100 * scale)
    steps = [getattr(library.normalizers, form)()] + ([library.normalizers.Lowercase()] if lowercase else [])
    tokenizer.normalizer = library.normalizers.Sequence(steps)
    return SubwordTokenizer(tokenizer)


def _bpe(library: Any, blocks: Iterable[str], vocab_size: int, min_freq: int) -> Any:
    tokenizer = _with_words_marked(library, library.models.BPE(unk_token=UNK_TOKEN))
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_freq,
        special_tokens=[PAD_TOKEN, UNK_TOKEN],
        show_progress=False,
    )
    _train(tokenizer, blocks, trainer)
    return tokenizer


def _unigram(library: Any, blocks: Iterable[str], vocab_size: int, max_piece_length: int) -> Any:
    splitter = _with_words_marked(library, library.models.Unigram()).pre_tokenizer
    words: Counter[str] = Counter()
    for block in blocks:
        words.update(block.split())
    marked: Counter[str] = Counter()
    for word, count in words.items():
        for part, _ in splitter.pre_tokenize_str(word):
            marked[part] += count
    pieces = train_unigram(marked, size=vocab_size - 2, max_piece_length=max_piece_length)
    vocab = [(PAD_TOKEN, 0.0), (UNK_TOKEN, 0.0), *pieces]
    tokenizer = _with_words_marked(library, library.models.Unigram(vocab, unk_id=UNK_ID))
    tokenizer.add_special_tokens([PAD_TOKEN, UNK_TOKEN])
    return tokenizer


def _wordpiece(
    library: Any,
    blocks: Iterable[str],
    vocab_size: int,
    min_freq: int,
    alphabet: list[str],
    longest_word: int,
) -> Any:
    model = library.models.WordPiece(unk_token=UNK_TOKEN, max_input_chars_per_word=longest_word)
    tokenizer = library.Tokenizer(model)
    tokenizer.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = library.decoders.WordPiece(prefix="##", cleanup=False)
    # The library numbers the inner characters in the order of a hash table with a random seed and breaks
    # ties by number. Named here as special tokens they get fixed numbers; they cease to be special below.
    inner = ["##" + character for character in alphabet]
    trainer = library.trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_freq,
        special_tokens=[PAD_TOKEN, UNK_TOKEN, *inner],
        show_progress=False,
    )
    _train(tokenizer, blocks, trainer)
    saved = json.loads(tokenizer.to_str())
    saved["added_tokens"] = [token for token in saved["added_tokens"] if token["id"] <= UNK_ID]
    return library.Tokenizer.from_str(json.dumps(saved))


def _with_words_marked(library: Any, model: Any) -> Any:
    """A tokenizer that cuts at white space and marks the start of each word by ``▁``.

    ``<`` is cut off as well, so that no learned piece can ever be one of the two specials.
    """
    split = library.pre_tokenizers
    tokenizer = library.Tokenizer(model)
    tokenizer.pre_tokenizer = split.Sequence(
        [split.WhitespaceSplit(), split.Metaspace(), split.Split("<", "isolated")]
    )
    tokenizer.decoder = library.decoders.Metaspace()
    return tokenizer


def _train(tokenizer: Any, blocks: Iterable[str], trainer: Any) -> None:
    lines = (block.split("\n") for block in blocks)
    _guarded(lambda: tokenizer.train_from_iterator(lines, trainer=trainer), error=DataError)


def _first_of(vocab: dict[str, int], names: Iterable[str | None], default: int) -> int:
    return next((vocab[name] for name in names if name is not None and name in vocab), default)


def _encodable(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which the library cannot take."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _guarded(
    call: Callable[[], _Result], error: type[ModelFileError | DataError] = ModelFileError
) -> _Result:
    """Turns what the library raises, its panics included, into an error of ours."""
    try:
        return call()
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, DataError):
        raise
    except BaseException as raised:  # a Rust panic derives from BaseException
        raise error(f"tokenizer: {raised}") from None


@cache
def _library() -> Any:
    """The module ``tokenizers``, with its threads set from ``UNROLLED_NUM_THREADS`` unless the user set them.

    The library warns after a fork and drops to one thread for good unless ``TOKENIZERS_PARALLELISM`` is
    set. It is set here, and turned off in a forked child, whose copy of the thread pool has no threads and
    would wait for ever.
    """
    threads = os.environ.get("UNROLLED_NUM_THREADS", "")
    if threads.isdigit() and int(threads) > 0:
        os.environ.setdefault("RAYON_NUM_THREADS", threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false" if threads == "1" else "true")
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: os.environ.update(TOKENIZERS_PARALLELISM="false"))
    import tokenizers

    return tokenizers
