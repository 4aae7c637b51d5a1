"""Labels as numbers: what the rows say, which labels there are, and the arrays that a loss needs."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from unrolled.errors import TrainingError

#: Number of a dev label that training never saw.
UNSEEN = -1


class RawLabels:
    """Labels as they come from records, each distinct string stored once.

    Args:
        task: ``"single"``, ``"multi"`` or ``"regression"``.

    Attributes:
        names: distinct labels in the order in which they were met.
    """

    def __init__(self, task: str) -> None:
        self.task = task
        self.names: dict[str, int] = {}
        self._ids = array("i")
        self._counts = array("q")
        self._numbers = array("d")

    def append(self, label: str | float | list[str]) -> None:
        """Add the label of one row: a string, a list of strings or a number, as the task asks."""
        if self.task == "regression":
            self._numbers.append(float(label))  # type: ignore[arg-type]
            return
        several = label if isinstance(label, list) else [str(label)]
        for name in several:
            self._ids.append(self.names.setdefault(name, len(self.names)))
        self._counts.append(len(several))

    def numbered(self, labels: list[str]) -> Targets:
        """The arrays for a given list of labels; labels that are not in it count as unseen."""
        if self.task == "regression":
            return Targets(np.array(self._numbers, dtype=np.float64), None)
        place = {name: index for index, name in enumerate(labels)}
        order = np.array([place.get(name, UNSEEN) for name in self.names], dtype=np.int64)
        ids = (
            order[np.frombuffer(self._ids, dtype=np.int32)] if len(self._ids) else np.zeros(0, dtype=np.int64)
        )
        if self.task == "single":
            return Targets(ids, None)
        counts = np.array(self._counts, dtype=np.int64)
        row = np.repeat(np.arange(len(counts)), counts)
        values = np.zeros((len(counts), len(labels)), dtype=np.bool_)
        known = ids != UNSEEN
        values[row[known], ids[known]] = True
        return Targets(values, np.bincount(row[~known], minlength=len(counts)))


@dataclass(frozen=True)
class Targets:
    """What the model should answer.

    Attributes:
        values: single ``(rows,)`` int64 label numbers, ``UNSEEN`` where training has no such label;
            multi ``(rows, labels)`` bool; regression ``(rows,)`` float64.
        unseen: multi only, ``(rows,)``: labels of the row that training has not.
    """

    values: np.ndarray
    unseen: np.ndarray | None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.values)

    def select(self, rows: np.ndarray) -> Targets:
        """The targets of some rows."""
        return Targets(self.values[rows], None if self.unseen is None else self.unseen[rows])

    @property
    def unseen_rows(self) -> int:
        """Rows with a label that training has not."""
        if self.unseen is not None:
            return int((self.unseen > 0).sum())
        return int((self.values == UNSEEN).sum()) if self.values.dtype == np.int64 else 0


def check_learnable(task: str, labels: list[str], targets: Targets, name: str) -> None:
    """Refuse data from which nothing can be learned.

    Raises:
        TrainingError: all rows have the same answer.
    """
    if task == "single" and len(labels) < 2:
        raise TrainingError(
            f"{name}: every row has the label '{labels[0]}', so there is nothing to tell apart. "
            "Check the label column, or add rows of another class."
        )
    if task == "multi" and (not labels or (targets.values == targets.values[0]).all()):
        raise TrainingError(
            f"{name}: every row has the same labels, so there is nothing to tell apart. "
            "Check the label column and the separator between labels."
        )
    if task == "regression" and float(np.ptp(targets.values)) == 0.0:
        raise TrainingError(
            f"{name}: every row has the value {targets.values[0]:g}, so there is nothing to learn. "
            "Check the label column."
        )


def label_counts(labels: list[str], targets: Targets) -> dict[str, int]:
    """Rows of each label, in the order of the labels; empty for numbers."""
    if targets.values.dtype == np.float64:
        return {}
    if targets.values.dtype == np.bool_:
        counts = targets.values.sum(axis=0)
    else:
        counts = np.bincount(targets.values[targets.values != UNSEEN], minlength=len(labels))
    return dict(zip(labels, counts.tolist(), strict=True))
