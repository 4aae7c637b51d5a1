"""The one way in: ``open_records`` turns a file, a pipe or an object in memory into a stream of records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from unrolled.data import delimited, jsonl
from unrolled.data.columns import Choice, Columns, check_names, choose_columns
from unrolled.data.labels import BadLabelError, LabelKind, is_missing, label_reader
from unrolled.data.memory import MemoryTable, memory_table
from unrolled.data.parquet import ParquetTable
from unrolled.data.records import BadRows, Record
from unrolled.data.sniffing import FORMATS, format_by_content, format_by_name
from unrolled.data.sources import ByteSource
from unrolled.data.textfile import Quoting, TextFile
from unrolled.errors import DataError, OptionError

Cells = Callable[[], Iterable[tuple[int, object, object]]]


class _Progress(Protocol):
    """What a source says about its size, for progress bars."""

    @property
    def size_bytes(self) -> int | None: ...
    @property
    def bytes_read(self) -> int | None: ...


class RecordReader:
    """A stream of :class:`Record` in constant memory. Made by :func:`open_records`.

    Iterate as often as you like; only standard input and pipes end after one pass.

    Attributes:
        name: the path, ``"-"`` for standard input, ``"<DataFrame>"`` and the like for data in memory.
        columns: the columns in use.
        notes: what was guessed and why, a sentence each.
        bad_rows: reason -> number of rows left out in the current or last pass.
        bad_examples: the first few of them as ``file:line:column reason``.
    """

    def __init__(
        self,
        cells: Cells,
        *,
        columns: Columns,
        notes: list[str],
        bad: BadRows,
        progress: _Progress,
        needs_label: bool,
        read_label: Callable[[object], str | float | list[str]],
        fields: tuple[int | None, int | None],
        unicode_known: bool,
    ) -> None:
        self.name = bad.source
        self.columns = columns
        self.notes = notes
        self._cells = cells
        self._bad = bad
        self._progress = progress
        self._needs_label = needs_label
        self._read_label = read_label
        self._unicode_known = unicode_known  # decoded from bytes, so free of lone surrogates
        self._fields = fields  # numbers of the fields of text and label, for messages

    @property
    def bad_rows(self) -> dict[str, int]:
        """Rows left out so far, by reason."""
        return self._bad.counts

    @property
    def bad_examples(self) -> list[str]:
        """The first few rows left out."""
        return self._bad.examples

    @property
    def size_bytes(self) -> int | None:
        """Size of the file on disk; ``None`` for pipes and memory."""
        return self._progress.size_bytes

    @property
    def bytes_read(self) -> int | None:
        """Bytes of the file taken in this pass (before unpacking); ``None`` for memory."""
        return self._progress.bytes_read

    def __iter__(self) -> Iterator[Record]:
        """Yield the records.

        Raises:
            DataError: a bad row, unless bad rows are skipped; damage of the file as a whole always.
        """
        bad = self._bad
        bad.clear()
        strict_text = self._needs_label
        labelled = self.columns.label is not None
        read_label = self._read_label
        text_field, label_field = self._fields
        unicode_known = self._unicode_known
        for line, text, raw in self._cells():
            if type(text) is not str:
                problem = _text_problem(text)
                if problem is not None:
                    bad.report(*problem, line=line, column=text_field)
                    continue
                text = str(text)
            if not unicode_known and not (_is_unicode(text) and _is_unicode(raw)):
                bad.report("not Unicode", "a lone surrogate is no Unicode text", line=line)
                continue
            if strict_text and (not text or text.isspace()):
                bad.report("empty text", "the text is empty", line=line, column=text_field)
                continue
            label = None
            if labelled and (strict_text or not _is_blank(raw)):
                try:
                    label = read_label(raw)
                except BadLabelError as fault:
                    bad.report(fault.kind, fault.detail, fault.advice, line=line, column=label_field)
                    continue
            yield Record(text, label, line)


def open_records(
    source: Any,
    *,
    text_column: str | int | None = None,
    label_column: str | int | None = None,
    needs_label: bool,
    format: str | None = None,
    delimiter: str | None = None,
    quoting: Quoting = "auto",
    header: bool | None = None,
    encoding: str = "utf-8",
    skip_bad_rows: bool = False,
    label_kind: LabelKind = "single",
    label_separator: str = "|",
) -> RecordReader:
    """Open texts, with labels or without.

    What is not told is guessed from names and the first rows, and said in ``notes``.

    Args:
        source: a path; ``"-"`` for standard input; a list of texts, of (text, label) pairs or of dicts;
            a tuple ``(texts, labels)``; a pandas or polars DataFrame; a Hugging Face ``Dataset``; an Arrow
            table.
        text_column: name or 1-based number.
        label_column: name or 1-based number.
        needs_label: each record must have a text that is not empty, and a label (training, evaluation).
            Otherwise an empty text is valid; a label is read only if ``label_column`` is given.
        format: ``"csv"``, ``"tsv"``, ``"jsonl"``, ``"parquet"``, ``"txt"``; ``None``: from name, else
            content. In ``txt`` a line is a text. gzip is recognised in any text format.
        delimiter: one character; ``None``: tab in TSV, found out in CSV.
        quoting: ``"minimal"`` (RFC 4180), ``"none"`` (``"`` is an ordinary character), ``"auto"``: minimal in
            CSV, none in TSV unless all its fields are quoted.
        header: the first row of CSV or TSV names the columns; ``None``: found out.
        encoding: of text formats; a byte order mark of UTF-16 or UTF-32 overrides ``"utf-8"``.
        skip_bad_rows: count bad rows in ``bad_rows`` and go on, instead of raising at the first.
        label_kind: one string a text, several (a list), or a finite number.
        label_separator: between several labels in one string.

    Raises:
        DataError: the file cannot be read, is empty, or its columns cannot be told; names what to do.
        OptionError: options that contradict each other or do not exist.
    """
    _check_options(format, delimiter, quoting, label_kind, label_separator)
    wants_label = needs_label or label_column is not None
    reader = label_reader(label_kind, label_separator)

    def choose(
        names: Sequence[str], rows: Sequence[Sequence[object]], name: str, *, named: bool = True
    ) -> Choice:
        return choose_columns(
            names,
            rows,
            source=name,
            named=named,
            text_column=text_column,
            label_column=label_column,
            wants_label=wants_label,
        )

    def made(
        cells: Cells,
        columns: Columns,
        notes: list[str],
        bad: BadRows,
        progress: _Progress,
        fields: tuple[int | None, int | None] = (None, None),
        unicode_known: bool = False,
    ) -> RecordReader:
        return RecordReader(
            cells,
            columns=columns,
            notes=notes,
            bad=bad,
            progress=progress,
            needs_label=needs_label,
            read_label=reader,
            fields=fields,
            unicode_known=unicode_known,
        )

    if not isinstance(source, (str, Path)):
        table = memory_table(source)
        return _from_table(table, choose, made, wants_label, skip_bad_rows)

    asked = format or format_by_name(str(source))
    told_columns = text_column is not None or label_column is not None
    lines_only = asked in (None, "txt") and not needs_label and not told_columns
    byte_source = ByteSource(source, live=str(source) == "-" and lines_only)
    bad = BadRows(byte_source.name, skip=skip_bad_rows)
    if not byte_source.head:
        raise DataError("the file is empty: nothing to read", source=byte_source.name)
    if byte_source.head.startswith(b"PAR1") or asked == "parquet":
        if byte_source.size_bytes is None:
            raise DataError(
                "Parquet cannot be read from a pipe: give the name of a file", source=byte_source.name
            )
        return _from_table(
            ParquetTable(Path(source), byte_source.size_bytes), choose, made, wants_label, skip_bad_rows
        )
    text_file = TextFile(byte_source, encoding, bad)
    kind = asked
    if format is None and (kind is None or kind == "txt"):
        kind = "txt" if lines_only and (kind == "txt" or source == "-") else format_by_content(text_file.head)
        if kind != "txt":
            text_file.notes.append(f"{bad.source}: read as {kind.upper()} (its first lines look so)")
    if kind == "txt":
        if wants_label:
            raise DataError(
                "plain text has no label column: give --format csv, tsv or jsonl if it is one",
                source=bad.source,
            )
        columns = Columns("line", None, False)
        return made(text_file.lines, columns, text_file.notes, bad, byte_source, unicode_known=True)
    fields: tuple[int | None, int | None] = (None, None)
    if kind == "jsonl":
        names, rows = text_file.json_sample()
        choice = choose(names, rows, bad.source)
        key, label = names[choice.text], None if choice.label is None else names[choice.label]
        cells: Cells = lambda: jsonl.cells(text_file.blocks(), text_file.decoder, key, label)  # noqa: E731
    else:
        by_name = [c for c in (text_column, label_column) if isinstance(c, str) and not c.strip().isdecimal()]
        dialect, sample = text_file.dialect(delimiter, quoting, header, tab=kind == "tsv", by_name=by_name)
        numbered = text_column is not None and (label_column is not None or not wants_label)
        if dialect.header and not (numbered and not by_name):
            check_names(dialect.names, source=bad.source)
        choice = choose(dialect.names, sample, bad.source, named=dialect.header)
        cells = lambda: delimited.cells(  # noqa: E731
            text_file.blocks(), text_file.decoder, dialect, choice.text, choice.label
        )
        fields = (choice.text + 1, None if choice.label is None else choice.label + 1)
    if choice.note:
        text_file.notes.append(choice.note)
    return made(cells, choice.columns, text_file.notes, bad, byte_source, fields, kind != "jsonl")


def _from_table(
    table: MemoryTable | ParquetTable,
    choose: Callable[..., Choice],
    made: Callable[..., RecordReader],
    wants_label: bool,
    skip: bool,
) -> RecordReader:
    bad = BadRows(table.name, skip=skip)
    if isinstance(table, MemoryTable) and table.fixed:
        if wants_label and len(table.names) == 1:
            raise DataError("there are texts but no labels: give a tuple (texts, labels)", source=table.name)
        label = 1 if wants_label else None
        columns = Columns("text", "label" if wants_label else None, False)
        return made(lambda: table.cells(0, label), columns, [], bad, table)
    choice = choose(table.names, table.sample(), table.name)
    notes = [choice.note] if choice.note else []
    return made(lambda: table.cells(choice.text, choice.label), choice.columns, notes, bad, table)


def _is_unicode(value: object) -> bool:
    if not isinstance(value, str) or value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_blank(value: object) -> bool:
    return not value.strip() if isinstance(value, str) else is_missing(value)


def _text_problem(value: object) -> tuple[str, str] | None:
    """Why a cell that is not exactly ``str`` is no text; ``None`` if it is a kind of string (numpy's)."""
    if is_missing(value):
        return "missing text", "the text is missing"
    if isinstance(value, str):
        return None
    return "text of a wrong type", f"the text is of type {type(value).__name__}, not a string"


def _check_options(
    format: str | None, delimiter: str | None, quoting: str, label_kind: str, label_separator: str
) -> None:
    for option, value, allowed in (
        ("format", format, (None, *FORMATS)),
        ("quoting", quoting, ("auto", "minimal", "none")),
        ("label_kind", label_kind, ("single", "multi", "number")),
    ):
        if value not in allowed:
            known = ", ".join(str(choice) for choice in allowed if choice is not None)
            raise OptionError(f"{option} '{value}' does not exist: choose one of {known}")
    if delimiter is not None and delimiter != "\\t" and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise OptionError(
            f"delimiter {delimiter!r} is not possible: give one character that is no quote or line end"
        )
    if not label_separator:
        raise OptionError("label_separator must not be empty: give the characters between two labels")
