"""The folder a vector training writes to: the vectors, and the checkpoint while they are not done."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from unrolled.embed.checkpoint import VectorCheckpoint
from unrolled.embed.saved import is_vector_folder
from unrolled.errors import TrainingError


def prepare_output(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Make the folder, unless there is something in it that must not be lost.

    An unfinished training that is to be overwritten stays until the new one has read its text.

    Raises:
        TrainingError: it holds vectors, an unfinished training or other files, and nobody said what to do.
    """
    if folder.suffix.lower() == ".zip":
        raise TrainingError(f"{folder}: word vectors are saved as a folder. Give a name without .zip.")
    if os.path.lexists(folder) and not folder.is_dir():
        raise TrainingError(f"{folder}: exists and is not a folder. Give another name.")
    names = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    checkpoint = VectorCheckpoint(folder / "checkpoint")
    finished = is_vector_folder(folder)
    if names - {"checkpoint"} and not finished:
        other = sorted(names - {"checkpoint"})[0]
        raise TrainingError(
            f"{folder}: the folder holds other files ('{other}') and no word vectors. "
            "Give a new or empty folder."
        )
    if checkpoint.exists and not (resume or overwrite):
        raise TrainingError(
            f"{folder}: holds an unfinished training. Go on with it (resume), or throw it away and "
            "start anew (overwrite)."
        )
    if finished and not checkpoint.exists and not overwrite:
        state = "its training is finished, there is nothing to resume" if resume else "holds vectors already"
        raise TrainingError(f"{folder}: {state}. Give another folder, or replace the vectors (overwrite).")
    if not checkpoint.exists:
        checkpoint.remove()  # what a training left that was killed while it read the text
    try:
        checkpoint.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be made ({error.strerror}). Give another folder.") from None


def discard_output(folder: Path, *, new: bool) -> None:
    """Remove what a training that failed has left, unless there is a state to go on from.

    Args:
        folder: of the training.
        new: whether the training made the folder; it then goes too, if nothing else is in it.
    """
    checkpoint = VectorCheckpoint(folder / "checkpoint")
    if checkpoint.exists:
        return
    checkpoint.remove()
    if new:
        with suppress(OSError):
            folder.rmdir()
