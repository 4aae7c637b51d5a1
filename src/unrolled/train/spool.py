"""Labelled texts read once and kept on disk, so that pipes and generators can be gone over again."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from unrolled.data.records import Record
from unrolled.errors import DataError
from unrolled.train.targets import RawLabels

_BLOCK_TEXTS = 2048


class Spool:
    """One pass over records: the texts go to a file, the labels and a hash of each text stay in memory.

    Args:
        records: labelled records; their readers report bad rows.
        folder: where the file of texts is written.
        name: of the data, for messages.
        task: ``"single"``, ``"multi"`` or ``"regression"``.

    Attributes:
        labels: of all rows.
        hashes: ``(rows,)`` uint64, of each text; equal texts have equal hashes.
        sha256: of all texts and labels in order: the same for the same data in any file format.

    Raises:
        DataError: there are no rows, or a record has no label.
    """

    def __init__(self, records: Iterable[Record], folder: Path, *, name: str, task: str) -> None:
        self.name = name
        self.labels = RawLabels(task)
        self._file = folder / "texts"
        self._ends = array("q", [0])
        hashes = array("Q")
        digest = hashlib.sha256()
        try:
            with self._file.open("wb") as out:
                for record in records:
                    if record.label is None:
                        raise DataError("a label is needed for training", source=name, line=record.line)
                    text = record.text.encode("utf-8", "surrogatepass")
                    out.write(text)
                    self._ends.append(self._ends[-1] + len(text))
                    hashes.append(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))
                    self.labels.append(record.label)
                    label = repr(record.label).encode("utf-8", "surrogatepass")
                    digest.update(b"%d %d\n%b%b" % (len(text), len(label), text, label))
        except OSError as error:
            raise DataError(f"cannot write the texts: {error.strerror}", source=self._file) from None
        if len(hashes) == 0:
            raise DataError("there are no rows to learn from: check the file and its columns", source=name)
        self.hashes = np.frombuffer(hashes, dtype=np.uint64)
        self.sha256 = digest.hexdigest()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._ends) - 1

    def texts(self, rows: np.ndarray) -> Iterator[str]:
        """The texts of some rows.

        Args:
            rows: row numbers from 0, ascending.
        """
        with self._file.open("rb") as file:
            for row in rows.tolist():
                file.seek(self._ends[row])
                yield file.read(self._ends[row + 1] - self._ends[row]).decode("utf-8", "surrogatepass")

    def blocks(self) -> Iterator[list[str]]:
        """All texts in order, in lists of bounded length."""
        with self._file.open("rb") as file:
            for start in range(0, len(self), _BLOCK_TEXTS):
                ends = self._ends[start : start + _BLOCK_TEXTS + 1]
                yield [file.read(b - a).decode("utf-8", "surrogatepass") for a, b in pairwise(ends)]

    def remove(self) -> None:
        """Delete the file of texts."""
        self._file.unlink(missing_ok=True)
