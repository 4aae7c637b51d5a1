"""Reading word vectors that other tools wrote: one reader for training, queries and conversion.

Formats: word2vec text (fastText's ``.vec`` is the same), GloVe text (no header), word2vec binary, fastText
``.bin``, safetensors. Which one it is the content says, not the name. Text and word2vec binary may be gzip.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

import numpy as np

from unrolled.data.sources import ByteSource
from unrolled.errors import DataError

Rows = Iterator[tuple[list[str], np.ndarray]]

FASTTEXT_MAGIC = (793712314).to_bytes(4, "little")
_BOM = b"\xef\xbb\xbf"  # some editors of Windows begin UTF-8 with it; it is no part of the first word
_BLOCK_LINES = 1024
_MOST_DIM = 1 << 16
_LONGEST_WORD = 1 << 16
_SAMPLE_LINES = 200
_FIRST_ROWS = 4096


class VectorFile:
    """Word vectors in a text or word2vec-binary file, read as a stream.

    Args:
        path: the file; ``.gz`` is unpacked.

    Attributes:
        dim: width of a vector.
        count: vectors that the header claims; ``None`` without header.
        room: vectors for which memory may be taken at once: the count, if the size of the file bears it out.
        binary: word2vec's binary format.

    Raises:
        DataError: missing, unreadable, not vectors, or a header that the file cannot fulfil.
    """

    def __init__(self, path: str | Path) -> None:
        self._source = ByteSource(path)
        self.name = self._source.name
        self.count: int | None = None
        self.room = _FIRST_ROWS
        head = self._source.head.removeprefix(_BOM)
        if holds_safetensors(head) or head.startswith(FASTTEXT_MAGIC):
            raise DataError(
                "fastText .bin and safetensors cannot be read while they are packed: unpack the file first",
                source=self.name,
            )
        if not head.strip():
            raise DataError("the file is empty: give a file of word vectors", source=self.name)
        first, _, rest = head.partition(b"\n")
        fields = first.split()
        self._header = len(fields) == 2 and all(field.isdigit() and len(field) < 20 for field in fields)
        if self._header:
            self.count, self.dim = int(fields[0]), int(fields[1])
            if not (self.dim and self.count):
                raise DataError(
                    f"the header says {self.count} vectors of {self.dim} numbers", source=self.name, line=1
                )
            self.binary = not _is_text_row(rest.partition(b"\n")[0], self.dim)
            packed = not self._source.head_is_all and self._packed()
            self._refuse_claims(packed=packed)
            self.room = min(self.count, _FIRST_ROWS) if packed else self.count
        else:
            self.binary = False
            self.dim = self._narrowest(head)

    def rows(self, wanted: Container[str] | None = None) -> Rows:
        """Words and their vectors ``(n, dim)`` float32, some at a time.

        Args:
            wanted: words to give; the numbers of all others are not even parsed. ``None``: all.

        Raises:
            DataError: a line or record that is no vector, a number that is not finite; names its place.
        """
        blocks = self._binary_rows(wanted) if self.binary else self._text_rows(wanted)
        found = 0
        for words, vectors in blocks:
            if not np.isfinite(vectors).all():
                bad = words[int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])]
                raise DataError(
                    f"the vector of '{bad[:40]}' holds values that are not finite", source=self.name
                )
            found += len(words)
            yield words, vectors

    def _packed(self) -> bool:
        with Path(self.name).open("rb") as file:
            return file.read(2) == b"\x1f\x8b"

    def _refuse_claims(self, *, packed: bool) -> None:
        """A header costs nothing to write: what it claims must fit into the file before memory is taken."""
        assert self.count is not None
        size = len(self._source.head) if self._source.head_is_all else self._source.size_bytes
        least = self.count * (4 * self.dim + 2 if self.binary else 2 * self.dim + 1)
        if self.dim > _MOST_DIM or (not packed and size is not None and least > size):
            raise DataError(
                f"the header claims {self.count} vectors of {self.dim} numbers, at least {least} bytes, but "
                f"the file has {size}: it is truncated, or not a file of vectors",
                source=self.name,
                line=1,
            )

    def _narrowest(self, head: bytes) -> int:
        """Width without a header: that of the line with the fewest fields, since words may hold blanks."""
        lines = head.splitlines()
        if not self._source.head_is_all and len(lines) > 1:
            lines.pop()
        dims = [line.rstrip().count(b" ") for line in lines[:_SAMPLE_LINES] if line.strip()]
        dim = min(dims)
        if not 0 < dim <= _MOST_DIM or not _is_text_row(lines[0], dim):
            raise DataError(
                "not a file of word vectors: expected a word and its numbers, divided by single blanks, on "
                "each line (word2vec text, .vec, GloVe), or word2vec binary, fastText .bin or safetensors",
                source=self.name,
                line=1,
            )
        return dim

    def _lines(self) -> Iterator[tuple[int, list[bytes]]]:
        """Number of the first line, and some lines."""
        number, rest = 1, b""
        for chunk in self._source.chunks():
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for begin in range(0, len(lines), _BLOCK_LINES):
                yield number + begin, lines[begin : begin + _BLOCK_LINES]
            number += len(lines)
        if rest:
            yield number, [rest]

    def _text_rows(self, wanted: Container[str] | None) -> Rows:
        seen = 0
        for number, lines in self._lines():
            words: list[str] = []
            tails: list[bytes] = []
            places: list[int] = []
            for place, raw in enumerate(lines, number):
                if place == 1 and self._header:
                    continue
                line = (raw.removeprefix(_BOM) if place == 1 else raw).rstrip()
                if not line:
                    continue
                blanks = line.count(b" ")
                if blanks == self.dim:
                    word, _, tail = line.partition(b" ")
                elif blanks > self.dim:  # the word itself holds blanks, as some of GloVe's do
                    word, tail = _split_from_right(line, self.dim)
                else:
                    self._too_few(place, blanks)
                seen += 1
                text = word.decode("utf-8", "replace")
                if wanted is None or text in wanted:
                    words.append(text)
                    tails.append(tail)
                    places.append(place)
            if words:
                yield words, self._numbers(tails, places)
        if self.count is not None and seen != self.count:
            self._miscounted(seen)

    def _too_few(self, place: int, found: int) -> None:
        raise DataError(
            f"{found} numbers, but the other vectors have {self.dim}: the line is damaged, or the file cut",
            source=self.name,
            line=place,
        )

    def _miscounted(self, seen: int) -> None:
        raise DataError(
            f"the header says {self.count} vectors, but there are {seen}: the file is truncated or joined "
            "from several, fetch it again",
            source=self.name,
            line=1,
        )

    def _numbers(self, tails: list[bytes], places: list[int]) -> np.ndarray:
        """``(n, dim)`` from the numbers of some lines, all parsed at once."""
        with warnings.catch_warnings(), contextlib.suppress(ValueError):
            # At what is no number numpy stops and warns (an error from numpy 2.3 on): seen by the count.
            warnings.simplefilter("ignore", DeprecationWarning)
            values = np.fromstring(b" ".join(tails).decode("latin-1"), dtype=np.float32, sep=" ")
            if len(values) == len(tails) * self.dim:
                return values.reshape(len(tails), self.dim)
        for tail, place in zip(tails, places, strict=True):
            for column, field in enumerate(tail.split(b" "), 2):
                try:
                    float(field)
                except ValueError:
                    shown = field.decode("utf-8", "replace")[:40]
                    raise DataError(
                        f"'{shown}' is not a number", source=self.name, line=place, column=column
                    ) from None
        raise DataError("numbers that cannot be read", source=self.name, line=places[0])

    def _binary_rows(self, wanted: Container[str] | None) -> Rows:
        assert self.count is not None
        reader = _Bytes(self._source.chunks())
        reader.until(b"\n", _LONGEST_WORD)
        size = 4 * self.dim
        words: list[str] = []
        parts: list[bytes] = []
        for number in range(1, self.count + 1):
            word = reader.until(b" ", _LONGEST_WORD)
            raw = reader.take(size) if word is not None else None
            if word is None or raw is None:
                raise DataError(
                    f"vector {number} of {self.count} is cut or damaged: fetch the file again",
                    source=self.name,
                )
            text = word.lstrip(b"\n").decode("utf-8", "replace")
            if wanted is None or text in wanted:
                words.append(text)
                parts.append(raw)
            if words and (len(words) == _BLOCK_LINES or number == self.count):
                yield words, np.frombuffer(b"".join(parts), dtype="<f4").reshape(len(words), self.dim)
                words, parts = [], []
        if words:
            yield words, np.frombuffer(b"".join(parts), dtype="<f4").reshape(len(words), self.dim)


def holds_safetensors(head: bytes) -> bool:
    """Whether a file begins as safetensors do: the size of a header, and its brace."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32


class _Bytes:
    """Records from a stream of chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = b""
        self._at = 0

    def take(self, size: int) -> bytes | None:
        """The next ``size`` bytes; none if the stream ends before."""
        while len(self._buffer) - self._at < size:
            if not self._more():
                return None
        self._at += size
        return self._buffer[self._at - size : self._at]

    def until(self, mark: bytes, most: int) -> bytes | None:
        """What stands before the next mark; none if it does not come within ``most`` bytes."""
        while (end := self._buffer.find(mark, self._at, self._at + most)) < 0:
            if len(self._buffer) - self._at >= most or not self._more():
                return None
        found = self._buffer[self._at : end]
        self._at = end + 1
        return found

    def _more(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._buffer = self._buffer[self._at :] + chunk
        self._at = 0
        return True


def _split_from_right(line: bytes, dim: int) -> tuple[bytes, bytes]:
    fields = line.rsplit(b" ", dim)
    return fields[0], b" ".join(fields[1:])


def _is_text_row(line: bytes, dim: int) -> bool:
    fields = line.rstrip().rsplit(b" ", dim)
    if len(fields) != dim + 1:
        return False
    try:
        [float(field) for field in fields[1:]]
    except ValueError:
        return False
    return True
