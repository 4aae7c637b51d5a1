"""CSV and TSV: blocks of lines -> rows of fields.

Two readings. *Plain*: a line is a row and ``"`` is an ordinary character, as in most TSV corpora; rows come
from ``str.split``. *Quoted*: RFC 4180, a field in quotes may hold delimiters, doubled quotes and line ends.
Both are linear in the size of the file, also when a quote is never closed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from unrolled.data.lines import Block, LineDecoder, good_lines
from unrolled.data.records import MAX_RECORD_BYTES, BadRows


@dataclass(frozen=True, slots=True)
class Dialect:
    """How rows are written.

    Attributes:
        delimiter: one character between fields.
        quoted: RFC 4180 quotes; otherwise ``"`` is an ordinary character.
        header: the first row holds names.
        names: of the columns (``column 1`` ... without a header); their number is the width of each row.
    """

    delimiter: str
    quoted: bool
    header: bool = False
    names: tuple[str, ...] = ()


def raw_rows(
    blocks: Iterable[Block], decoder: LineDecoder, dialect: Dialect
) -> Iterator[tuple[int, list[str]]]:
    """All rows with the number of their first line, header included, of whatever width."""
    if dialect.quoted:
        yield from _QuotedRows(blocks, decoder, dialect.delimiter)
        return
    delimiter = dialect.delimiter
    for block in blocks:
        for number, line in good_lines(block, decoder):
            yield number, line.split(delimiter)


def cells(
    blocks: Iterable[Block], decoder: LineDecoder, dialect: Dialect, text: int, label: int | None
) -> Iterator[tuple[int, str, str | None]]:
    """Line, text and label of each data row; rows of another width than the names are reported.

    Blank lines are left out, except in a file of one column, where they are empty texts.
    """
    width = len(dialect.names)
    rows = raw_rows(blocks, decoder, dialect)
    if dialect.header:
        for _, fields in rows:
            if fields != [""]:
                break
    for line, fields in rows:
        if len(fields) == width:
            yield line, fields[text], None if label is None else fields[label]
        elif fields != [""]:
            _wrong_width(decoder.bad, line, fields, dialect)


def _wrong_width(bad: BadRows, line: int, fields: list[str], dialect: Dialect) -> None:
    width = len(dialect.names)
    named = ", ".join(dialect.names[:8]) + (", ..." if width > 8 else "")
    delimiter = {"\t": "tab"}.get(dialect.delimiter, f"'{dialect.delimiter}'")
    advice = f"look for a stray or missing {delimiter}"
    if not dialect.quoted and any(field.startswith('"') for field in fields):
        advice += ", if the file quotes its fields add --quoting minimal"
    elif dialect.quoted and dialect.delimiter != "\t" and len(fields) > width:
        advice += f", a field with {delimiter} in it must stand in quotes"
    elif dialect.quoted and len(fields) < width:
        advice += ", if quotes are ordinary characters in this file add --quoting none"
    count = f"{len(fields)} field" + ("s" if len(fields) != 1 else "")
    bad.report(
        "wrong number of fields",
        f"{count} where the file has {width} ({named})",
        advice,
        line=line,
        column=min(len(fields), width) + 1,
    )


class _BrokenRecordError(Exception):
    """A quoted record that breaks the rules. ``opened``: line and character of the quote at fault."""

    def __init__(self, kind: str, detail: str, opened: tuple[int, int]) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.opened = opened


class _QuotedRows:
    """Rows under RFC 4180. Iterate once.

    After a broken record that spans lines, reading resumes at its second line, and lines that were already
    searched for the closing quote may only hold records of one line. So no byte is searched more than twice.
    """

    def __init__(self, blocks: Iterable[Block], decoder: LineDecoder, delimiter: str) -> None:
        self._fresh = _raw_lines(blocks)
        self._again: deque[tuple[int, str, bool]] = deque()
        self._taken: list[tuple[int, str, bool]] = []  # lines of the current record
        self._size = 0
        self._searched_to = 0
        self._decoder = decoder
        self._delimiter = delimiter

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        delimiter = self._delimiter
        while True:
            self._taken.clear()
            self._size = 0
            line = self._next_line()
            if line is None:
                return
            number = self._taken[0][0]
            try:
                fields = self._split(line) if '"' in line else line.removesuffix("\r").split(delimiter)
            except _BrokenRecordError as broken:
                self._recover(broken)
                continue
            if all(self._decoder.good(at, text) for at, text, suspect in self._taken if suspect):
                yield number, fields

    def _next_line(self) -> str | None:
        taken = self._again.popleft() if self._again else next(self._fresh, None)
        if taken is None:
            return None
        self._taken.append(taken)
        return taken[1]

    def _continuation(self) -> str | None:
        """The next line of a record that is open at a line end; ``None`` if it may not go on."""
        first = self._taken[0][0]
        self._size += len(self._taken[-1][1]) + 1
        if first <= self._searched_to or self._size > MAX_RECORD_BYTES:
            return None
        return self._next_line()

    def _split(self, line: str) -> list[str]:
        delimiter = self._delimiter
        fields: list[str] = []
        at = 0
        while True:
            if not line.startswith('"', at):
                end = line.find(delimiter, at)
                if end < 0:
                    fields.append(line[at:].removesuffix("\r"))
                    return fields
                fields.append(line[at:end])
                at = end + 1
                continue
            opened = (self._taken[-1][0], at + 1)
            parts: list[str] = []
            at += 1
            while True:
                end = line.find('"', at)
                if end < 0:
                    parts.append(line[at:] + "\n")
                    following = self._continuation()
                    if following is None:
                        raise _BrokenRecordError(
                            "unclosed quote", "the quote opened here is never closed", opened
                        )
                    line, at = following, 0
                    continue
                parts.append(line[at:end])
                at = end + 1
                if not line.startswith('"', at):
                    break
                parts.append('"')
                at += 1
            fields.append("".join(parts))
            if at == len(line) or (at == len(line) - 1 and line[at] == "\r"):
                return fields
            if line[at] != delimiter:
                where = "" if len(self._taken) == 1 else f" on line {self._taken[-1][0]}"
                raise _BrokenRecordError(
                    "text after a closing quote",
                    f"the quoted field ends{where} before {line[at : at + 10]!r}, not at a delimiter",
                    opened,
                )
            at += 1

    def _recover(self, broken: _BrokenRecordError) -> None:
        line, column = broken.opened
        self._decoder.bad.report(
            broken.kind,
            broken.detail,
            'write a quote inside a quoted field twice (""), if quotes are ordinary characters here '
            "add --quoting none",
            line=line,
            column=column,
        )
        if len(self._taken) > 1:
            self._searched_to = max(self._searched_to, self._taken[-1][0])
            self._again.extendleft(reversed(self._taken[1:]))


def _raw_lines(blocks: Iterable[Block]) -> Iterator[tuple[int, str, bool]]:
    for block in blocks:
        for number, line in enumerate(block.text.split("\n"), block.line):
            yield number, line, block.suspect
