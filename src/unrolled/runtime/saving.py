"""Writing a model so that a crash at any moment leaves the old model or the new one, never half of one."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.errors import ModelFileError
from unrolled.runtime.files import SavedModel, all_finite
from unrolled.runtime.manifest import (
    FILE_NAMES,
    MANIFEST_NAME,
    TOKENIZER_NAME,
    WEIGHTS_NAME,
    Manifest,
)
from unrolled.storage import tensors
from unrolled.storage.files import replace_folder, sync_folder, write_synced
from unrolled.storage.strict_json import fingerprint

_TYPES = {"F32": np.float32, "F16": np.float16, "I32": np.int32, "I8": np.int8}


def save_model(
    path: str | os.PathLike[str],
    manifest: Mapping[str, Any],
    tokenizer_json: str,
    weights: Mapping[str, np.ndarray],
) -> None:
    """Write a model as a folder, or as a zip if the name ends in ``.zip``.

    Written under a temporary name beside the target, synced to disk, then renamed. An older model of that
    name is replaced in the same instant; anything else of that name is left alone.

    Args:
        path: of the folder or zip; missing parent folders are made.
        manifest: content of ``model.json``; ``files`` and ``checksum`` are filled in here.
        tokenizer_json: content of ``tokenizer.json``.
        weights: name -> float array; embedding tables are converted to ``manifest["storage"]["embedding"]``,
            all else to float32. If the n-gram hasher keeps only some buckets, these come as ``ngrams.kept``,
            int32, and their number as ``manifest["ngram_rows"]``.

    Raises:
        ModelFileError: the target is something other than a model, the disk is full or write-protected,
            weights are missing, of a wrong shape, or not finite.
    """
    target = Path(path)
    model = as_saved_model(manifest, tokenizer_json, weights)
    packed = target.suffix.lower() == ".zip"
    try:
        _refuse_other_things(target, packed)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{target.name}.", suffix=".part", dir=target.parent
        ) as temporary:
            folder = Path(temporary) / "model"
            folder.mkdir()
            _write_folder(folder, model)
            if packed:
                archive = Path(temporary) / "model.zip"
                _write_zip(archive, folder)
                archive.replace(target)
            else:
                replace_folder(folder, target, Path(temporary), (MANIFEST_NAME, *FILE_NAMES))
            sync_folder(target.parent)
    except OSError as error:
        raise ModelFileError(
            f"{target}: the model cannot be written ({error.strerror or error}). "
            "Check free space and rights, or give another folder."
        ) from None


def as_saved_model(
    manifest: Mapping[str, Any],
    tokenizer_json: str,
    weights: Mapping[str, np.ndarray],
    where: str = "the new model",
) -> SavedModel:
    """The parts of a model, checked and converted to the types in which they are stored.

    Raises:
        ModelFileError: the parts do not fit together, or a weight is not finite.
    """
    checked = Manifest.check(json.loads(json.dumps(dict(manifest))), where)
    shapes, dtypes = checked.shapes, checked.dtypes
    if set(weights) != set(shapes):
        odd = sorted(set(weights) ^ set(shapes))
        raise ModelFileError(
            f"{where}: its weights do not fit its options: '{odd[0]}' is missing or superfluous."
        )
    stored: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        array = np.asarray(weights[name])
        if array.shape != shape:
            raise ModelFileError(f"{where}: '{name}' has shape {array.shape}; the options ask for {shape}.")
        with np.errstate(over="ignore"):
            stored[name] = np.ascontiguousarray(array, dtype=_TYPES[dtypes[name]])
        if not all_finite(stored[name]):
            hint = ", or too large for float16: store float32" if dtypes[name] == "F16" else ""
            raise ModelFileError(f"{where}: '{name}' holds values that are not finite numbers{hint}.")
    return SavedModel(checked, tokenizer_json, stored, None)


def _refuse_other_things(target: Path, packed: bool) -> None:
    """Never replace what is not a model."""
    if not os.path.lexists(target):
        return
    if packed:
        if not zipfile.is_zipfile(target):
            raise ModelFileError(f"{target}: exists and is not a zip of a model. Give another name.")
        return
    if not target.is_dir() or target.is_symlink():
        raise ModelFileError(f"{target}: exists and is not a folder. Give another name.")
    names = {entry.name for entry in target.iterdir()}
    if names and MANIFEST_NAME not in names:
        raise ModelFileError(
            f"{target}: the folder holds other files and no model. Give a new or empty folder."
        )


def _write_folder(folder: Path, model: SavedModel) -> None:
    listed = {
        TOKENIZER_NAME: write_synced(folder / TOKENIZER_NAME, [model.tokenizer_json.encode("utf-8")]),
        WEIGHTS_NAME: write_synced(folder / WEIGHTS_NAME, tensors.file_parts(model.weights)),
    }
    content: dict[str, Any] = {**model.manifest.raw, "files": listed}
    content["checksum"] = fingerprint(content)
    text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    write_synced(folder / MANIFEST_NAME, [text.encode("utf-8")])
    sync_folder(folder)


def _write_zip(path: Path, folder: Path) -> None:
    with path.open("wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name in (MANIFEST_NAME, *FILE_NAMES):
                # Weights do not shrink; stored as they are, they are read at the speed of a folder.
                kind = zipfile.ZIP_STORED if name == WEIGHTS_NAME else zipfile.ZIP_DEFLATED
                archive.write(folder / name, name, compress_type=kind)
        file.flush()
        os.fsync(file.fileno())
