"""Reading fastText's binary model: words, counts, and the vectors of words and n-grams."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from unrolled.embed.reading import FASTTEXT_MAGIC
from unrolled.embed.subwords import Subwords
from unrolled.errors import DataError

_VERSIONS = (11, 12)
_ARGUMENTS = struct.Struct("<12id")
_DICTIONARY = struct.Struct("<3i2q")
_ENTRY = struct.Struct("<qb")
_MATRIX = struct.Struct("<2q")
_LONGEST_WORD = 1 << 16
_MOST_COUNT = 1 << 62
_WORDS = 1 << 14
_SENTENCE_END = "</s>"


def is_fasttext(path: Path) -> bool:
    """Whether a file begins as fastText's binary models do."""
    with path.open("rb") as file:
        return file.read(4) == FASTTEXT_MAGIC


def read_fasttext(path: Path) -> tuple[list[str], np.ndarray, np.ndarray, Subwords | None, np.ndarray | None]:
    """A model that fastText trained and did not quantise. Sizes are checked before memory is taken.

    Returns:
        ``(words, counts, vectors, subwords, ngrams)``: a word's vector is the mean of its own row and those
        of its n-grams, as fastText itself gives it, ``(words, dim)`` float32; ``ngrams`` ``(buckets, dim)``
        are the rows of the n-grams, ``None`` if the model has none.

    Raises:
        DataError: damaged, truncated, quantised, or of another version.
    """
    raw = np.memmap(path, dtype=np.uint8, mode="r")
    reader = _Reader(raw, path)
    _, version = reader.unpack(struct.Struct("<2i"))
    if version not in _VERSIONS:
        raise DataError(f"fastText's format {version} is not known; 11 and 12 are", source=path)
    arguments = reader.unpack(_ARGUMENTS)
    dim, buckets, min_n, max_n = arguments[0], arguments[8], arguments[9], arguments[10]
    size, words_count, _, _, pruned = reader.unpack(_DICTIONARY)
    if pruned > 0:
        raise _quantised(path)
    if not (0 < words_count <= size) or size * (_ENTRY.size + 2) > len(raw):
        raise DataError(f"the file claims {size} words, which do not fit into it: it is damaged", source=path)
    words, counts = [], np.zeros(words_count, dtype=np.int64)
    foreign: dict[int, bytes] = {}  # words that are not UTF-8: their n-grams are those of their bytes
    for place in range(size):
        written = reader.word()
        count, kind = reader.unpack(_ENTRY)
        if kind == 0 and place < words_count:
            if not 0 <= count < _MOST_COUNT:
                raise DataError(f"a word is said to occur {count} times: it is damaged", source=path)
            word = written.decode("utf-8", "backslashreplace")  # so that two such words stay two
            if word.encode("utf-8", "surrogatepass") != written:
                foreign[place] = written
            words.append(word)
            counts[place] = count
    if len(words) != words_count:
        raise DataError("its dictionary is damaged", source=path)
    if reader.take(1)[0]:
        raise _quantised(path)
    rows, width = reader.unpack(_MATRIX)
    grams = rows - words_count
    if width != dim or not 0 < dim <= 1 << 16 or grams < 0 or (max_n > 0 and grams != buckets):
        raise DataError(f"a table of {rows} x {width} does not fit its options: it is damaged", source=path)
    if rows * width * 4 > len(raw) - reader.at:
        raise DataError(
            f"the file claims a table of {rows} x {width}, more than it holds: it is truncated", source=path
        )
    table = np.ndarray((rows, width), dtype="<f4", buffer=raw, offset=reader.at)
    min_n = max(min_n, 1)  # fastText begins at one character, whatever the option says
    if max_n < min_n or grams == 0:
        return words, counts, np.array(table[:words_count], dtype=np.float32), None, None
    subwords = Subwords(min_n, max_n, buckets)
    ngrams = np.array(table[words_count:], dtype=np.float32)
    vectors = np.empty((words_count, dim), dtype=np.float32)
    for begin in range(0, words_count, _WORDS):
        block = [foreign.get(place, word) for place, word in enumerate(words[begin : begin + _WORDS], begin)]
        vectors[begin : begin + len(block)] = _composed(
            table[begin : begin + len(block)], block, subwords, ngrams
        )
    return words, counts, vectors, subwords, ngrams


def _composed(
    own: np.ndarray, words: list[str | bytes], subwords: Subwords, ngrams: np.ndarray
) -> np.ndarray:
    starts, rows = subwords.of_words(words)
    counts = np.diff(starts)
    for place, word in enumerate(words):
        if word == _SENTENCE_END:  # fastText gives it no n-grams
            rows = np.delete(rows, slice(starts[place], starts[place + 1]))
            starts[place + 1 :] -= counts[place]
            counts[place] = 0
    sums = np.array(own, dtype=np.float32)
    some = counts > 0
    if some.any():
        sums[some] += np.add.reduceat(ngrams[rows], starts[:-1][some], axis=0)
    mean: np.ndarray = sums / (counts + 1).astype(np.float32)[:, None]
    return mean


def _quantised(path: Path) -> DataError:
    return DataError(
        "this model is quantised (.ftz), which loses the vectors themselves: give the .bin it was made from",
        source=path,
    )


class _Reader:
    def __init__(self, raw: np.ndarray, path: Path) -> None:
        self._raw = raw
        self._path = path
        self.at = 0

    def take(self, size: int) -> bytes:
        part = self._raw[self.at : self.at + size].tobytes()
        if len(part) != size:
            raise DataError(f"ends at byte {len(self._raw)}: it is truncated", source=self._path)
        self.at += size
        return part

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        return layout.unpack(self.take(layout.size))

    def word(self) -> bytes:
        part = self._raw[self.at : self.at + 256].tobytes()
        end = part.find(b"\0")
        if end < 0:
            part = self._raw[self.at : self.at + _LONGEST_WORD].tobytes()
            end = part.find(b"\0")
        if end < 0:
            raise DataError("a word of its dictionary has no end: it is damaged", source=self._path)
        self.at += end + 1
        return part[:end]
