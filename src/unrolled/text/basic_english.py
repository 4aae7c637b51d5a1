"""The ``basic_english`` tokens of torchtext, in place of its regular expressions.

The rules, in this order: lower case; ``'`` gets spaces around it; ``"`` is deleted; ``.`` gets spaces;
``<br />`` becomes a space; ``,`` ``(`` ``)`` ``!`` ``?`` get spaces; ``;`` and ``:`` become a space; split at
white space, Unicode's included. Source: torchtext 0.18, ``torchtext/data/utils.py``.

The compiled engine does it in one pass (``native/python/basic_english.cpp``). Without it bulk string
operations give the same tokens. Three facts make them exact:

* every rule but the first replaces a fixed string, so ``str.replace`` in the same order gives the same text;
* no rule looks across a line feed, and the lower case of a letter (the final sigma is the one that depends on
  its neighbours) does not either, so many texts can be joined by line feeds and handled as one;
* in a text that is all ASCII, lower case, ``"``, ``;`` and ``:`` are one table look-up a byte. The last two
  become a tab there, as a space could form a ``<br />`` that the rules would then remove.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from unrolled import engine

# Texts a block: some tens of kilobytes, so that a block stays in the processor's cache from rule to rule, and
# Ctrl-C need not wait long.
_BLOCK = 256

_ASCII_TABLE = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ;:", b"abcdefghijklmnopqrstuvwxyz\t\t")

_TOKEN = re.compile(r"<br />|[\s;:]+|(['.,()!?]|(?:(?!<br />)[^\s;:'.,()!?])+)")


def basic_english(text: str) -> list[str]:
    """Tokens of one text. Many texts are faster through :func:`basic_english_batch`."""
    if engine.available():
        return engine.split_english((text,))[0]
    return _separated(text).split()


def basic_english_batch(texts: Sequence[str]) -> list[list[str]]:
    """Tokens of each text, equal to ``[basic_english(text) for text in texts]``."""
    # Hundreds of thousands of new lists wake the cyclic collector again and again, and lists of str
    # have no cycles.
    paused = gc.isenabled()
    gc.disable()
    try:
        tokens: list[list[str]] = []
        for start in range(0, len(texts), _BLOCK):
            tokens += _block_tokens(texts[start : start + _BLOCK])
        return tokens
    finally:
        if paused:
            gc.enable()


def basic_english_stream(texts: Iterable[str]) -> Iterator[list[str]]:
    """Tokens of one text after the other, holding one block of texts at a time.

    Faster than the batch where the tokens are used at once and let go, as in counting a vocabulary.
    """
    source = iter(texts)
    while block := list(islice(source, _BLOCK)):
        yield from _block_tokens(block)


def basic_english_spans(text: str) -> list[tuple[int, int]]:
    """Start and end in ``text`` of each token of :func:`basic_english`.

    A deleted ``"`` inside a token lies inside its span: ``a"b`` gives the token ``ab`` with span ``(0, 3)``.
    """
    # Lower case may be longer than the letter (U+0130), hence a map from each kept character to its origin.
    kept: list[str] = []
    origin: list[int] = []
    for position, character in enumerate(text):
        if character != '"':
            lowered = character.lower()
            kept.append(lowered)
            origin.extend([position] * len(lowered))
    return [
        (origin[match.start()], origin[match.end() - 1] + 1)
        for match in _TOKEN.finditer("".join(kept))
        if match.group(1)
    ]


def _block_tokens(texts: Sequence[str]) -> Iterable[list[str]]:
    if engine.available():
        return engine.split_english(texts)
    return map(str.split, _separated_lines(texts))


def _separated_lines(texts: Sequence[str]) -> list[str]:
    joined = "\n".join(texts)
    if joined.isascii():
        return _separated_block(texts, joined)
    # One curly quote must not take its whole block off the fast path.
    lines = [""] * len(texts)
    for wanted in (True, False):
        places = [place for place, text in enumerate(texts) if text.isascii() is wanted]
        chosen = [texts[place] for place in places]
        if chosen:
            for place, line in zip(places, _separated_block(chosen, "\n".join(chosen)), strict=True):
                lines[place] = line
    return lines


def _separated_block(texts: Sequence[str], joined: str) -> list[str]:
    if joined.count("\n") != len(texts) - 1:
        # A tab is white space too, and unlike a space it cannot complete a "<br />".
        joined = "\n".join([text.replace("\n", "\t") for text in texts])
    return _separated(joined).split("\n")


def _separated(text: str) -> str:
    """The text after all rules but the last, so that ``split()`` gives the tokens."""
    if text.isascii():
        return (
            text.encode("ascii")
            .translate(_ASCII_TABLE, b'"')
            .replace(b"'", b" ' ")
            .replace(b".", b" . ")
            .replace(b"<br />", b" ")
            .replace(b",", b" , ")
            .replace(b"(", b" ( ")
            .replace(b")", b" ) ")
            .replace(b"!", b" ! ")
            .replace(b"?", b" ? ")
            .decode("ascii")
        )
    return (
        text.lower()
        .replace("'", " ' ")
        .replace('"', "")
        .replace(".", " . ")
        .replace("<br />", " ")
        .replace(",", " , ")
        .replace("(", " ( ")
        .replace(")", " ) ")
        .replace("!", " ! ")
        .replace("?", " ? ")
        .replace(";", " ")
        .replace(":", " ")
    )
