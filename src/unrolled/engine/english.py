"""The compiled form of :mod:`unrolled.text.basic_english`."""

from __future__ import annotations

from collections.abc import Sequence

from unrolled.engine import library


def split_english(texts: Sequence[str]) -> list[list[str]]:
    """The tokens of each text by torchtext's ``basic_english`` rules.

    Runs on one thread and holds the interpreter lock, so give some hundred texts at a time. Tokens that come
    again soon, in this call or a later one, are the same object.

    Raises:
        RuntimeError: without the extension; ask :func:`available` first.
        TypeError: if a text is not a string.
    """
    tokens: list[list[str]] = library.native().split_english(texts)
    return tokens
