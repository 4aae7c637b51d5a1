"""Files and folders that are either the old ones or the new ones, whenever the machine stops."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write_synced(path: Path, parts: Iterable[bytes | memoryview]) -> dict[str, Any]:
    """Write and sync one file; its size and checksum, as ``{"bytes": ..., "sha256": ...}``."""
    digest = hashlib.sha256()
    size = 0
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
            digest.update(part)
            size += len(part)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": size, "sha256": digest.hexdigest()}


def write_atomically(path: Path, parts: Iterable[bytes | memoryview]) -> dict[str, Any]:
    """Write under a temporary name, sync, rename. Returns what :func:`write_synced` does.

    Raises:
        OSError: the disk is full or may not be written to; the old file, if any, is as it was.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        written = write_synced(temporary, parts)
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return written


def replace_folder(new: Path, target: Path, attic: Path, own: Collection[str]) -> None:
    """Put ``new`` at ``target`` in one step, where the system can do that.

    Args:
        new: the complete new folder.
        target: the folder's place. What stood there ends at ``new`` or in ``attic``, to be deleted.
        attic: a temporary folder on the same file system.
        own: names of the files that are replaced; others in the old folder are kept.
    """
    if not target.exists():
        new.rename(target)
        return
    kept = [entry for entry in target.iterdir() if entry.name not in own]
    if _exchange(new, target):
        old = new
    else:  # no such system call: for a moment there is no folder, and the old one lies in the attic
        old = attic / "old"
        target.rename(old)
        new.rename(target)
    for entry in kept:  # the user's notes, training logs and checkpoints stay
        shutil.move(old / entry.name, target / entry.name)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders in one step (Linux ``renameat2``); false where that cannot be done."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    rename.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    done: int = rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return done == 0


def sync_folder(folder: Path) -> None:
    """Make renames durable; Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
