"""Byte blocks -> blocks of whole decoded lines, with line numbers, in time linear in the bytes.

Decoding and the search for NUL bytes happen once a block. Only if a block turns out to hold something wrong
are its lines looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from unrolled.data.encoding import advice_for
from unrolled.data.records import MAX_RECORD_BYTES, BadRows


class Block(NamedTuple):
    """Whole lines as text.

    Attributes:
        line: 1-based number of the first line.
        text: the lines, separated by ``\\n``; no ``\\n`` at the end. ``\\r`` before ``\\n`` is kept.
        suspect: some line holds a NUL byte or undecodable bytes (as lone surrogates, PEP 383).
    """

    line: int
    text: str
    suspect: bool


class LineDecoder:
    """Cuts a stream into :class:`Block`.

    Args:
        encoding: an encoding in which 0x0A is always a line end.
        bad: where lines over 16 MiB, NUL and undecodable bytes are reported.
        head: the first bytes of the source, evidence for the advice about a wrong encoding.
    """

    def __init__(self, encoding: str, bad: BadRows, head: bytes) -> None:
        self.encoding = encoding
        self.bad = bad
        self._head = head
        self._bare_returns = b"\r" in head and b"\n" not in head  # line ends of the classic Mac OS

    def blocks(self, chunks: Iterable[bytes]) -> Iterator[Block]:
        """Blocks of whole lines; lines that are too long are reported and left out."""
        line = 1
        pending: list[bytes] = []
        pending_size = 0
        for chunk in chunks:
            if self._bare_returns:
                chunk = chunk.replace(b"\r", b"\n")
            cut = chunk.rfind(b"\n")
            if cut < 0:
                pending_size += len(chunk)
                if pending_size <= MAX_RECORD_BYTES:
                    pending.append(chunk)
                else:
                    pending.clear()  # the line is lost: stream on to its end in constant memory
                continue
            start = 0
            if pending_size:
                end = chunk.index(b"\n")
                if pending_size + end > MAX_RECORD_BYTES:
                    self._too_long(line)
                    line += 1
                    start = end + 1
                else:
                    pending.append(chunk[:cut])
                    yield self._decoded(line, b"".join(pending))
                    line += chunk.count(b"\n")
                    start = cut + 1
                pending, pending_size = [], 0
            if start <= cut:
                yield self._decoded(line, chunk[start:cut])
                line += chunk.count(b"\n", start)
            rest = chunk[cut + 1 :]
            if rest:
                pending, pending_size = [rest], len(rest)
        if pending_size > MAX_RECORD_BYTES:
            self._too_long(line)
        elif pending_size:
            yield self._decoded(line, b"".join(pending))

    def good(self, line: int, text: str) -> bool:
        """Check a line of a suspect block; a NUL or undecodable byte is reported as a bad row."""
        if text.isascii():
            raw = text.encode("ascii")
        else:
            raw = text.encode(self.encoding, "surrogateescape")
            try:
                raw.decode(self.encoding)
            except UnicodeDecodeError as error:
                byte = raw[error.start]
                self.bad.report(
                    "undecodable bytes",
                    f"byte 0x{byte:02X} is not valid {self.encoding.upper()}",
                    advice_for(raw, self._head, self.encoding),
                    line=line,
                    column=error.start + 1,
                )
                return False
        nul = raw.find(b"\0")
        if nul >= 0:
            self.bad.report(
                "NUL byte",
                "NUL byte in a text file",
                "the file is damaged or not plain text",
                line=line,
                column=nul + 1,
            )
            return False
        return True

    def _decoded(self, line: int, raw: bytes) -> Block:
        try:
            return Block(line, raw.decode(self.encoding), b"\0" in raw)
        except UnicodeDecodeError:
            return Block(line, raw.decode(self.encoding, "surrogateescape"), True)

    def _too_long(self, line: int) -> None:
        mebibytes = MAX_RECORD_BYTES // 2**20
        self.bad.report(
            "line too long",
            f"the line is longer than {mebibytes} MiB",
            "split it, or check that the file has line ends",
            line=line,
        )


def good_lines(block: Block, decoder: LineDecoder) -> Iterator[tuple[int, str]]:
    """The lines of a block with their numbers, bad ones left out; line ends (also ``\\r``) removed."""
    text = block.text
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    numbered = enumerate(text.split("\n"), block.line)
    if not block.suspect:
        return numbered
    return ((number, line) for number, line in numbered if decoder.good(number, line))
