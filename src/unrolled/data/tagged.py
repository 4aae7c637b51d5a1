"""Tagged sentences: ``open_tagged`` turns a file, a pipe or a list into a stream of words and their tags."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

from unrolled.data.lines import good_lines
from unrolled.data.records import BadRows
from unrolled.data.sources import ByteSource
from unrolled.data.spans import (
    SCHEMES,
    Pair,
    Scheme,
    first_break,
    may_follow,
    neighbours,
    repaired,
    scheme_of_pairs,
    stray_message,
    stray_tag,
)
from unrolled.data.tagged_memory import MEMORY_NAME, memory_sentences
from unrolled.data.tagged_rows import (
    CONLLU_COLUMNS,
    SPACE,
    RowSentence,
    Skipped,
    TaggedSentence,
    column_sentences,
    conllu_sentences,
)
from unrolled.data.tagged_shape import (
    TaggedFormat,
    checked_format,
    columns_of,
    conllu_column,
    filled_columns,
    looks_like_conllu,
    sample_rows,
)
from unrolled.data.textfile import TextFile
from unrolled.errors import DataError, OptionError


class _Progress(Protocol):
    @property
    def size_bytes(self) -> int | None: ...
    @property
    def bytes_read(self) -> int | None: ...


class _NoFile:
    size_bytes = None
    bytes_read = None


class TaggedReader:
    """A stream of :class:`TaggedSentence`. Made by :func:`open_tagged`, which checks all of it first.

    Iterate as often as you like: a file is read again, in constant memory; what came through a pipe is kept.

    Attributes:
        name: the path, ``"-"`` for standard input, ``"<list of sentences>"`` for data in memory.
        format: ``"conllu"``, ``"conll"``, ``"characters"``; ``None`` for data in memory.
        column: of the tags: a name of CoNLL-U, else a number from 1.
        scheme: how the tags write spans; ``"none"`` for plain tags.
        characters: each word is a character, and ``▁`` (U+2581) stands for a space.
        notes: what was guessed and why, a sentence each.
        skipped: what was passed over -> how often: multiword tokens, empty nodes, empty sentences, ...
        repaired: tags that were changed, because their sequence was broken.
        sentences: their number.
        words: their number.
        tag_counts: tag -> how often it stands in the file, most frequent first; after repair.
    """

    def __init__(
        self,
        sentences: Callable[[Skipped], Iterator[RowSentence]],
        *,
        name: str,
        format: TaggedFormat | None,
        column: str,
        field: int | None,
        characters: bool,
        notes: list[str],
        progress: _Progress,
        scheme: Scheme | None,
        repair: bool,
    ) -> None:
        self.name = name
        self.format = format
        self.column = column
        self.characters = characters
        self.notes = notes
        self.repaired = 0
        self._raw = sentences
        self._field = field  # number of the tag's field, for messages
        self._progress = progress
        self._mends = False
        skipped = Skipped(name)
        counts: Counter[str] = Counter()
        pairs: set[Pair] = set()
        self.sentences = 0
        for sentence in sentences(skipped):
            self.sentences += 1
            counts.update(sentence.tags)
            pairs.update(neighbours(sentence.tags))
        self.skipped = skipped.counts
        self.words = counts.total()
        if not self.sentences:
            raise DataError("there is no sentence in it: nothing to read", source=name)
        self.scheme: Scheme = self._scheme_of(pairs) if scheme is None else scheme
        if self.scheme != "none":
            self._check(pairs, repair, counts)
        self.tag_counts = dict(counts.most_common())

    @property
    def size_bytes(self) -> int | None:
        """Size of the file on disk; ``None`` for pipes and memory."""
        return self._progress.size_bytes

    @property
    def bytes_read(self) -> int | None:
        """Bytes of the file taken in this pass (before unpacking); ``None`` for memory."""
        return self._progress.bytes_read

    def __iter__(self) -> Iterator[TaggedSentence]:
        for words, tags, lines, text in self._raw(Skipped(self.name)):
            if self._mends:
                tags = repaired(tags, self.scheme)
            if self.characters:
                text = "".join(words).replace(SPACE, " ")
            # The same few words and tags stand in a corpus over and over: one object each.
            yield TaggedSentence(tuple(map(sys.intern, words)), tuple(map(sys.intern, tags)), lines[0], text)

    def _scheme_of(self, pairs: set[Pair]) -> Scheme:
        stray = stray_tag(pairs)
        if stray is not None:
            self._fault_at(lambda tags: (tags.index(stray), stray_message(stray)) if stray in tags else None)
        return scheme_of_pairs(pairs)

    def _check(self, pairs: set[Pair], repair: bool, counts: Counter[str]) -> None:
        scheme = self.scheme
        try:
            broken = not all(may_follow(*pair, scheme) for pair in pairs)
        except DataError:  # a tag that the scheme does not know: say where
            self._fault_at(lambda tags: _unknown_tag(tags, scheme))
        if not broken:
            return
        if not repair:
            self._fault_at(lambda tags: first_break(tags, scheme), "; correct it, or add --repair")
        self._mends = True
        for sentence in self._raw(Skipped(self.name)):
            mended = repaired(sentence.tags, scheme)
            changed = sum(map(str.__ne__, sentence.tags, mended))
            if changed:
                self.repaired += changed
                counts.subtract(sentence.tags)
                counts.update(mended)
        for tag in [tag for tag, count in counts.items() if not count]:
            del counts[tag]

    def _fault_at(self, find: Callable[[list[str]], tuple[int, str] | None], advice: str = "") -> NoReturn:
        """Raise for the first sentence in which ``find`` finds a fault."""
        for sentence in self._raw(Skipped(self.name)):
            found = find(sentence.tags)
            if found is not None:
                raise DataError(
                    found[1] + advice, source=self.name, line=sentence.lines[found[0]], column=self._field
                )
        raise DataError("the file changed while it was read: try again", source=self.name)


class _Faults(BadRows):
    """Lines that cannot be read end the reading: a sentence must not lose a word."""

    def report(
        self, kind: str, detail: str, advice: str = "", *, line: int | None, column: int | None = None
    ) -> None:
        raise DataError(
            "; ".join(filter(None, (detail, advice))), source=self.source, line=line, column=column
        )


def open_tagged(
    source: Any,
    *,
    column: str | int | None = None,
    format: str | None = None,
    encoding: str = "utf-8",
    scheme: Scheme | None = None,
    repair: bool = False,
) -> TaggedReader:
    """Open sentences with a tag for each word.

    What is not told is guessed from the content, and said in ``notes``.

    Args:
        source: a path; ``"-"`` for standard input; a list of (words, tags) pairs or of
            :class:`TaggedSentence`. gzip is recognised.
        column: of the tag. In CoNLL-U a name (default ``"upos"``) or a number from 3; in other files a number
            from 2, or a name of the header or of CoNLL-2003 (``pos``, ``chunk``, ``ner``), by default the
            last.
        format: ``"conllu"``; ``"conll"``: a word and its tags a line, divided by tabs or spaces, blank lines
            between sentences; ``"characters"``: the same with one character a line, and ``▁`` (U+2581) or a
            space for a space.
        encoding: a byte order mark of UTF-16 or UTF-32 overrides ``"utf-8"``.
        scheme: how the tags write spans; ``None``: recognised. ``"none"`` takes them as plain tags.
        repair: read broken sequences (I-X after O) as conlleval does, and count them; else they are an error.

    Raises:
        DataError: names file, line and column, what is wrong, and what to do.
        OptionError: an option that does not exist.
    """
    told = checked_format(format)
    if scheme is not None and scheme not in SCHEMES:
        raise OptionError(f"scheme '{scheme}' does not exist: choose one of {', '.join(SCHEMES)}")
    if not isinstance(source, (str, Path)):
        return _from_memory(source, told, scheme, repair)
    byte_source = ByteSource(source)
    name = byte_source.name
    if not byte_source.head:
        raise DataError("the file is empty: nothing to read", source=name)
    file = TextFile(byte_source, encoding, _Faults(name, skip=False))
    rows = sample_rows(file.head)
    if not rows:
        raise DataError("there are only blank lines: nothing to read", source=name)

    def lines() -> Iterator[tuple[int, str]]:
        for block in file.blocks():
            yield from good_lines(block, file.decoder)

    named = name.lower().removesuffix(".gz").endswith(".conllu")
    read: Callable[[Skipped], Iterator[RowSentence]]
    characters = False
    if told == "conllu" or (told is None and (named or looks_like_conllu(rows))):
        kind: TaggedFormat = "conllu"
        index = conllu_column(column, name)
        shown = CONLLU_COLUMNS[index]
        read = lambda skipped: conllu_sentences(lines(), index, skipped)  # noqa: E731
        told_as = f"CoNLL-U, tags from column {shown}"
    else:
        columns = columns_of(rows, column, told, name)
        index, characters = columns.tag, columns.characters
        shown = str(index + 1)
        kind = "characters" if characters else "conll"
        read = lambda skipped: column_sentences(lines(), columns, skipped)  # noqa: E731
        told_as = _described(columns.tabs, columns.width, index, characters=characters)
    if told is None:
        file.notes.append(f"{name}: read as {told_as}")
    if not byte_source.repeatable:
        counted = Skipped(name)
        read = _kept(list(read(counted)), counted.counts)
    reader = TaggedReader(
        read,
        name=name,
        format=kind,
        column=shown,
        field=index + 1,
        characters=characters,
        notes=file.notes,
        progress=byte_source,
        scheme=scheme,
        repair=repair,
    )
    if kind == "conllu" and set(reader.tag_counts) == {"_"}:
        others = ", ".join(filled_columns(rows)) or "none"
        raise DataError(
            f"the column {shown} is empty ('_') in the whole file: choose one that is filled ({others}) with "
            "--column",
            source=name,
            column=index + 1,
        )
    return reader


def tagged_notes(reader: TaggedReader) -> list[str]:
    """What was guessed, passed over and repaired in a file of tagged sentences, a sentence each."""
    notes = list(reader.notes)
    if reader.skipped:
        parts = ", ".join(f"{count:,} {what}" for what, count in reader.skipped.items())
        notes.append(f"{reader.name}: passed over {parts}")
    if reader.repaired:
        notes.append(f"{reader.name}: {reader.repaired:,} tags of broken spans were repaired")
    return notes


def _from_memory(source: Any, told: TaggedFormat | None, scheme: Scheme | None, repair: bool) -> TaggedReader:
    sentences, empty, characters = memory_sentences(source, told)
    skipped = {"empty sentences": empty} if empty else {}
    return TaggedReader(
        _kept(sentences, skipped),
        name=MEMORY_NAME,
        format=None,
        column="tags",
        field=None,
        characters=characters,
        notes=[],
        progress=_NoFile(),
        scheme=scheme,
        repair=repair,
    )


def _kept(
    sentences: list[RowSentence], skipped: dict[str, int]
) -> Callable[[Skipped], Iterator[RowSentence]]:
    """Sentences in memory as if they were read, what was skipped among them included."""

    def read(count: Skipped) -> Iterator[RowSentence]:
        count.counts.update(skipped)
        return iter(sentences)

    return read


def _described(tabs: bool, width: int, index: int, *, characters: bool) -> str:
    divided = "tabs" if tabs else "spaces"
    what = "characters" if characters else "words"
    return f"{width} columns divided by {divided}: {what} from column 1, tags from column {index + 1}"


def _unknown_tag(tags: Sequence[str], scheme: Scheme) -> tuple[int, str] | None:
    for position, tag in enumerate(tags):
        try:
            may_follow(None, tag, scheme)
        except DataError as error:
            return position, error.reason
    return None
