"""The state of a vector training on disk, from which it goes on as if it had never stopped.

A folder with the text as numbers (``corpus.ids``), the vocabulary (``vocabulary.json``), and the state
(``state.json``, which names the file of the tables that belongs to it). Each file of tables has a name of its
own and is synced before ``state.json`` is replaced in one step.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.embed.counting import Counted
from unrolled.errors import TrainingError
from unrolled.storage import tensors
from unrolled.storage.files import write_atomically
from unrolled.storage.strict_json import StrictJsonError, parse_object

_FORMAT = "unrolled-vectors-checkpoint"
_VERSION = 1
_STATE = "state.json"
_VOCABULARY = "vocabulary.json"


class VectorCheckpoint:
    """A folder that holds at most one state.

    Args:
        folder: need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    @property
    def exists(self) -> bool:
        """Whether there is a training to go on with."""
        return (self.folder / _STATE).is_file()

    @property
    def corpus(self) -> Path:
        """The text as numbers."""
        return self.folder / "corpus.ids"

    @property
    def new_corpus(self) -> Path:
        """Where the text is written as numbers until :meth:`begin` takes it."""
        return self.folder / "new-corpus.ids"

    def begin(self, counted: Counted, options: Mapping[str, Any]) -> None:
        """Keep text and vocabulary of a new training, and the state in which nothing is trained yet.

        A state that was there is thrown away only now.
        """
        content = dataclasses.asdict(counted) | {"counts": counted.counts.tolist()}
        self._count = 0
        (self.folder / _STATE).unlink(missing_ok=True)
        self.new_corpus.replace(self.corpus)
        self._write(_VOCABULARY, content)
        self._commit({"options": dict(options), "epoch": 0, "place": 0, "seconds": 0.0}, None)

    def vocabulary(self) -> Counted:
        """The vocabulary that :meth:`begin` kept.

        Raises:
            TrainingError: damaged.
        """
        try:
            content = parse_object((self.folder / _VOCABULARY).read_bytes())
            counted = Counted(**{**content, "counts": np.array(content["counts"], dtype=np.int64)})
            words, counts = counted.words, counted.counts
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise TypeError(f"{_VOCABULARY} holds no list of words")
            if len(words) < 2 or counts.shape != (len(words),) or counts.min() < 1:
                raise ValueError(f"the counts in {_VOCABULARY} do not fit its words")
            for name in ("tokens", "kept_tokens", "types", "forgotten", "entries"):
                _number(getattr(counted, name), name, int)
            return counted
        except (OSError, StrictJsonError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise self.damaged(error) from None

    def save(self, state: Mapping[str, Any], tables: Mapping[str, np.ndarray]) -> None:
        """Replace the state.

        Args:
            state: plain values.
            tables: name -> float32 array.
        """
        self._count += 1
        name = f"{self._count:06d}.safetensors"
        self._guarded(self.folder / name, tensors.file_parts(tables))
        self._commit(state, name)

    def state(self) -> dict[str, Any]:
        """The plain values of the last state.

        Raises:
            TrainingError: damaged, or of another version.
        """
        try:
            index = parse_object((self.folder / _STATE).read_bytes())
            if index["format"] != _FORMAT or index["format_version"] != _VERSION:
                raise TrainingError(
                    f"{self.folder}: a checkpoint of another version of Unrolled. Go on with the version "
                    "that wrote it, or train again with overwrite."
                )
            self._count = _number(index["count"], "count", int)
            state = index["state"]
            if not isinstance(state, dict) or not isinstance(state["options"], dict):
                raise TypeError(f"{_STATE} holds no state")
            for name, kind in (("epoch", int), ("place", int), ("seconds", float)):
                _number(state[name], name, kind)
            return state
        except (OSError, StrictJsonError, KeyError, TypeError, ValueError) as error:
            raise self.damaged(error) from None

    def fill(self, tables: Mapping[str, np.ndarray]) -> None:
        """Read the tables of the last state into arrays, which stay as they are if none was saved.

        Raises:
            TrainingError: damaged, or of other shapes.
        """
        try:
            name = parse_object((self.folder / _STATE).read_bytes())["tables"]
            if name is None:
                return
            file = self.folder / Path(str(name)).name
            raw = np.memmap(file, dtype=np.uint8, mode="r")
            size = int.from_bytes(raw[:8].tobytes(), "little")
            if size > tensors.MAX_HEADER_BYTES:
                raise ValueError("its header is too long")
            header = tensors.read_header(raw[8 : 8 + size].tobytes())
            shapes = {key: array.shape for key, array in tables.items()}
            found = tensors.views(header, raw[8 + size :], shapes, dict.fromkeys(tables, "F32"))
            for key, array in tables.items():
                array[...] = found[key]
        except (OSError, StrictJsonError, tensors.TensorFileError, KeyError, TypeError, ValueError) as error:
            raise self.damaged(error) from None

    def remove(self) -> None:
        """Delete the folder: the training has ended well, or is thrown away."""
        (self.folder / _STATE).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _commit(self, state: Mapping[str, Any], name: str | None) -> None:
        index = {
            "format": _FORMAT,
            "format_version": _VERSION,
            "count": self._count,
            "tables": name,
            "state": dict(state),
        }
        self._write(_STATE, index)
        for path in self.folder.glob("*.safetensors"):
            if path.name != name:
                path.unlink(missing_ok=True)

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        text = json.dumps(content, allow_nan=False)
        self._guarded(self.folder / name, [text.encode("utf-8", "surrogatepass")])

    def _guarded(self, path: Path, parts: Any) -> None:
        try:
            write_atomically(path, parts)
        except OSError as error:
            raise TrainingError(
                f"{path}: cannot be written ({error.strerror or error}). Check free space and rights."
            ) from None

    def damaged(self, error: Exception) -> TrainingError:
        """What to raise where something in the folder cannot be as it is."""
        return TrainingError(
            f"{self.folder}: the checkpoint is damaged ({error}). Train again with overwrite."
        )


def _number(value: Any, name: str, kind: type[int | float]) -> Any:
    """A number that is not negative, of a type that may be written without a point."""
    if isinstance(value, bool) or not isinstance(value, (int, kind)) or not 0 <= value < 1 << 62:
        raise ValueError(f"'{name}' is {str(value)[:40]}")
    return value
