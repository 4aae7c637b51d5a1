"""The folder a training writes to: the model, its log, and the checkpoint while it is not done."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.errors import TrainingError
from unrolled.runtime import save_model
from unrolled.runtime.manifest import FILE_NAMES, MANIFEST_NAME
from unrolled.train.checkpoint import Checkpoint
from unrolled.train.files import sync_folder


class OutputFolder:
    """Where a model and all that belongs to its training go.

    Args:
        folder: of the model.

    Attributes:
        checkpoint_folder: ``checkpoint/``, removed when the model is complete.
        log_folder: ``training/``: log and learning curve.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint_folder = folder / "checkpoint"
        self.log_folder = folder / "training"
        self._made = False

    def prepare(self, *, resume: bool, overwrite: bool) -> None:
        """Make the folder, unless there is something in it that must not be lost.

        Raises:
            TrainingError: it holds a model, an unfinished training or other files, and nobody said what to
                do.
        """
        if self.folder.suffix.lower() == ".zip":
            raise TrainingError(
                f"{self.folder}: a training needs a folder. Train into one, then save() it as a zip."
            )
        try:
            names = {entry.name for entry in self.folder.iterdir()} if os.path.lexists(self.folder) else set()
        except OSError:
            raise TrainingError(f"{self.folder}: exists and is not a folder. Give another name.") from None
        unfinished = Checkpoint(self.checkpoint_folder).exists
        foreign = names - {MANIFEST_NAME, *FILE_NAMES, "checkpoint", "training"}
        if foreign and MANIFEST_NAME not in names and not unfinished:
            raise TrainingError(
                f"{self.folder}: the folder holds other files ('{sorted(foreign)[0]}') and no model. "
                "Give a new or empty folder."
            )
        if unfinished and not (resume or overwrite):
            raise TrainingError(
                f"{self.folder}: holds an unfinished training. Go on with it (resume), or throw it away and "
                "start anew (overwrite)."
            )
        if MANIFEST_NAME in names and not unfinished and not overwrite:
            state = (
                "its training is finished, there is nothing to resume" if resume else "holds a model already"
            )
            raise TrainingError(
                f"{self.folder}: {state}. Give another folder, or replace the model (overwrite)."
            )
        self._made = not os.path.lexists(self.folder)
        try:
            self.checkpoint_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(
                f"{self.folder}: cannot be made ({error.strerror}). Give another folder."
            ) from None
        if not resume:
            Checkpoint(self.checkpoint_folder).remove()
            self.checkpoint_folder.mkdir()

    def clean(self) -> None:
        """After a training, also one that failed: leave nothing but a model, and what can be resumed."""
        shutil.rmtree(self.checkpoint_folder / "corpus", ignore_errors=True)
        checkpoint = Checkpoint(self.checkpoint_folder)
        if not checkpoint.exists:
            checkpoint.remove()
        if self._made:
            with contextlib.suppress(OSError):  # there is something in it
                self.folder.rmdir()

    def publish(
        self, manifest: Mapping[str, Any], tokenizer_json: str, weights: Mapping[str, np.ndarray]
    ) -> None:
        """Put the finished model in place, then remove the checkpoint.

        A new model's ``model.json`` comes last, so that a folder with one is complete. An older model is
        exchanged for the new one in one step.
        """
        if (self.folder / MANIFEST_NAME).exists():
            save_model(self.folder, manifest, tokenizer_json, weights)
        else:
            draft = self.checkpoint_folder / "model"
            save_model(draft, manifest, tokenizer_json, weights)
            for name in (*FILE_NAMES, MANIFEST_NAME):
                (draft / name).replace(self.folder / name)
            sync_folder(self.folder)
        Checkpoint(self.checkpoint_folder).remove()
