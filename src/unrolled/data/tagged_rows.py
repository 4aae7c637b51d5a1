"""Files with a word a line: CoNLL-U and columns of words and tags, to sentences as they stand there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from unrolled.errors import DataError

#: Stands for a space where each row is a character (U+2581).
SPACE = "▁"

#: Columns of CoNLL-U (https://universaldependencies.org/format.html).
CONLLU_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")

_DOCUMENT = "-DOCSTART-"
_TEXT = "# text = "
_ID = 0
_FORM = 1


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """Words with a tag each.

    Attributes:
        words: at least one, unchanged.
        tags: as many.
        line: of the first word in the file, from 1; in memory the number of the sentence.
        text: the sentence as it was written, if the file says so: ``# text =`` of CoNLL-U, and the joined
            characters of a file of characters; else ``None``.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    line: int
    text: str | None


class RowSentence(NamedTuple):
    """A sentence as it stands in a file.

    Attributes:
        words: its words, at least one.
        tags: one for each word.
        lines: the line of each word, from 1.
        text: what ``# text =`` says, ``None`` without.
    """

    words: list[str]
    tags: list[str]
    lines: list[int]
    text: str | None


class Skipped:
    """What was passed over, by kind; and the way to complain about a row.

    Args:
        source: name of the file for messages.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.counts: dict[str, int] = {}

    def add(self, kind: str) -> None:
        """One more of a kind."""
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def fault(self, reason: str, line: int, column: int | None = None) -> NoReturn:
        """End the reading at a row that is wrong."""
        raise DataError(reason, source=self.source, line=line, column=column)


def conllu_sentences(
    lines: Iterable[tuple[int, str]], column: int, skipped: Skipped
) -> Iterator[RowSentence]:
    """Sentences of CoNLL-U. Multiword tokens (``3-4``) and empty nodes (``8.1``) are skipped and counted.

    Args:
        lines: the lines of the file with their numbers.
        column: index of the tag among :data:`CONLLU_COLUMNS`.
        skipped: counts what is passed over.

    Raises:
        DataError: a row that is not CoNLL-U, a word without a form or tag.
    """
    width = len(CONLLU_COLUMNS)
    name = CONLLU_COLUMNS[column]
    needs_value = name == "upos"  # every word has one; of the others "_" may be a value
    words, tags, places, text = _fresh()
    for number, line in lines:
        if not line or line.isspace():
            if words:
                yield RowSentence(words, tags, places, text)
            else:
                skipped.add("empty sentences")
            words, tags, places, text = _fresh()
            continue
        if line[0] == "#":
            if line.startswith(_TEXT):
                text = line[len(_TEXT) :]
            continue
        fields = line.split("\t")
        if len(fields) != width:
            skipped.fault(_wrong_width(line, len(fields), width, "CoNLL-U"), number, min(len(fields), width))
        expected = str(len(words) + 1)
        if fields[_ID] != expected:
            kind = _passed_over(fields[_ID])
            if kind is None:
                skipped.fault(_wrong_id(fields[_ID], expected), number, _ID + 1)
            skipped.add(kind)
            continue
        word, tag = fields[_FORM], fields[column]
        if not word or word.isspace():
            skipped.fault("the word is empty: every row needs a form", number, _FORM + 1)
        if not tag or (needs_value and tag == "_"):
            skipped.fault(
                f"the word '{word}' has no {name}: fill it in, or choose another column with --column",
                number,
                column + 1,
            )
        words.append(word)
        tags.append(tag)
        places.append(number)
    if words:
        yield RowSentence(words, tags, places, text)


class Columns(NamedTuple):
    """How a file of columns is written.

    Attributes:
        tabs: columns are divided by one tab; else by spaces.
        width: number of columns.
        tag: index of the tag's column; the word's is 0.
        header: the first row names the columns.
        characters: each row is a character; a space may stand as such or as :data:`SPACE`.
    """

    tabs: bool
    width: int
    tag: int
    header: bool = False
    characters: bool = False

    def split(self, line: str) -> list[str]:
        """The fields of a row."""
        # Not str.split(), which would also divide words at other kinds of white space.
        return line.split("\t") if self.tabs else [field for field in line.split(" ") if field]


def column_sentences(
    lines: Iterable[tuple[int, str]], columns: Columns, skipped: Skipped
) -> Iterator[RowSentence]:
    """Sentences of a file of columns, with blank lines between them.

    Borders of documents (``-DOCSTART-``) are skipped, and before the first word of a sentence lines that
    begin with ``#`` and cannot be a word and its columns; both are counted.

    Raises:
        DataError: a row with another number of columns, an empty word or tag, a word that holds a space.
    """
    words, tags, places, _ = _fresh()
    border = False  # the blank line after -DOCSTART- ends no sentence
    header = columns.header
    for number, line in lines:
        if not line or line.isspace():
            if words:
                yield RowSentence(words, tags, places, None)
                words, tags, places, _ = _fresh()
            elif not border:
                skipped.add("empty sentences")
            border = False
            continue
        fields = columns.split(line)
        if not words and fields[0] == _DOCUMENT:
            skipped.add("document borders")
            border = True
            continue
        if not words and line[0] == "#" and (len(fields) != columns.width or " " in fields[0]):
            skipped.add("comments")
            border = True
            continue
        if header:
            header = False
            continue
        if len(fields) != columns.width:
            reason = _wrong_width(line, len(fields), columns.width, "the file")
            skipped.fault(reason, number, min(len(fields), columns.width))
        word, tag = fields[0], fields[columns.tag]
        if columns.characters and word == " ":
            word = SPACE
        if not word or word.isspace() or " " in word:
            skipped.fault(_wrong_word(word, characters=columns.characters), number, 1)
        if not tag or " " in tag:
            detail = (
                f"the tag '{tag}' holds a space: take it out"
                if tag.strip()
                else "the tag is empty: fill it in"
            )
            skipped.fault(detail, number, columns.tag + 1)
        words.append(word)
        tags.append(tag)
        places.append(number)
    if words:
        yield RowSentence(words, tags, places, None)


def _fresh() -> tuple[list[str], list[str], list[int], str | None]:
    return [], [], [], None


def _passed_over(identifier: str) -> str | None:
    """What a row of CoNLL-U is that is no word."""
    for mark, kind in (("-", "multiword tokens"), (".", "empty nodes")):
        first, found, last = identifier.partition(mark)
        if found and first.isdecimal() and last.isdecimal():
            return kind
    return None


def _wrong_id(identifier: str, expected: str) -> str:
    if identifier == "1":
        return f"word 1 where word {expected} should follow: a blank line must divide sentences"
    return f"the id '{identifier}' where word {expected} should follow: number the words of a sentence from 1"


def _wrong_width(line: str, found: int, width: int, kind: str) -> str:
    count = f"{found} column{'' if found == 1 else 's'} where {kind} has {width}"
    if "\t" not in line and len(line.split()) == width:
        return f"{count}: this row is divided by spaces, put tabs there"
    if found == 1:
        return f"{count}: write the word and its tag, and leave lines between sentences blank"
    return f"{count}: correct the row"


def _wrong_word(word: str, *, characters: bool) -> str:
    if word and not word.isspace():
        return f"the word '{word[:40]}' holds a space: write one word a line"
    if characters or word:
        return f"the row has no character: write a space as {SPACE} (U+2581)"
    return "the word is empty: write the word before its tag"
