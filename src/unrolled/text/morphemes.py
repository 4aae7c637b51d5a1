"""Korean morphemes as tokens, by the analyser Kiwi (package kiwipiepy, extra ``ko``)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any

from unrolled.errors import MissingExtraError
from unrolled.text.vocab import Vocab
from unrolled.text.words import WordTokenizer

_BLOCK = 1024


class MorphemeTokenizer(WordTokenizer):
    """Morphemes with their part of speech, as in ``영화/NNG``.

    The tag keeps apart what is written alike (``이/JKS`` the particle, ``이/MM`` the determiner). Tags are
    those of Kiwi, after the Sejong tag set. The analyser loads its model on first use (about a second) and
    uses all threads.

    Raises:
        MissingExtraError: on first use, if kiwipiepy is not installed.
    """

    kind = "morphemes"

    def __init__(self, vocab: Vocab, *, lowercase: bool) -> None:
        _kiwi_class()
        super().__init__(vocab, lowercase=lowercase)

    def split_stream(self, texts: Iterable[str]) -> Iterator[list[str]]:
        source = iter(texts)
        while block := list(islice(source, _BLOCK)):
            if self.lowercase:
                block = [text.lower() for text in block]
            for analysed in _kiwi().tokenize(block):
                yield [f"{morpheme.form}/{morpheme.tag}" for morpheme in analysed]

    def spans(self, text: str) -> list[tuple[int, int]]:
        analysed = _kiwi().tokenize(text.lower() if self.lowercase else text)
        return [(morpheme.start, morpheme.start + morpheme.len) for morpheme in analysed]


def _kiwi_class() -> Any:
    try:
        from kiwipiepy import Kiwi
    except ImportError:
        raise MissingExtraError("the tokenizer kind 'morphemes'", package="kiwipiepy", extra="ko") from None
    return Kiwi


@cache
def _kiwi() -> Any:
    threads = os.environ.get("UNROLLED_NUM_THREADS", "")
    return _kiwi_class()(num_workers=int(threads) if threads.isdigit() else 0)
