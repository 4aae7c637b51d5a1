"""What a file with a word a line is: found out from its first lines, or told."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from unrolled.data.tagged_rows import CONLLU_COLUMNS, SPACE, Columns
from unrolled.errors import DataError, OptionError

TaggedFormat = Literal["conllu", "conll", "characters"]
TAGGED_FORMATS: tuple[TaggedFormat, ...] = ("conllu", "conll", "characters")

_CONLLU_ROW = re.compile(r"\d+([-.]\d+)?(\t[^\t]*){9}")
_SAMPLE_LINES = 5000
# Below this share of rows as wide as most, a file is no file of columns.
_SAME_WIDTH = 0.8
# Rows that must be one character each: some files write an emoji or a number as one row.
_ONE_CHARACTER = 0.95
_WORD_NAMES = {"word", "words", "token", "tokens", "form", "text", "char", "character"}
_TAG_NAMES = {
    "tag",
    "tags",
    "label",
    "labels",
    "ner",
    "pos",
    "upos",
    "xpos",
    "chunk",
    "lemma",
    "ner_tag",
    "bio",
}
_CONLL2003 = ("word", "pos", "chunk", "ner")


def sample_rows(head: str) -> list[str]:
    """The first lines that may be rows: not blank, not the border of a document."""
    lines = head.split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES]
    return [line for line in (line.rstrip("\r") for line in lines) if line.strip() and line[:5] != "-DOCS"]


def looks_like_conllu(rows: Sequence[str]) -> bool:
    """Whether at least half of the rows have ten fields, the first an id."""
    rows = [row for row in rows if row[0] != "#"]
    return bool(rows) and 2 * sum(_CONLLU_ROW.fullmatch(row) is not None for row in rows) >= len(rows)


def conllu_column(column: str | int | None, source: str) -> int:
    """Index of the tag's column in CoNLL-U; ``upos`` if none is told.

    Raises:
        DataError: there is no such column, or it holds no tags.
    """
    if column is None:
        return CONLLU_COLUMNS.index("upos")
    names = CONLLU_COLUMNS[2:]
    number = _number(column)
    if number is None and str(column).lower() in names:
        return CONLLU_COLUMNS.index(str(column).lower())
    if number is not None and 3 <= number <= len(CONLLU_COLUMNS):
        return number - 1
    raise DataError(
        f"CoNLL-U has no column '{column}' of tags: choose one of {', '.join(names)}, or a number "
        "from 3 to 10",
        source=source,
    )


def filled_columns(rows: Sequence[str]) -> list[str]:
    """Columns of CoNLL-U in which the first rows hold a value."""
    fields = [row.split("\t") for row in rows if _CONLLU_ROW.fullmatch(row)]
    return [
        name
        for index, name in enumerate(CONLLU_COLUMNS)
        if index > 1 and any(row[index] not in ("_", "") for row in fields)
    ]


def columns_of(
    rows: Sequence[str], column: str | int | None, told: TaggedFormat | None, source: str
) -> Columns:
    """How the columns of a file are written.

    Args:
        rows: :func:`sample_rows`.
        column: of the tag, a name or a number from 1; ``None`` is the last.
        told: the format if the user gave it.
        source: name of the file for messages.

    Raises:
        DataError: rows of many widths, no tags, or no such column.
    """
    rows = [row for row in rows if row[0] != "#" or row[1:2] in ("\t", " ")] or list(rows)  # no comments
    tabs = 2 * sum("\t" in row for row in rows) >= len(rows)
    shape = Columns(tabs, 0, 0)
    split = [shape.split(row) for row in rows]
    widths = Counter(map(len, split))
    count, width = max((count, width) for width, count in widths.items())
    if width == 1 and count > _SAME_WIDTH * len(rows):
        raise DataError(
            "there is one column, the words, and no tags: write a word and its tag on each line, with a tab "
            "between them",
            source=source,
        )
    if not tabs and count < _SAME_WIDTH * len(rows):
        raise DataError(
            "the lines have different numbers of words: this looks like plain text. Write one word a line "
            "and its tag after a tab, with a blank line between sentences",
            source=source,
        )
    header = _header(split[0], width)
    index = _tag_index(column, width, [name.strip().lower() for name in split[0]] if header else None, source)
    words = [fields[0] for fields in split[header:] if len(fields) == width and fields[0][:2] != "# "]
    characters = told == "characters" or (told is None and are_characters(words))
    return Columns(tabs, width, index, header, characters)


def _header(first: Sequence[str], width: int) -> bool:
    names = [name.strip().lower() for name in first]
    return len(first) == width and names[0] in _WORD_NAMES and all(name in _TAG_NAMES for name in names[1:])


def _tag_index(column: str | int | None, width: int, header: Sequence[str] | None, source: str) -> int:
    if column is None:
        return width - 1
    number = _number(column)
    if number is not None:
        if 2 <= number <= width:
            return number - 1
        raise DataError(
            f"there is no column {number} of tags: the file has {width} columns, the first is the word",
            source=source,
        )
    names = header or (_CONLL2003 if width == len(_CONLL2003) else ())
    if str(column).lower() in names[1:]:
        return list(names).index(str(column).lower())
    known = f"choose one of {', '.join(names[1:])}, or" if names else "its columns have no names: choose"
    raise DataError(f"there is no column '{column}': {known} a number from 2 to {width}", source=source)


def are_characters(words: Sequence[str]) -> bool:
    """Whether nearly all words are one character, and some a space."""
    if not any(word in (SPACE, " ") for word in words):
        return False
    single = sum(len(word) == 1 or len(unicodedata.normalize("NFC", word)) == 1 for word in words)
    return single >= _ONE_CHARACTER * len(words)


def _number(column: str | int) -> int | None:
    if isinstance(column, int):
        return column
    return int(column) if column.strip().isdecimal() else None


def checked_format(name: str | None) -> TaggedFormat | None:
    """The format of that name.

    Raises:
        OptionError: there is none.
    """
    found = next((known for known in TAGGED_FORMATS if known == name), None)
    if name is not None and found is None:
        raise OptionError(f"format '{name}' does not exist: choose one of {', '.join(TAGGED_FORMATS)}")
    return found
