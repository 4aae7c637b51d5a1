"""Records to token ids: tokenizers, vocabulary, ragged batches, token files and length-bucketed batches.

Importing this package imports none of its modules; each name is fetched when it is first used. Two
functions bear the name of their module and are imported from there:
``unrolled.text.basic_english.basic_english`` and, as in torchtext, ``unrolled.text.vocab.vocab``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrolled.text.basic_english import basic_english_batch, basic_english_stream
    from unrolled.text.batch import SequenceBatch
    from unrolled.text.bucketing import length_batches
    from unrolled.text.jamo import compose, decompose, decompose_compatible
    from unrolled.text.offsets import Segmenter
    from unrolled.text.store import TokenStore, TokenStoreWriter
    from unrolled.text.tokenizer import (
        TRAINABLE_KINDS,
        Tokenizer,
        pretrained_tokenizer,
        tokenizer_from_json,
        train_tokenizer,
    )
    from unrolled.text.vocab import Vocab, build_vocab_from_iterator

_HOME = {
    "Segmenter": "offsets",
    "SequenceBatch": "batch",
    "TRAINABLE_KINDS": "tokenizer",
    "TokenStore": "store",
    "TokenStoreWriter": "store",
    "Tokenizer": "tokenizer",
    "Vocab": "vocab",
    "basic_english_batch": "basic_english",
    "basic_english_stream": "basic_english",
    "build_vocab_from_iterator": "vocab",
    "compose": "jamo",
    "decompose": "jamo",
    "decompose_compatible": "jamo",
    "length_batches": "bucketing",
    "pretrained_tokenizer": "tokenizer",
    "tokenizer_from_json": "tokenizer",
    "train_tokenizer": "tokenizer",
}

__all__ = [
    "TRAINABLE_KINDS",
    "Segmenter",
    "SequenceBatch",
    "TokenStore",
    "TokenStoreWriter",
    "Tokenizer",
    "Vocab",
    "basic_english_batch",
    "basic_english_stream",
    "build_vocab_from_iterator",
    "compose",
    "decompose",
    "decompose_compatible",
    "length_batches",
    "pretrained_tokenizer",
    "tokenizer_from_json",
    "train_tokenizer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
