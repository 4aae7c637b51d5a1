"""Guesses from a file's name and first lines: format, delimiter, quoting, header."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from unrolled.data.columns import is_label_name, is_number, is_text_name

FORMATS = ("csv", "tsv", "jsonl", "parquet", "txt")

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "txt",
}
_DELIMITERS = (",", ";", "\t", "|")
_QUOTED_FIELD = r'"[^"]*(?:""[^"]*)*"'


def format_by_name(name: str) -> str | None:
    """The format that the suffix names, ``.gz`` left aside; ``None`` if it names none."""
    lowered = name.lower().removesuffix(".gz")
    return next((found for suffix, found in _SUFFIXES.items() if lowered.endswith(suffix)), None)


def format_by_content(head: str) -> str:
    """The format that the first lines look like; ``txt`` if they look like none."""
    lines = _lines(head, 50)
    if lines and lines[0].lstrip().startswith("{"):
        return "jsonl"
    if _shared_width(lines, "\t") > 1:
        return "tsv"
    return "csv" if any(_shared_width(lines, delimiter) > 1 for delimiter in (",", ";")) else "txt"


def csv_delimiter(head: str) -> str:
    """The first of comma, semicolon, tab and bar that divides the first rows alike; else the comma."""
    lines = _lines(head, 200)
    return next((delimiter for delimiter in _DELIMITERS if _shared_width(lines, delimiter) > 1), ",")


def every_field_is_quoted(head: str, delimiter: str) -> bool:
    """Whether header and first rows have quoted fields only, so that quotes in a TSV mean quoting."""
    record = re.compile(rf"{_QUOTED_FIELD}(?:{re.escape(delimiter)}{_QUOTED_FIELD})*")
    seen = 0
    pending = ""
    for line in _lines(head, 60):
        pending = f"{pending}\n{line}" if pending else line
        if pending.count('"') % 2 == 0:  # a record may span lines
            if record.fullmatch(pending) is None:
                return False
            seen += 1
            pending = ""
    return seen > 0


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of these rows names the columns.

    It does if it holds a well-known name that is no value further down, or if a column is numeric, or
    repeats a few values, in all rows but the first.
    """
    first, body = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    if any(is_number(cell) for cell in first):
        return False
    columns = list(zip(*body, strict=True)) if body else [()] * len(first)
    for cell, column in zip(first, columns, strict=True):
        if cell not in column and _is_known_name(cell):
            return True
    if len(body) < 3:
        return False
    for cell, column in zip(first, columns, strict=True):
        if all(is_number(value) for value in column):
            return True
        values = set(column)
        if len(body) >= 10 and len(values) <= len(body) // 5 and len(first) > 1:
            return cell not in values
    return False


def _is_known_name(cell: str) -> bool:
    # Names with spaces are left to the other evidence: "good review" is more often a text than a name.
    one_word = " " not in cell.strip()
    return one_word and (
        is_text_name(cell) or is_label_name(cell) or cell.strip().lower() in ("id", "idx", "index")
    )


def _lines(head: str, most: int) -> list[str]:
    lines = [line.removesuffix("\r") for line in head.split("\n", most)[:most]]
    return [line for line in lines if line]


def _shared_width(lines: Sequence[str], delimiter: str) -> int:
    """The number of fields that the first line and four of five lines share; 1 if there is none."""
    quoted = re.compile(rf"(?:^|(?<={re.escape(delimiter)})){_QUOTED_FIELD}")
    widths = [quoted.sub("", line).count(delimiter) + 1 for line in lines]
    if not widths:
        return 1
    width, count = Counter(widths).most_common(1)[0]
    return width if widths[0] == width and count >= 0.8 * len(widths) else 1
