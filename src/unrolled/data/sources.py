"""Bytes from a file, a pipe or standard input, unpacked if they are gzip, in blocks of constant size."""

from __future__ import annotations

import difflib
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from unrolled.data.records import MAX_RECORD_BYTES
from unrolled.errors import DataError

BLOCK_BYTES = 1024 * 1024
HEAD_BYTES = 256 * 1024

_GZIP = b"\x1f\x8b"
_OTHER_PACKED = {
    b"PK\x03\x04": "a zip archive or an Excel workbook: save it as CSV (UTF-8)",
    b"BZh": "packed with bzip2: unpack it first",
    b"\xfd7zXZ\x00": "packed with xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "packed with zstd: unpack it first",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save it as CSV (UTF-8)",
}


class ByteSource:
    """The bytes of a file or of standard input.

    The first bytes are read on construction and kept in ``head``, so that format, encoding and columns can be
    guessed. A regular file is read again from its start for each pass; a pipe only once.

    Args:
        path: a path, or ``"-"`` for standard input.
        live: take what a pipe has ready instead of waiting for a full head.

    Attributes:
        name: the path as given; ``"-"`` for standard input.
        size_bytes: size of the file as it lies on disk, ``None`` for a pipe.
        bytes_read: bytes taken from the file in the current pass, before unpacking.
        head: the first unpacked bytes, whole lines if the file has any in its first 16 MiB.
        head_is_all: the head is the whole content.

    Raises:
        DataError: missing, a folder, unreadable, or packed in a way that is not gzip.
    """

    def __init__(self, path: str | Path, *, live: bool = False) -> None:
        self.name = str(path)
        self.size_bytes: int | None = None
        self.bytes_read = 0
        self._path: Path | None = None
        self._rest: Iterator[bytes] | None = None
        if self.name == "-":
            chunks = self._unpacked(sys.stdin.buffer)
        else:
            self._path = Path(path)
            file = open_bytes(self._path)
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                self.size_bytes = status.st_size
            chunks = self._unpacked(file)
        self.head, self.head_is_all = _read_head(chunks, 1 if live else HEAD_BYTES)
        for magic, what in _OTHER_PACKED.items():
            if self.head.startswith(magic):
                raise DataError(f"this is {what}", source=self.name)
        if self.size_bytes is None:
            self._rest = chunks
        else:
            chunks.close()  # type: ignore[attr-defined]  # a generator: closing it closes the file
            self.bytes_read = 0

    @property
    def repeatable(self) -> bool:
        """Whether :meth:`chunks` can be called more than once."""
        return self.size_bytes is not None

    def chunks(self) -> Iterator[bytes]:
        """All unpacked bytes from the start, in blocks of at most 1 MiB (the first may be the head).

        Raises:
            DataError: a second pass over a pipe; truncated or corrupt gzip data.
        """
        if self._path is not None and self.repeatable:
            self.bytes_read = 0
            yield from self._unpacked(open_bytes(self._path))
            return
        if self._rest is None:
            raise DataError(
                "standard input and pipes can be read only once: save the data to a file and give its name",
                source=self.name,
            )
        rest, self._rest = self._rest, None
        yield self.head
        yield from rest

    def _raw(self, file: BinaryIO) -> Iterator[bytes]:
        # read1 hands on what a pipe has ready, so that answers come while the input is still growing.
        read = getattr(file, "read1", file.read)
        try:
            while chunk := read(BLOCK_BYTES):
                self.bytes_read += len(chunk)
                yield chunk
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}", source=self.name) from None
        finally:
            if self.name != "-":
                file.close()

    def _unpacked(self, file: BinaryIO) -> Iterator[bytes]:
        raw = self._raw(file)
        try:
            first = next(raw, b"")
            while len(first) < 2 and (more := next(raw, b"")):
                first += more
            if first.startswith(_GZIP):
                yield from _gunzip(first, raw, self.name)
            elif self.name.lower().endswith(".gz") and first:
                raise DataError("is named .gz but holds no gzip data: rename or pack it", source=self.name)
            else:
                if first:
                    yield first
                yield from raw
        finally:
            raw.close()  # type: ignore[attr-defined]


def _gunzip(first: bytes, raw: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Unpack one or more gzip members; each output block is bounded, whatever the packing ratio."""
    decoder = zlib.decompressobj(wbits=31)
    chunk = first
    try:
        while True:
            while chunk:
                if decoder.eof:
                    chunk = chunk.lstrip(b"\0")  # padding after the last member is allowed (RFC 1952 tools)
                    if not chunk:
                        break
                    decoder = zlib.decompressobj(wbits=31)
                data = decoder.decompress(chunk, BLOCK_BYTES)
                chunk = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
                if data:
                    yield data
            following = next(raw, None)
            if following is None:
                break
            chunk = following
        while not decoder.eof and (data := decoder.decompress(b"", BLOCK_BYTES)):
            yield data
    except zlib.error as error:
        raise DataError(f"corrupt gzip data ({error}): fetch or pack the file again", source=name) from None
    if not decoder.eof:
        raise DataError("gzip data ends too early: the file is truncated, fetch it again", source=name)


def _read_head(chunks: Iterator[bytes], wanted: int) -> tuple[bytes, bool]:
    """At least ``wanted`` bytes and one whole line, as far as there are so many."""
    parts: list[bytes] = []
    size = 0
    has_line = False
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        has_line = has_line or b"\n" in chunk
        if (size >= wanted and has_line) or size > MAX_RECORD_BYTES:
            return b"".join(parts), False
    return b"".join(parts), True


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading.

    Raises:
        DataError: missing (names the nearest), a folder, or not to be read.
    """
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise DataError(_missing(path), source=str(path)) from None
    except IsADirectoryError:
        raise DataError(_folder(path), source=str(path)) from None
    except PermissionError:
        if path.is_dir():  # Windows
            raise DataError(_folder(path), source=str(path)) from None
        raise DataError("no permission to read this file: check its rights", source=str(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot be opened: {reason}", source=str(path)[:200]) from None


def _missing(path: Path) -> str:
    folder = path.parent
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return f"no such file; the folder '{folder}' does not exist either: check the path"
    lowered: dict[str, str] = {}
    for name in names:
        lowered.setdefault(name.lower(), name)
    near = difflib.get_close_matches(path.name.lower(), list(lowered), n=1, cutoff=0.6)
    if near:
        return f"no such file. Did you mean '{folder / lowered[near[0]]}'?"
    if " " in str(path) and not path.suffix:
        return 'no such file. A text itself is given in a list: ["..."]'
    return "no such file: check the path"


def _folder(path: Path) -> str:
    suffixes = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".txt", ".gz")
    try:
        files = sorted(entry.name for entry in path.iterdir() if entry.name.lower().endswith(suffixes))
    except OSError:
        files = []
    hint = f", for example '{path / files[0]}'" if files else ""
    return f"is a folder: give one file{hint}"
