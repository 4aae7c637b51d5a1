"""Tagged sentences that are in memory already: lists of words with lists of tags."""

from __future__ import annotations

from typing import Any

from unrolled.data.tagged_rows import SPACE, RowSentence, TaggedSentence
from unrolled.data.tagged_shape import TaggedFormat, are_characters
from unrolled.errors import DataError

MEMORY_NAME = "<list of sentences>"
_ACCEPTED = 'give a list of (words, tags) pairs, for example [(["Hello", "!"], ["INTJ", "PUNCT"])], or a path'


def memory_sentences(source: Any, told: TaggedFormat | None) -> tuple[list[RowSentence], int, bool]:
    """The sentences, how many more are empty, and whether each word is a character.

    Args:
        source: a list of (words, tags) pairs or of :class:`TaggedSentence`.
        told: ``"characters"`` if each word is one.

    Raises:
        DataError: something else, a word or tag that is no string or empty, sentences of unequal sides.
    """
    if isinstance(source, (str, bytes, dict)) or not hasattr(source, "__iter__"):
        raise DataError(f"cannot read tagged sentences from {type(source).__name__}: {_ACCEPTED}")
    sentences: list[RowSentence] = []
    empty = 0
    for number, item in enumerate(source, 1):
        if isinstance(item, TaggedSentence):
            item = (item.words, item.tags)
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise DataError(f"this is no (words, tags) pair: {_ACCEPTED}", source=MEMORY_NAME, line=number)
        words, tags = (_strings(side, what, number) for side, what in zip(item, ("word", "tag"), strict=True))
        if len(words) != len(tags):
            raise DataError(
                f"{len(words)} words but {len(tags)} tags: give one tag a word",
                source=MEMORY_NAME,
                line=number,
            )
        if told == "characters":
            words = [SPACE if word == " " else word for word in words]
        for column, side in enumerate((words, tags), 1):
            if not all(side) or any(map(str.isspace, side)):
                what = ("word", "tag")[column - 1]
                raise DataError(
                    f"a {what} is empty: leave it out or fill it in", source=MEMORY_NAME, line=number
                )
        if words:
            sentences.append(RowSentence(words, tags, [number] * len(words), None))
        else:
            empty += 1
    words = [word for sentence in sentences for word in sentence.words]
    characters = told == "characters" or (told is None and are_characters(words))
    return sentences, empty, characters


def _strings(side: Any, what: str, number: int) -> list[str]:
    if isinstance(side, (str, bytes)) or not hasattr(side, "__iter__"):
        raise DataError(
            f"the {what}s are of type {type(side).__name__}: give a list of strings",
            source=MEMORY_NAME,
            line=number,
        )
    found = list(side)
    for entry in found:
        if not isinstance(entry, str):
            raise DataError(
                f"a {what} is of type {type(entry).__name__}: give strings", source=MEMORY_NAME, line=number
            )
    return found
