"""Files of a training that are either the old one or the new one, whenever the machine stops."""

from __future__ import annotations

from pathlib import Path

from unrolled.errors import TrainingError
from unrolled.storage import files
from unrolled.storage.files import sync_folder

__all__ = ["sync_folder", "write_atomically"]


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name, sync, rename.

    Raises:
        TrainingError: the disk is full or may not be written to.
    """
    try:
        files.write_atomically(path, [content])
    except OSError as error:
        raise TrainingError(
            f"{path}: cannot be written ({error.strerror or error}). Check free space and rights."
        ) from None
