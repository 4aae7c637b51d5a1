"""The text as numbers, read from disk as training needs it; and memory that is not needed any more."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import sys
from pathlib import Path

import numpy as np


def give_back_memory() -> None:
    """Return what was freed to the system, where the C library keeps it otherwise (glibc)."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


class MappedNumbers:
    """A file of int32, mapped into memory for reading.

    Args:
        path: of the file, which is not empty.

    Attributes:
        numbers: ``(entries,)`` int32.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        size = np.dtype(np.int32).itemsize
        self.numbers = np.frombuffer(self._map, dtype=np.int32, count=len(self._map) // size)

    def release(self) -> None:
        """Let go of the pages that were read.

        They stay in the system's cache as long as that has room, but are no memory of the process.
        """
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
