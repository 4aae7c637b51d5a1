"""Token ids on disk: training corpora larger than memory.

A store is a folder with two plain ``.npy`` files, readable by numpy alone: ``ids.npy``, int32
``(total_tokens,)``, all sequences end to end, and ``offsets.npy``, int64 ``(sequences + 1,)``. Sequence
``i`` is ``ids[offsets[i]:offsets[i + 1]]``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np

from unrolled.errors import DataError
from unrolled.text.batch import SequenceBatch, gather_positions

_IDS, _OFFSETS = "ids.npy", "offsets.npy"
# Elements checked at a time when a store is opened, so that a large one is not read into memory at once.
_CHECK = 1 << 20


class TokenStoreWriter:
    """Writes a store, batch by batch.

    The files grow in a hidden folder beside the target, which takes the target's name in one step on
    :meth:`close`. Until then, and after a failure, the target is what it was. As a context manager it
    closes on success and throws the unfinished files away on an exception.

    Args:
        folder: where the store will be. An earlier store there is replaced.

    Raises:
        DataError: if ``folder`` exists and is not a store, or cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not _replaceable(self.folder):
            raise DataError(
                f"{self.folder} exists and is not a token store; choose another folder or remove it"
            )
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._draft = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}-", dir=self.folder.parent))
            self._ids = _GrowingArray(self._draft / _IDS, np.dtype(np.int32))
            self._offsets = _GrowingArray(self._draft / _OFFSETS, np.dtype(np.int64))
        except OSError as error:
            raise DataError(f"cannot write there: {error.strerror}", source=self.folder) from None
        self._offsets.append(np.zeros(1, dtype=np.int64))
        self._closed = False

    def append(self, batch: SequenceBatch) -> None:
        """Adds the sequences of a batch of ids.

        Raises:
            DataError: if the batch holds no int32 ids, or the disk is full.
            ValueError: if the writer is closed.
        """
        if self._closed:
            raise ValueError("this writer is closed")
        if batch.values.ndim != 1 or batch.values.dtype != np.int32:
            raise DataError(
                f"a token store takes int32 ids, got {batch.values.dtype} of shape {batch.values.shape}"
            )
        try:
            start = self._ids.size
            self._ids.append(batch.values)
            self._offsets.append(batch.offsets[1:] + start)
        except OSError as error:
            self.discard()
            raise DataError(f"cannot write: {error.strerror}", source=self.folder) from None

    def close(self) -> None:
        """Finishes the files and puts the store in place. A second call does nothing."""
        if self._closed:
            return
        try:
            self._ids.close()
            self._offsets.close()
            if self.folder.exists():
                # A folder with content cannot be replaced in one step; the old one is moved aside first.
                old = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}-", dir=self.folder.parent))
                self.folder.replace(old / "old")
                self._draft.replace(self.folder)
                shutil.rmtree(old, ignore_errors=True)
            else:
                self._draft.replace(self.folder)
        except OSError as error:
            self.discard()
            raise DataError(f"cannot write: {error.strerror}", source=self.folder) from None
        self._closed = True

    def discard(self) -> None:
        """Throws away what was written. Does nothing after :meth:`close`."""
        if not self._closed:
            self._closed = True
            self._ids.abandon()
            self._offsets.abandon()
            shutil.rmtree(self._draft, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


class TokenStore:
    """Reads a store through memory maps: opening costs no memory, a batch reads only its own tokens.

    Args:
        folder: a folder that :class:`TokenStoreWriter` made.

    Raises:
        DataError: if a file is missing, truncated, of another type, or the offsets do not fit the ids.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._ids = _mapped(self.folder / _IDS, np.dtype(np.int32))
        self._offsets = _mapped(self.folder / _OFFSETS, np.dtype(np.int64))
        size = len(self._offsets)
        if size == 0 or self._offsets[0] != 0 or self._offsets[-1] != len(self._ids):
            raise DataError(
                f"the offsets do not fit the {len(self._ids)} ids; write it anew", source=self.folder
            )
        for start in range(0, size, _CHECK):
            if (np.diff(self._offsets[start : start + _CHECK + 1]) < 0).any():
                raise DataError("the offsets go backwards; write it anew", source=self.folder / _OFFSETS)

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self._offsets) - 1

    @property
    def total(self) -> int:
        """Tokens in all sequences together."""
        return len(self._ids)

    @property
    def lengths(self) -> np.ndarray:
        """``(sequences,)`` int64, in memory."""
        return np.diff(self._offsets)

    def batch(self, indices: np.ndarray) -> SequenceBatch:
        """The sequences at ``indices``, in that order, copied into memory.

        Raises:
            IndexError: if an index is negative or beyond the last sequence.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        if chosen.size and (int(chosen.min()) < 0 or int(chosen.max()) >= len(self)):
            raise IndexError(
                f"indices from {chosen.min()} to {chosen.max()} for a store of {len(self)} sequences"
            )
        starts = np.asarray(self._offsets[chosen])
        lengths = np.asarray(self._offsets[chosen + 1]) - starts
        return SequenceBatch(np.asarray(self._ids[gather_positions(starts, lengths)]), lengths)


class _GrowingArray:
    """A one-dimensional ``.npy`` file of yet unknown length; the header is written again when it is known."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self.size = 0
        self._dtype = dtype
        self._file: IO[bytes] = path.open("wb")
        self._write_header()

    def append(self, values: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).data)
        self.size += len(values)

    def close(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        try:
            self._file.close()
        except OSError:  # a full disk refuses the last flush as well
            return

    def _write_header(self) -> None:
        # numpy leaves room in the header for the length to grow to 21 digits, so both headers have one size.
        np.lib.format.write_array_header_1_0(
            self._file,
            {"descr": self._dtype.newbyteorder("<").str, "fortran_order": False, "shape": (self.size,)},
        )


def _mapped(path: Path, dtype: np.dtype) -> np.ndarray:
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise DataError("no such file; this is not a token store", source=path) from None
    except (OSError, ValueError, EOFError, SyntaxError, OverflowError) as error:
        raise DataError(f"not a readable token file ({error}); write it anew", source=path) from None
    if array.ndim != 1 or array.dtype != dtype:
        raise DataError(f"expected a flat array of {dtype}; write it anew", source=path)
    return array


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and {entry.name for entry in folder.iterdir()} <= {_IDS, _OFFSETS}
