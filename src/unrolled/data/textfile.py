"""A file of text lines: its decoding, and the guesses about its shape from the first lines."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from unrolled.data import delimited, jsonl
from unrolled.data.columns import find_column
from unrolled.data.encoding import as_utf8, by_mark, canonical, keeps_ascii_lines, without_mark
from unrolled.data.lines import Block, LineDecoder, good_lines
from unrolled.data.records import BadRows
from unrolled.data.sniffing import csv_delimiter, every_field_is_quoted, has_header
from unrolled.data.sources import ByteSource
from unrolled.errors import DataError

Quoting = Literal["auto", "minimal", "none"]

_SAMPLE_ROWS = 1000


class TextFile:
    """A source of text lines: its decoding, and the guesses about its shape."""

    def __init__(self, source: ByteSource, encoding: str, bad: BadRows) -> None:
        self.notes: list[str] = []
        self._source = source
        self._bad = bad
        name = canonical(encoding).replace("utf-8-sig", "utf-8")
        marked = by_mark(source.head)
        if name == "utf-8" and marked is not None:
            self.notes.append(f"{source.name}: read as {marked.upper()} (it begins with its byte order mark)")
            name = marked
        self._recode = None if keeps_ascii_lines(name) else name
        self._encoding = name if self._recode is None else "utf-8"
        head = b"".join(self._utf8_or_as_is([source.head], cut=not source.head_is_all))
        whole = head if source.head_is_all else head[: head.rfind(b"\n") + 1]
        self._head_bytes = whole or head
        self.head = self._head_bytes.decode(self._encoding, "replace")
        if b"\r" in head and b"\n" not in head:
            self.head = self.head.replace("\r", "\n")
        self.decoder = LineDecoder(self._encoding, bad, head)

    def blocks(self) -> Iterator[Block]:
        """A pass over the whole source."""
        return self.decoder.blocks(self._utf8_or_as_is(self._source.chunks()))

    def lines(self) -> Iterator[tuple[int, str, None]]:
        """Plain text: each line is a text."""
        for block in self.blocks():
            for number, line in good_lines(block, self.decoder):
                yield number, line, None

    def json_sample(self) -> tuple[list[str], list[list[object]]]:
        """All keys of the first objects, and these objects as rows."""
        start = self.head.lstrip()[:100].replace(" ", "")
        if start.startswith(("[\n", "[\r\n", "[{")):
            raise DataError(
                "this is one JSON array, not JSON Lines: write one object on each line, without the brackets",
                source=self._bad.source,
            )
        decoder = self._sample_decoder()
        rows = [
            row
            for _, row in itertools.islice(jsonl.objects(self._head_blocks(decoder), decoder), _SAMPLE_ROWS)
        ]
        if not rows:
            raise DataError("no JSON object in the first lines: is this JSON Lines?", source=self._bad.source)
        names = list(dict.fromkeys(key for row in rows for key in row))
        return names, [[row.get(name) for name in names] for row in rows]

    def dialect(
        self, delimiter: str | None, quoting: Quoting, header: bool | None, *, tab: bool, by_name: list[str]
    ) -> tuple[delimited.Dialect, list[list[str]]]:
        """The dialect and the first rows of data, each as wide as the first row."""
        name = self._bad.source
        if delimiter is None:
            delimiter = "\t" if tab else csv_delimiter(self.head)
            if delimiter != "," and not tab:
                shown = "tab" if delimiter == "\t" else f"'{delimiter}'"
                self.notes.append(f"{name}: fields are divided by {shown}")
        elif delimiter == "\\t":  # as typed in a shell
            delimiter = "\t"
        quoted = quoting == "minimal" or (
            quoting == "auto" and (not tab or every_field_is_quoted(self.head, delimiter))
        )
        if quoted and tab and quoting == "auto":
            self.notes.append(f"{name}: read with quotes (every field of the first rows is quoted)")
        rows = self._sample_rows(delimited.Dialect(delimiter, quoted))
        if not rows:
            raise DataError("there are only blank lines: nothing to read", source=name)
        if header is None:
            header = has_header(rows) or any(_holds(rows[0], wanted) for wanted in by_name)
            if not header:
                self.notes.append(f"{name}: no header, the first row is data")
            elif len(rows[0]) == 1:
                self.notes.append(f"{name}: the first line '{rows[0][0][:40]}' is taken as a header")
        width = len(rows[0])
        names = tuple(rows[0]) if header else tuple(f"column {number}" for number in range(1, width + 1))
        body = [row for row in rows[1 if header else 0 :] if len(row) == width]
        if header and len(rows) == 1 and self._source.head_is_all:
            raise DataError("there is only a header and no row of data: nothing to read", source=name)
        if header:
            names = tuple(cell.strip() or f"column {number}" for number, cell in enumerate(names, 1))
        return delimited.Dialect(delimiter, quoted, header, names), body

    def _sample_rows(self, dialect: delimited.Dialect) -> list[list[str]]:
        decoder = self._sample_decoder()
        rows: list[list[str]] = []
        found = delimited.raw_rows(self._head_blocks(decoder), decoder, dialect)
        try:
            for _, fields in itertools.islice(found, _SAMPLE_ROWS):
                if fields != [""] or (rows and len(rows[0]) == 1):
                    rows.append(fields)
        except DataError:
            # A quoted field may run over the end of the head; any other fault is a fault of the file.
            if self._source.head_is_all or not rows or "unclosed quote" not in decoder.bad.counts:
                raise
        return rows

    def _sample_decoder(self) -> LineDecoder:
        return LineDecoder(self._encoding, BadRows(self._bad.source, skip=self._bad.skip), self._head_bytes)

    def _head_blocks(self, decoder: LineDecoder) -> Iterator[Block]:
        return decoder.blocks([self._head_bytes])

    def _utf8_or_as_is(self, chunks: Iterable[bytes], *, cut: bool = False) -> Iterator[bytes]:
        if self._recode is not None and cut:  # the head may end inside a character
            text = b"".join(chunks).decode(self._recode, "ignore")
            chunks = [text.encode("utf-8", "surrogatepass")]
        elif self._recode is not None:
            chunks = as_utf8(chunks, self._recode, self._source.name)
        return without_mark(chunks) if self._encoding == "utf-8" else iter(chunks)


def _holds(row: Sequence[str], wanted: str) -> bool:
    try:
        find_column(row, wanted, source="", named=True)
    except DataError:
        return False
    return True
