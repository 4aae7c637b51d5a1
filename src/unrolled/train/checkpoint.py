"""The state of a training on disk, from which it goes on as if it had never stopped.

A checkpoint is a folder of safetensors files and ``checkpoint.json``, which names the files that belong
together. Each file has a name of its own and is synced before ``checkpoint.json`` is replaced in one step;
only then are the older files deleted. So at any moment, even after a power cut, the folder holds one whole
checkpoint. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from unrolled.errors import TrainingError
from unrolled.train.files import sync_folder, write_atomically
from unrolled.train.tensorfile import write_tensors

_INDEX = "checkpoint.json"
_TOKENIZER = "tokenizer.json"
_FORMAT = "unrolled-checkpoint"
_VERSION = 1


class Checkpoint:
    """A folder that holds at most one checkpoint.

    Args:
        folder: need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    @property
    def exists(self) -> bool:
        """Whether there is a training to go on with."""
        return (self.folder / _INDEX).is_file()

    def begin(self, tokenizer_json: str) -> None:
        """Throw away an older checkpoint and keep the tokenizer of this training."""
        (self.folder / _INDEX).unlink(missing_ok=True)
        self._drop_all_but(set())
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / _TOKENIZER, tokenizer_json.encode("utf-8"))

    def keep(self, tensors: Mapping[str, Tensor]) -> str:
        """Write tensors for a later :meth:`commit`; the name of their file."""
        self._count += 1
        name = f"{self._count:06d}.safetensors"
        write_tensors(self.folder / name, tensors)
        return name

    def commit(self, content: Mapping[str, Any], state: Mapping[str, Tensor], kept: list[str]) -> None:
        """Replace the checkpoint.

        Args:
            content: plain values.
            state: tensors of the training in progress.
            kept: files of :meth:`keep` that belong to this checkpoint.
        """
        name = self.keep(state)
        sync_folder(self.folder)
        index = {
            "format": _FORMAT,
            "format_version": _VERSION,
            "count": self._count,
            "state": name,
            "kept": kept,
            "content": content,
        }
        write_atomically(self.folder / _INDEX, json.dumps(index, allow_nan=False).encode())
        self._drop_all_but({name, *kept})

    def load(self) -> tuple[dict[str, Any], str]:
        """The plain values of the last commit and the tokenizer.

        Raises:
            TrainingError: damaged, or of another version.
        """
        try:
            index = json.loads((self.folder / _INDEX).read_text(encoding="utf-8"))
            tokenizer = (self.folder / _TOKENIZER).read_text(encoding="utf-8")
            if index["format"] != _FORMAT or index["format_version"] != _VERSION:
                raise TrainingError(
                    f"{self.folder}: a checkpoint of another version of Unrolled. Go on with the version "
                    "that wrote it, or train again with overwrite."
                )
            self._count = int(index["count"])
            content = index["content"]
            if not isinstance(content, dict):
                raise TypeError("no content")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from None
        return content, tokenizer

    def tensors(self, name: str | None = None) -> dict[str, Tensor]:
        """Tensors of the state, or of a kept file; they lie in the file until they are copied.

        Raises:
            TrainingError: damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            if name is None:
                name = json.loads((self.folder / _INDEX).read_text(encoding="utf-8"))["state"]
            if Path(str(name)).name != name:
                raise ValueError(f"{name} is not a file of the checkpoint")
            tensors: dict[str, Tensor] = load_file(self.folder / name)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise self._damaged(error) from None
        return tensors

    def remove(self) -> None:
        """Delete the folder: the training has ended well."""
        (self.folder / _INDEX).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _drop_all_but(self, names: set[str]) -> None:
        for path in self.folder.glob("*.safetensors"):
            if path.name not in names:
                path.unlink(missing_ok=True)

    def _damaged(self, error: Exception) -> TrainingError:
        return TrainingError(
            f"{self.folder}: the checkpoint is damaged ({error}). Train again with overwrite."
        )


def differences(saved: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs between two nested mappings of plain values, one ``name: old -> new`` each."""
    found = []
    for name in sorted({*saved, *now}):
        old, new = saved.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{prefix}{name}.")
        elif old != new:
            found.append(f"{prefix}{name}: {_short(old)} -> {_short(new)}")
    return found


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:16] + "..."
