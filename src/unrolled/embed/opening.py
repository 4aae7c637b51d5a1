"""Word vectors from anything that holds them: our folder, fastText, word2vec, GloVe, safetensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.embed.fasttext_bin import is_fasttext, read_fasttext
from unrolled.embed.reading import VectorFile, holds_safetensors
from unrolled.embed.saved import MANIFEST_NAME, is_vector_folder, load_vectors
from unrolled.embed.subwords import Subwords
from unrolled.embed.table import VectorTable
from unrolled.errors import DataError
from unrolled.storage import tensors

_MOST_ROWS = 1 << 31
_READ_BYTES = 1 << 20


def read_table(path: str | Path) -> VectorTable:
    """All vectors of a folder or file; of a word that comes twice the first counts.

    Raises:
        DataError, ModelFileError: missing, damaged, or not word vectors.
    """
    place = Path(path)
    if place.is_dir():
        return load_vectors(place)[0]
    kind = _kind(place)
    if kind == "fasttext":
        words, counts, vectors, subwords, ngrams = _guarded(place, read_fasttext)
        return _of_different(place, words, vectors, counts, subwords, ngrams)
    if kind == "safetensors":
        return _read_safetensors(place)
    file = VectorFile(place)
    table = np.empty((file.room, file.dim), dtype=np.float32)
    index: dict[str, int] = {}
    for words, vectors in file.rows():
        for word, vector in zip(words, vectors, strict=True):
            at = index.setdefault(word, len(index))
            if at < len(index) - 1:
                continue
            if at == len(table):
                grown = np.empty((2 * at, file.dim), dtype=np.float32)
                grown[:at] = table
                table = grown
            table[at] = vector
    return VectorTable(list(index), table[: len(index)])


def vectors_of(
    path: str | Path, words: Mapping[str, int], special: Collection[str] = ()
) -> tuple[int, dict[str, np.ndarray]]:
    """The vectors of some words. Of text and word2vec-binary files no others are kept in memory.

    Args:
        path: folder or file.
        words: those that are wanted.
        special: words that get no vector from n-grams, because they stand for something else.

    Returns:
        ``(dim, found)``: width of all vectors; word -> ``(dim,)``. Where the vectors have sub-words, an
        unknown word has the mean of its n-grams'.

    Raises:
        DataError, ModelFileError: missing, damaged, or not word vectors.
    """
    place = Path(path)
    if place.is_dir() or _kind(place) != "plain":
        table = read_table(place)
        found = {word: table.vectors[table.index[word]] for word in words if word in table.index}
        rest = [word for word in words if word not in found and word not in special]
        for word, vector in zip(rest, table.composed(rest), strict=True):
            if vector is not None:
                found[word] = vector
        return table.dim, found
    file = VectorFile(place)
    found = {}
    for some, vectors in file.rows(wanted=words):
        for word, vector in zip(some, vectors, strict=True):
            found.setdefault(word, vector)
    return file.dim, found


def check_vectors(path: str | Path) -> None:
    """Refuse a path that cannot hold vectors, before time is spent.

    Raises:
        DataError: there is no such file, a folder without vectors, or a pipe.
    """
    place = Path(path)
    if not place.exists():
        raise DataError("there is no such file of word vectors: check the path", source=path)
    _refuse_pipes(place)
    if place.is_dir() and not is_vector_folder(place):
        raise DataError(
            "is a folder without word vectors: give one that 'unrolled vectors train' wrote, or a file",
            source=path,
        )


def vectors_sha256(path: str | Path) -> str:
    """Checksum of the file, or of what the folder's ``model.json`` says, checksums of the vectors included.

    Raises:
        DataError: it cannot be read.
    """
    place = Path(path)
    _refuse_pipes(place)
    digest = hashlib.sha256()
    try:
        with (place / MANIFEST_NAME if place.is_dir() else place).open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", source=path) from None
    return digest.hexdigest()


def _refuse_pipes(path: Path) -> None:
    """Vectors are read more than once: first for their format, and for their checksum."""
    if path.exists() and not path.is_dir() and not path.is_file():
        raise DataError(
            "is a pipe or a device, which cannot be read twice: save the vectors to a file and give its name",
            source=path,
        )


def _kind(path: Path) -> str:
    _refuse_pipes(path)
    try:
        with path.open("rb") as file:
            head = file.read(9)
        if is_fasttext(path):
            return "fasttext"
    except OSError:  # missing, no rights: the reader of text says what is wrong
        return "plain"
    return "safetensors" if holds_safetensors(head) else "plain"


def _of_different(
    path: Path,
    words: list[str],
    vectors: np.ndarray,
    counts: np.ndarray | None = None,
    subwords: Subwords | None = None,
    ngrams: np.ndarray | None = None,
) -> VectorTable:
    """A table in which of a word that comes twice the first counts."""
    if len(words) != len(vectors):
        raise DataError(f"holds {len(words)} words, but {len(vectors)} vectors", source=path)
    first: dict[str, int] = {}
    for row, word in enumerate(words):
        first.setdefault(word, row)
    if len(first) < len(words):
        rows = np.fromiter(first.values(), dtype=np.int64, count=len(first))
        vectors = vectors[rows]
        counts = None if counts is None else counts[rows]
    return VectorTable(list(first), vectors, counts, subwords, ngrams)


def _guarded(path: Path, read: Any) -> Any:
    try:
        return read(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot be read ({reason})", source=path) from None


def _read_safetensors(path: Path) -> VectorTable:
    """What ``convert`` writes: ``vectors`` and ``words``; our folder's file has no words of its own."""
    raw = _guarded(path, lambda place: np.memmap(place, dtype=np.uint8, mode="r"))
    size = int.from_bytes(raw[:8].tobytes(), "little")
    try:
        if size > min(tensors.MAX_HEADER_BYTES, len(raw) - 8):
            raise tensors.TensorFileError(f"its header is said to have {size} bytes")
        header = tensors.read_header(raw[8 : 8 + size].tobytes())
        shapes = {name: _shape(header, name) for name in ("vectors", "words")}
        if len(shapes["vectors"]) != 2 or len(shapes["words"]) != 1:
            raise tensors.TensorFileError("'vectors' must be a table and 'words' a list of bytes")
        body = raw[8 + size :]
        if size % 4:
            body = body.copy()
        found = tensors.views(header, body, shapes, {"vectors": "F32", "words": "U8"})
        words = json.loads(found["words"].tobytes())
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise tensors.TensorFileError("'words' is no list of words")
        vectors = np.array(found["vectors"])
        if not np.isfinite(vectors).all():
            raise tensors.TensorFileError("'vectors' holds values that are not finite")
        return _of_different(path, words, vectors)
    except (tensors.TensorFileError, ValueError, RecursionError) as error:
        raise DataError(
            f"not word vectors in safetensors: {error}; expected what 'unrolled vectors convert' writes",
            source=path,
        ) from None


def _shape(header: dict[str, Any], name: str) -> tuple[int, ...]:
    entry = header.get(name)
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not isinstance(shape, list) or not all(type(size) is int and 0 < size < _MOST_ROWS for size in shape):
        raise tensors.TensorFileError(f"'{name}' is missing or has no valid shape")
    return tuple(shape)
