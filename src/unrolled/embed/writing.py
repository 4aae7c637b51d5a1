"""Writing word vectors for other tools. A file is written whole, under a temporary name, or not at all."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from unrolled.errors import DataError, OptionError
from unrolled.storage import tensors
from unrolled.storage.files import write_atomically

#: Name of a format -> what it is.
FORMATS = {
    "text": "word2vec text, with a header (.txt, .vec)",
    "binary": "word2vec binary (.bin)",
    "glove": "GloVe text, without a header (.glove.txt)",
    "safetensors": "safetensors: 'vectors' (words, dim) float32, 'words' a JSON list as bytes",
}
_SUFFIXES = {".txt": "text", ".vec": "text", ".bin": "binary", ".safetensors": "safetensors"}
_ROWS = 1024


def format_of(path: Path, wanted: str | None = None) -> str:
    """The format to write: the wanted one, else by the name (``.gz`` aside).

    Raises:
        OptionError: no such format, a name that tells none, or packed safetensors, which nothing reads.
    """
    if wanted is not None and wanted not in FORMATS:
        raise OptionError(f"there is no format '{wanted}'. Choose one of {', '.join(FORMATS)}.")
    name = path.name.lower().removesuffix(".gz")
    found = wanted or ("glove" if name.endswith(".glove.txt") else _SUFFIXES.get(Path(name).suffix))
    if found == "safetensors" and path.name.lower().endswith(".gz"):
        raise OptionError(f"{path}: safetensors cannot be read while packed. Give a name without .gz.")
    if found is None:
        known = ", ".join(_SUFFIXES)
        raise OptionError(f"{path}: the name tells no format. Use one of {known}, or say which (--to).")
    return found


def write_vectors(
    path: str | Path, words: Sequence[str], vectors: np.ndarray, *, format: str | None = None
) -> None:
    """Write words and their vectors.

    Args:
        path: the file; a name that ends in ``.gz`` is packed.
        words: in the order of the rows.
        vectors: ``(words, dim)`` float32. Text holds as many digits as each number needs to be read back
            exactly.
        format: one of :data:`FORMATS`; by the name if left out.

    Raises:
        OptionError: no such format.
        DataError: a word that the format cannot hold, or a file that cannot be written.
    """
    target = Path(path)
    kind = format_of(target, format)
    if kind != "safetensors":
        for word in words:
            if not word or word.split() != [word]:
                raise DataError(
                    f"the word {word[:40]!r} is empty or holds white space, which this format divides words "
                    "by: choose safetensors"
                )
    parts: Iterator[bytes | memoryview]
    if kind == "safetensors":
        parts = _safetensors(words, vectors)
    elif kind == "binary":
        parts = _binary(words, vectors)
    else:
        parts = _text(words, vectors, header=kind == "text")
    if target.name.lower().endswith(".gz"):
        parts = _packed(parts)
    write_whole(target, parts)


def write_whole(target: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file whole or not at all.

    Raises:
        DataError: the target or its place does not allow it, or the disk is full.
    """
    if target.is_dir():
        raise DataError("is a folder: give the name of a file", source=target)
    if not target.parent.is_dir():
        raise DataError(
            f"cannot be written: there is no folder '{target.parent}', make it or check the path",
            source=target,
        )
    try:
        write_atomically(target, parts)
    except OSError as error:
        raise DataError(
            f"cannot be written ({error.strerror or error}): check free space and rights", source=target
        ) from None


def _text(words: Sequence[str], vectors: np.ndarray, *, header: bool) -> Iterator[bytes]:
    if header:
        yield f"{len(words)} {vectors.shape[1]}\n".encode()
    for begin in range(0, len(words), _ROWS):
        block = np.asarray(vectors[begin : begin + _ROWS], dtype=np.float32).astype(str)
        lines = [
            f"{word} {' '.join(row)}\n"
            for word, row in zip(words[begin : begin + _ROWS], block.tolist(), strict=True)
        ]
        yield "".join(lines).encode("utf-8", "surrogatepass")


def _binary(words: Sequence[str], vectors: np.ndarray) -> Iterator[bytes]:
    yield f"{len(words)} {vectors.shape[1]}\n".encode()
    for begin in range(0, len(words), _ROWS):
        block = np.asarray(vectors[begin : begin + _ROWS], dtype="<f4")
        records = [
            word.encode("utf-8", "surrogatepass") + b" " + row.tobytes() + b"\n"
            for word, row in zip(words[begin : begin + _ROWS], block, strict=True)
        ]
        yield b"".join(records)


def _safetensors(words: Sequence[str], vectors: np.ndarray) -> Iterator[bytes | memoryview]:
    listed = np.frombuffer(json.dumps(list(words)).encode(), dtype=np.uint8)
    return tensors.file_parts({"vectors": np.asarray(vectors, dtype=np.float32), "words": listed})


def _packed(parts: Iterator[bytes | memoryview]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    for part in parts:
        yield packer.compress(part)
    yield packer.flush()
