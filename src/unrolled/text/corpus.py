"""Texts read twice, and which of their characters are frequent enough to learn."""

from __future__ import annotations

import os
import struct
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO, Literal

from unrolled.text.tokenizer import checked_texts

_BLOCK = 1024
_LENGTH = struct.Struct("<q")

#: Share of all characters that the learned alphabet must cover; SentencePiece's default, and for the same
#: reason: in Korean the rarest characters are thousands, each too rare to learn anything about.
CHARACTER_COVERAGE = 0.9995


@contextmanager
def replayable(texts: Iterable[str]) -> Iterator[Iterable[str]]:
    """Gives texts that can be iterated again and again.

    A one-time iterator is copied to a temporary file, which is removed at the end.
    """
    if iter(texts) is not texts:
        yield texts
        return
    with tempfile.TemporaryFile() as spool:
        for text in texts:
            (checked,) = checked_texts([text])
            encoded = checked.encode("utf-8", "surrogatepass")
            spool.write(_LENGTH.pack(len(encoded)))
            spool.write(encoded)
        yield _Spooled(spool)


class _Spooled:
    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool

    def __iter__(self) -> Iterator[str]:
        self._spool.seek(0, os.SEEK_SET)
        while head := self._spool.read(_LENGTH.size):
            (size,) = _LENGTH.unpack(head)
            yield self._spool.read(size).decode("utf-8", "surrogatepass")


def normalized_blocks(texts: Iterable[str], *, form: Literal["NFC", "NFD"], lowercase: bool) -> Iterator[str]:
    """The texts in a Unicode normal form, joined by line feeds in blocks.

    Raises:
        DataError: if an element is not a string.
    """
    source = iter(texts)
    while block := list(islice(source, _BLOCK)):
        joined = unicodedata.normalize(form, "\n".join(checked_texts(block)))
        yield joined.lower() if lowercase else joined


def frequent_characters(blocks: Iterable[str], *, limit: int) -> tuple[set[str], set[str]]:
    """Splits the characters that occur, white space aside, into those to learn and the rare rest.

    Args:
        blocks: normalised text.
        limit: the most characters to learn.

    Returns:
        the frequent characters: the fewest that cover :data:`CHARACTER_COVERAGE` of the text, the most
        frequent first and ties in the order of code points; and all others. Lone surrogates are never
        frequent.
    """
    counts: Counter[str] = Counter()
    for block in blocks:
        counts.update(block)
    for character in [c for c in counts if c.isspace()]:
        del counts[character]
    unencodable = {c for c in counts if "\ud800" <= c <= "\udfff"}
    ranked = sorted(
        ((c, n) for c, n in counts.items() if c not in unencodable), key=lambda item: (-item[1], item[0])
    )
    needed = CHARACTER_COVERAGE * sum(count for _, count in ranked)
    frequent: set[str] = set()
    covered = 0
    for character, count in ranked[:limit]:
        if covered >= needed:
            break
        frequent.add(character)
        covered += count
    return frequent, set(counts) - frequent
