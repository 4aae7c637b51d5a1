"""Reading a saved model: a folder, or a zip of one. Nothing is executed, nothing unpacked to disk.

Integrity: every file is read once into memory, its size checked before and its SHA-256 after reading. What
was checked is what is used; nobody can change it underneath, as with a memory map. On a current processor
this costs about 0.7 ms a megabyte.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from unrolled.errors import ModelFileError
from unrolled.runtime.manifest import (
    FILE_NAMES,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    TOKENIZER_NAME,
    WEIGHTS_NAME,
    Manifest,
)
from unrolled.storage import tensors

if TYPE_CHECKING:
    import zipfile

# No honest packer shrinks weights or JSON this much.
_MAX_ZIP_RATIO = 200
_ADVICE = "Copy the model again, or train it again."


@dataclass(frozen=True)
class SavedModel:
    """A saved model in memory.

    Attributes:
        manifest: the checked ``model.json``.
        tokenizer_json: the content of ``tokenizer.json``.
        weights: name -> array as stored (float32; embedding tables may be float16), finite throughout.
        path: where it was read from, ``None`` if it was never saved.
    """

    manifest: Manifest
    tokenizer_json: str
    weights: dict[str, np.ndarray]
    path: Path | None


def load_model(path: str | os.PathLike[str]) -> SavedModel:
    """Read and check a model.

    Raises:
        ModelFileError: there is no model, or it is damaged, truncated, hostile, or of a newer format.
    """
    place = Path(path)
    try:
        if place.is_dir():
            return _read(place, _FolderSource(place))
        if not place.exists():
            raise ModelFileError(_missing(place))
        return _load_zip(place)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelFileError(f"{str(place)[:500]}: cannot be read ({reason}).") from None
    except MemoryError:
        raise ModelFileError(f"{place}: the model does not fit into memory.") from None


class _FolderSource:
    """The files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def name(self, file: str) -> str:
        return str(self._folder / file)

    def size(self, file: str) -> int:
        """Bytes of the file.

        Raises:
            ModelFileError: missing, or not a regular file (a pipe would block for ever).
        """
        try:
            status = (self._folder / file).stat()
        except FileNotFoundError:
            if file == MANIFEST_NAME:
                raise ModelFileError(_no_model(self._folder)) from None
            raise ModelFileError(f"{self.name(file)}: the file is missing. {_ADVICE}") from None
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError(f"{self.name(file)}: not a regular file. {_ADVICE}")
        return status.st_size

    def open(self, file: str) -> IO[bytes]:
        return (self._folder / file).open("rb", buffering=0)


class _ZipSource:
    """The files of a zip, at its top or in one folder of it."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        entries: dict[str, zipfile.ZipInfo] = {}
        for entry in archive.infolist():
            if entry.filename in entries:
                raise ModelFileError(f"{path}: holds '{entry.filename[:80]}' twice. {_ADVICE}")
            entries[entry.filename] = entry
        tops = [name[: -len(MANIFEST_NAME)] for name in entries if _is_manifest(name)]
        if len(tops) != 1:
            found = "no" if not tops else "more than one"
            raise ModelFileError(
                f"{path}: this zip holds {found} {MANIFEST_NAME}. Give the zip of one model's folder."
            )
        self._entries = {
            file: entries[tops[0] + file]
            for file in (MANIFEST_NAME, *FILE_NAMES)
            if tops[0] + file in entries
        }

    def name(self, file: str) -> str:
        return f"{self._path}/{file}"

    def size(self, file: str) -> int:
        entry = self._entries.get(file)
        if entry is None:
            raise ModelFileError(f"{self.name(file)}: the file is missing. {_ADVICE}")
        if entry.file_size > _MAX_ZIP_RATIO * entry.compress_size + 4096:
            raise ModelFileError(f"{self.name(file)}: said to unpack to {entry.file_size} bytes; refused.")
        return entry.file_size

    def open(self, file: str) -> IO[bytes]:
        return self._archive.open(self._entries[file])


def _is_manifest(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return file == MANIFEST_NAME and "/" not in folder and folder != "__MACOSX"


def _load_zip(path: Path) -> SavedModel:
    if path.name in (MANIFEST_NAME, *FILE_NAMES):
        raise ModelFileError(f"{path}: this is one file of a model. Give its folder: {path.parent}")
    if not stat.S_ISREG(path.stat().st_mode):
        raise ModelFileError(f"{path}: neither a folder nor a zip file.")
    import zipfile  # not at the top: a folder is read in less time than this module takes to import

    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            raise ModelFileError(
                f"{path}: not a model. Give the folder that training wrote, or a .zip of it."
            )
        try:
            with zipfile.ZipFile(file) as archive:
                return _read(path, _ZipSource(path, archive))
        except (ModelFileError, MemoryError):
            raise
        except Exception as error:
            # zipfile answers damage with a dozen kinds of exception (BadZipFile, zlib.error, EOFError,
            # NotImplementedError, RuntimeError, UnicodeDecodeError, struct.error, ...), not all documented.
            detail = f"{type(error).__name__}: {error}"[:200]
            raise ModelFileError(
                f"{path}: the zip is damaged or of an unknown kind ({detail}). {_ADVICE}"
            ) from None


def _read(path: Path, source: _FolderSource | _ZipSource) -> SavedModel:
    where = source.name(MANIFEST_NAME)
    size = source.size(MANIFEST_NAME)
    if size > MAX_MANIFEST_BYTES:
        raise ModelFileError(f"{where}: {size} bytes are more than any model.json has; refused.")
    manifest = Manifest.parse(_bytes(source, MANIFEST_NAME, size).tobytes(), where)
    files = manifest.files(where)
    for name, (expected, _) in files.items():
        found = source.size(name)
        if found != expected:
            what = "truncated" if found < expected else "longer than when it was written"
            raise ModelFileError(
                f"{source.name(name)}: {what} ({found} bytes, {expected} expected). {_ADVICE}"
            )
    tokenizer = _checked(source, TOKENIZER_NAME, *files[TOKENIZER_NAME]).tobytes()
    try:
        tokenizer_json = tokenizer.decode("utf-8")
    except UnicodeDecodeError:
        raise ModelFileError(f"{source.name(TOKENIZER_NAME)}: not UTF-8 text. {_ADVICE}") from None
    raw = _checked(source, WEIGHTS_NAME, *files[WEIGHTS_NAME])
    weights = _weights(manifest, raw, source.name(WEIGHTS_NAME))
    return SavedModel(manifest, tokenizer_json, weights, path)


def _bytes(source: _FolderSource | _ZipSource, name: str, size: int) -> np.ndarray:
    """Exactly ``size`` bytes of the file; its size was checked before."""
    content = np.empty(size, dtype=np.uint8)
    view = content.data
    filled = 0
    with source.open(name) as file:
        while filled < size:
            # At most 1 MiB a call: a zip entry is unpacked in pieces, never whole beside the array.
            part = file.read(min(size - filled, 1 << 20)) if isinstance(source, _ZipSource) else None
            if part is None:
                count = file.readinto(view[filled:])  # type: ignore[attr-defined]
            else:
                count = len(part)
                view[filled : filled + count] = part
            if not count:
                raise ModelFileError(f"{source.name(name)}: truncated at byte {filled} of {size}. {_ADVICE}")
            filled += count
        if isinstance(source, _ZipSource) and file.read(1):
            raise ModelFileError(f"{source.name(name)}: longer than the {size} bytes it is said to have.")
    return content


def _checked(source: _FolderSource | _ZipSource, name: str, size: int, digest: str) -> np.ndarray:
    content = _bytes(source, name, size)
    if hashlib.sha256(content.data).hexdigest() != digest:
        raise ModelFileError(
            f"{source.name(name)}: its checksum is not the one in {MANIFEST_NAME}. The file is damaged, or "
            f"belongs to another model. {_ADVICE}"
        )
    return content


def _weights(manifest: Manifest, raw: np.ndarray, where: str) -> dict[str, np.ndarray]:
    payload_size = tensors.payload_bytes(manifest.shapes, manifest.dtypes)
    header_size = int.from_bytes(raw[:8].tobytes(), "little")
    if header_size != len(raw) - 8 - payload_size:
        raise ModelFileError(f"{where}: its header does not fit its size. {_ADVICE}")
    payload = raw[8 + header_size :]
    if header_size % 8:
        payload = payload.copy()  # other writers need not align
    try:
        header = tensors.read_header(raw[8 : 8 + header_size].tobytes())
        weights = tensors.views(header, payload, manifest.shapes, manifest.dtypes)
    except tensors.TensorFileError as error:
        raise ModelFileError(f"{where}: {error}. {_ADVICE}") from None
    for name, array in weights.items():
        if not all_finite(array):
            raise ModelFileError(
                f"{where}: '{name}' holds values that are not finite numbers. Train the model again."
            )
    return weights


def all_finite(array: np.ndarray) -> bool:
    """No NaN and no infinity. Fast for float16, of which numpy knows no vector instructions."""
    if array.dtype == np.float16 and array.size:
        return int((array.view(np.uint16) & np.uint16(0x7FFF)).max()) < 0x7C00
    return bool(np.isfinite(array).all())


def _no_model(folder: Path) -> str:
    """A folder without model.json: perhaps a model lies right inside or beside it."""
    with contextlib.suppress(OSError):
        inside = sorted(entry.name for entry in folder.iterdir() if (entry / MANIFEST_NAME).is_file())
        if inside:
            return f"{folder}: no model ({MANIFEST_NAME} is missing). Did you mean '{folder / inside[0]}'?"
    return f"{folder}: no model ({MANIFEST_NAME} is missing). Give the folder that training wrote."


def _missing(path: Path) -> str:
    try:
        siblings = sorted(entry.name for entry in path.parent.iterdir() if _may_be_model(entry))
    except OSError:
        return f"{path}: there is no such model; the folder '{path.parent}' does not exist either."
    near = difflib.get_close_matches(path.name, siblings, n=1, cutoff=0.5)
    if near:
        return f"{path}: there is no such model. Did you mean '{path.parent / near[0]}'?"
    if siblings:
        shown = ", ".join(f"'{name}'" for name in siblings[:5])
        return f"{path}: there is no such model. Models here: {shown}."
    return (
        f"{path}: there is no such model. Train one with: unrolled train classify --train FILE --out FOLDER"
    )


def _may_be_model(entry: Path) -> bool:
    return entry.suffix == ".zip" or (entry / MANIFEST_NAME).is_file()
