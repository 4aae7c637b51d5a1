"""Files that are either the old one or the new one, whenever the machine stops."""

from __future__ import annotations

import os
from pathlib import Path

from unrolled.errors import TrainingError


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name, sync, rename.

    Raises:
        TrainingError: the disk is full or may not be written to.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TrainingError(
            f"{path}: cannot be written ({error.strerror or error}). Check free space and rights."
        ) from None


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
