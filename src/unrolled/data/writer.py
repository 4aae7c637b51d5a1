"""Rows out: CSV, TSV or JSON Lines, to a file or standard output, as they come."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from unrolled.data.sniffing import format_by_name
from unrolled.errors import DataError, OptionError

WRITTEN_FORMATS = ("csv", "tsv", "jsonl")
_BREAKS = re.compile(r"[\t\r\n]+")


class RowWriter:
    """Writes rows one at a time. Made by :func:`open_writer`; use it in a ``with`` statement.

    A file appears under its name only when the ``with`` block ends without an exception: until then rows go
    to a temporary name beside it. The keys of the first row are the columns.
    """

    def __init__(self, path: str | Path, format: str) -> None:
        self._format = format
        self._columns: list[str] | None = None
        self._temporary: Path | None = None
        self._target: Path | None = None
        self._name = str(path)
        if self._name == "-":
            self._file: BinaryIO = sys.stdout.buffer
        else:
            self._file = self._create(Path(path))
        packed: BinaryIO = self._file
        if self._name.lower().endswith(".gz"):
            packed = gzip.GzipFile(filename="", mode="wb", fileobj=self._file, compresslevel=6, mtime=0)  # type: ignore[assignment]
        self._packed = packed
        self._text = io.TextIOWrapper(packed, encoding="utf-8", newline="", write_through=False)
        self._csv = csv.writer(self._text, lineterminator="\n")

    def write(self, row: Mapping[str, object]) -> None:
        """Write one row.

        A list becomes its elements with ``|`` between in CSV and TSV. TSV has no quotes: a tab or line end
        inside a value becomes a space there.

        Raises:
            DataError: the keys differ from those of the first row, or the disk is full.
        """
        if self._columns is None:
            self._columns = list(row)
            if self._format != "jsonl":
                self._write_cells(self._columns)
        if row.keys() != set(self._columns):
            raise DataError(
                f"a row has the keys {list(row)}, the first row had {self._columns}", source=self._name
            )
        try:
            if self._format == "jsonl":
                self._text.write(json.dumps(dict(row), ensure_ascii=False) + "\n")
            else:
                self._write_cells([_cell(row[column]) for column in self._columns])
        except OSError as error:
            raise self._failed(error) from None

    def flush(self) -> None:
        """Hand on what was written so far, for a reader at the other end of a pipe."""
        self._text.flush()
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self._finish()
            except OSError as fault:
                self._discard()
                raise self._failed(fault) from None
        else:
            self._discard()

    def _write_cells(self, cells: list[str]) -> None:
        if self._format == "tsv":
            self._text.write("\t".join(_BREAKS.sub(" ", cell) for cell in cells) + "\n")
        else:
            self._csv.writerow(cells)

    def _create(self, path: Path) -> BinaryIO:
        try:
            path = path.resolve()  # a link stays a link: its target is replaced
            if path.is_dir():
                raise DataError("is a folder: give the name of a file", source=self._name)
            if path.exists() and not path.is_file():  # a device or named pipe is written, never replaced
                return path.open("wb")
            self._target = path
            self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            return self._temporary.open("wb")
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> Exception:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe has had enough: not a fault of the data
            return error
        return DataError(f"cannot be written: {error.strerror or error}", source=self._name)

    def _finish(self) -> None:
        self._text.flush()
        self._text.detach()
        if self._packed is not self._file:
            self._packed.close()
        self._file.flush()
        if self._name != "-":
            self._file.close()
        if self._temporary is not None and self._target is not None:
            self._temporary.replace(self._target)

    def _discard(self) -> None:
        with suppress(OSError, ValueError):
            if self._name == "-":
                self._text.flush()  # what stands on standard output was promised
            self._text.detach()
        for file in (self._packed, self._file):
            if self._name != "-":
                with suppress(OSError, ValueError):
                    file.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)


def open_writer(path: str | Path, format: str | None = None) -> RowWriter:
    """Open a writer of dict rows.

    Args:
        path: a file, packed with gzip if it ends in ``.gz``; ``"-"`` for standard output.
        format: ``"csv"``, ``"tsv"`` or ``"jsonl"``; ``None``: from the name, TSV on standard output.

    Raises:
        DataError: the file cannot be created, or its name does not tell the format.
        OptionError: a format that is not written.
    """
    chosen = format or ("tsv" if str(path) == "-" else format_by_name(str(path)))
    if format is None and chosen not in WRITTEN_FORMATS:
        raise DataError(
            "the name does not tell a format that can be written: end it in .csv, .tsv or .jsonl",
            source=path,
        )
    if chosen not in WRITTEN_FORMATS:
        raise OptionError(f"format '{chosen}' cannot be written: choose one of {', '.join(WRITTEN_FORMATS)}")
    return RowWriter(path, chosen)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return "|".join(map(_cell, value))
    return str(value)
