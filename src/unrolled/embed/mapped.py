"""The text as numbers, read from disk as training needs it."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np


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
