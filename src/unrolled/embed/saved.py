"""Word vectors as a folder: ``model.json``, ``words.json``, ``vectors.safetensors``.

Written under a temporary name and put in place in one step. Reading executes nothing and checks sizes before
it takes memory, checksums after.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.embed.options import VectorOptions
from unrolled.embed.subwords import Subwords
from unrolled.embed.table import VectorTable, all_finite
from unrolled.errors import DataError, ModelFileError, OptionError
from unrolled.storage import tensors
from unrolled.storage.files import replace_folder, sync_folder, write_synced
from unrolled.storage.strict_json import StrictJsonError, fingerprint, parse_object

FORMAT = "unrolled-vectors"
FORMAT_VERSION = 1
MANIFEST_NAME = "model.json"
WORDS_NAME = "words.json"
VECTORS_NAME = "vectors.safetensors"
FILE_NAMES = (WORDS_NAME, VECTORS_NAME)

_MAX_MANIFEST_BYTES = 1 << 20
_ADVICE = "Copy the folder again, or train again."


def is_vector_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder says that it holds word vectors."""
    try:
        with (Path(path) / MANIFEST_NAME).open("rb") as file:
            raw = file.read(_MAX_MANIFEST_BYTES + 1)
        return len(raw) <= _MAX_MANIFEST_BYTES and parse_object(raw).get("format") == FORMAT
    except (OSError, ValueError, StrictJsonError):
        return False


def save_vectors(
    path: str | os.PathLike[str],
    table: VectorTable,
    options: VectorOptions | None,
    training: dict[str, Any] | None,
    *,
    version: str,
) -> None:
    """Write a folder. An older one of that name is replaced in the same instant; anything else is left alone.

    Args:
        path: of the folder; missing parents are made.
        table: the vectors.
        options: of the training; ``None`` if it was not ours.
        training: figures of the training, plain values.
        version: of Unrolled.

    Raises:
        ModelFileError: the target is something else, the disk is full or write-protected, a vector is not
            finite, or sizes are such as reading refuses.
    """
    target = Path(path)
    weights = {"vectors": np.asarray(table.vectors, dtype=np.float32)}
    content: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "unrolled_version": version,
        "options": None if options is None else options.to_dict(),
        "words": len(table.words),
        "dim": table.dim,
        "ngrams": None,
        "training": training or {},
    }
    if table.subwords is not None and table.ngrams is not None:
        subwords = table.subwords
        weights["ngrams"] = np.asarray(table.ngrams, dtype=np.float32)
        content["ngrams"] = {
            "min": subwords.min_n,
            "max": subwords.max_n,
            "buckets": subwords.buckets,
            "rows": subwords.rows,
            "all": subwords.kept is None,
        }
        if subwords.kept is not None:
            weights["ngrams.kept"] = subwords.kept.astype(np.int32)
    _refuse_unreadable(target, content)
    for name, array in weights.items():
        if not all_finite(array):
            raise ModelFileError(f"the new vectors: '{name}' holds values that are not finite numbers.")
    counts = None if table.counts is None else table.counts.tolist()
    words = json.dumps({"words": table.words, "counts": counts}).encode()
    try:
        _refuse_other_things(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{target.name}.", suffix=".part", dir=target.parent
        ) as temporary:
            folder = Path(temporary) / "vectors"
            folder.mkdir()
            content["files"] = {
                WORDS_NAME: write_synced(folder / WORDS_NAME, [words]),
                VECTORS_NAME: write_synced(folder / VECTORS_NAME, tensors.file_parts(weights)),
            }
            content["checksum"] = fingerprint(content)
            text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
            write_synced(folder / MANIFEST_NAME, [text.encode()])
            sync_folder(folder)
            replace_folder(folder, target, Path(temporary), (MANIFEST_NAME, *FILE_NAMES))
            sync_folder(target.parent)
    except OSError as error:
        raise ModelFileError(
            f"{target}: the vectors cannot be written ({error.strerror or error}). "
            "Check free space and rights, or give another folder."
        ) from None


def _refuse_unreadable(target: Path, content: dict[str, Any]) -> None:
    """Nothing is written that :func:`load_vectors` would call damaged."""
    try:
        _shapes(target, content)
    except ModelFileError as error:
        what = str(error).removesuffix(f" {_ADVICE}")
        raise ModelFileError(
            f"{what} Such vectors cannot be saved as a folder; a file can hold them."
        ) from None


def _refuse_other_things(target: Path) -> None:
    if target.suffix.lower() == ".zip":
        raise ModelFileError(f"{target}: word vectors are saved as a folder. Give a name without .zip.")
    if not os.path.lexists(target):
        return
    if not target.is_dir() or target.is_symlink():
        raise ModelFileError(f"{target}: exists and is not a folder. Give another name.")
    names = {entry.name for entry in target.iterdir()} - {"checkpoint"}
    if names and not is_vector_folder(target):
        raise ModelFileError(
            f"{target}: the folder holds other things and no word vectors. Give a new or empty folder."
        )


def load_vectors(path: str | os.PathLike[str]) -> tuple[VectorTable, dict[str, Any]]:
    """Read and check a folder.

    Returns:
        The table, and the content of ``model.json``.

    Raises:
        ModelFileError: there are no vectors, or they are damaged, truncated, hostile, or of a newer format.
    """
    folder = Path(path)
    try:
        content = _manifest(folder)
        words_size, words_sum = _listed(folder, content, WORDS_NAME)
        shapes, dtypes = _shapes(folder, content)
        size, checksum = _listed(folder, content, VECTORS_NAME)
        payload = tensors.payload_bytes(shapes, dtypes)
        if not payload + 8 < size <= payload + 8 + tensors.MAX_HEADER_BYTES:
            raise _bad(folder, f"{VECTORS_NAME} is said to have {size} bytes, but its vectors need {payload}")
        raw = _content(folder / VECTORS_NAME, size, checksum)
        header_size = int.from_bytes(raw[:8].tobytes(), "little")
        if header_size != size - 8 - payload:
            raise _bad(folder, f"the header of {VECTORS_NAME} does not fit its size")
        header = tensors.read_header(raw[8 : 8 + header_size].tobytes())
        body = raw[8 + header_size :]
        weights = tensors.views(header, body.copy() if header_size % 8 else body, shapes, dtypes)
        listed = parse_object(_content(folder / WORDS_NAME, words_size, words_sum).tobytes())
        return _table(folder, content, listed, weights), content
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelFileError(f"{folder}: cannot be read ({reason}). {_ADVICE}") from None
    except (StrictJsonError, tensors.TensorFileError, DataError) as error:
        raise _bad(folder, str(error)) from None
    except MemoryError:
        raise ModelFileError(f"{folder}: the vectors do not fit into memory.") from None


def _manifest(folder: Path) -> dict[str, Any]:
    place = folder / MANIFEST_NAME
    if not place.is_file():
        raise ModelFileError(f"{folder}: no word vectors ({MANIFEST_NAME} is missing).")
    if place.stat().st_size > _MAX_MANIFEST_BYTES:
        raise ModelFileError(f"{place}: more bytes than any {MANIFEST_NAME} of word vectors has; refused.")
    content = parse_object(place.read_bytes())
    if content.get("format") != FORMAT:
        raise ModelFileError(f"{place}: these are not word vectors of Unrolled.")
    version = content.get("format_version")
    if type(version) is not int or version < 1:
        raise _bad(folder, "its format_version does not exist")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{place}: made by a newer Unrolled, in format {version}; this one reads up to {FORMAT_VERSION}. "
            "Upgrade with: pip install --upgrade unrolled"
        )
    if content.get("checksum") != fingerprint(content):
        raise _bad(folder, f"{MANIFEST_NAME} is damaged, or was changed by hand")
    if content.get("options") is not None:
        try:
            VectorOptions.from_dict(content["options"])
        except (OptionError, TypeError) as error:
            raise _bad(folder, str(error).rstrip(".")) from None
    return content


def _shapes(folder: Path, content: dict[str, Any]) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    words, dim = _whole(folder, content, "words"), _whole(folder, content, "dim")
    shapes: dict[str, tuple[int, ...]] = {"vectors": (words, dim)}
    dtypes = {"vectors": "F32"}
    ngrams = content.get("ngrams")
    if ngrams is not None:
        if not isinstance(ngrams, dict):
            raise _bad(folder, "its n-grams are no object")
        numbers = {name: _whole(folder, ngrams, name) for name in ("min", "max", "buckets")}
        rows = _whole(folder, ngrams, "rows", least=0)
        if not (numbers["min"] <= numbers["max"] <= 100 and rows <= numbers["buckets"]):
            raise _bad(folder, "the sizes of its n-grams contradict each other")
        shapes["ngrams"] = (rows, dim)
        dtypes["ngrams"] = "F32"
        if ngrams.get("all") is not True:
            shapes["ngrams.kept"] = (rows,)
            dtypes["ngrams.kept"] = "I32"
        elif rows != numbers["buckets"]:
            raise _bad(folder, "the sizes of its n-grams contradict each other")
    return shapes, dtypes


def _table(
    folder: Path, content: dict[str, Any], listed: dict[str, Any], weights: dict[str, np.ndarray]
) -> VectorTable:
    words, counts = listed.get("words"), listed.get("counts")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise _bad(folder, f"{WORDS_NAME} holds no list of words")
    if counts is not None and not (
        isinstance(counts, list)
        and len(counts) == len(words)
        and all(type(count) is int and 0 <= count < 2**62 for count in counts)
    ):
        raise _bad(folder, f"the counts in {WORDS_NAME} do not fit its words")
    for name, array in weights.items():
        if not all_finite(array):
            raise _bad(folder, f"'{name}' holds values that are not finite numbers")
    subwords = None
    if (ngrams := content.get("ngrams")) is not None:
        kept = weights.get("ngrams.kept")
        if kept is not None and len(kept):
            ascending = bool((kept[1:] > kept[:-1]).all())
            if not ascending or not 0 <= int(kept[0]) <= int(kept[-1]) < ngrams["buckets"]:
                raise _bad(folder, "its n-gram rows are not in order")
        subwords = Subwords(ngrams["min"], ngrams["max"], ngrams["buckets"], kept)
    number = None if counts is None else np.array(counts, dtype=np.int64)
    return VectorTable(words, weights["vectors"], number, subwords, weights.get("ngrams"))


def _whole(folder: Path, values: dict[str, Any], name: str, least: int = 1) -> int:
    value = values.get(name)
    if type(value) is not int or not least <= value < 2**31:
        raise _bad(folder, f"'{name}' must be a number, not {str(value)[:40]}")
    return value


def _listed(folder: Path, content: dict[str, Any], name: str) -> tuple[int, str]:
    """Size and checksum of a file, as ``model.json`` has them, the size compared with the file's."""
    files = content.get("files")
    entry = files.get(name) if isinstance(files, dict) else None
    size = entry.get("bytes") if isinstance(entry, dict) else None
    checksum = entry.get("sha256") if isinstance(entry, dict) else None
    if type(size) is not int or not isinstance(checksum, str):
        raise _bad(folder, f"size or checksum of {name} is missing")
    try:
        status = (folder / name).stat()
    except FileNotFoundError:
        raise ModelFileError(f"{folder / name}: the file is missing. {_ADVICE}") from None
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError(f"{folder / name}: not a regular file. {_ADVICE}")
    if status.st_size != size:
        what = "truncated" if status.st_size < size else "longer than when it was written"
        raise ModelFileError(f"{folder / name}: {what} ({status.st_size} bytes, {size} expected). {_ADVICE}")
    return size, checksum


def _content(path: Path, size: int, checksum: str) -> np.ndarray:
    raw = np.fromfile(path, dtype=np.uint8, count=size)
    if len(raw) != size or hashlib.sha256(raw.data).hexdigest() != checksum:
        raise ModelFileError(f"{path}: its checksum is not the one in {MANIFEST_NAME}. {_ADVICE}")
    return raw


def _bad(folder: Path, what: str) -> ModelFileError:
    return ModelFileError(f"{folder}: {what}. {_ADVICE}")
