"""The course of a training: one row an epoch, as CSV, as JSON and as a picture."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from unrolled.train.files import write_atomically


@dataclass(frozen=True)
class Epoch:
    """One epoch of one member.

    Attributes:
        member, epoch: from 1.
        step: steps made by this member.
        train_loss: mean over the epoch, as it was minimised (dropout, smoothing and class weights included).
        dev_loss: of the weights that are judged; class weights included, dropout and smoothing not.
        dev_score: larger is better.
        learning_rate: at the epoch's last step.
        gradient_norm: mean before clipping.
        tokens_per_second: of the training steps.
        seconds: since the training began, interruptions left out.
        best: better than all epochs before.
    """

    member: int
    epoch: int
    step: int
    train_loss: float
    dev_loss: float
    dev_score: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    seconds: float
    best: bool


class TrainingLog:
    """Rows of the log, written anew after each epoch to ``log.csv`` and ``log.json``.

    Args:
        score: name of the dev score.
        folder: for the files, or ``None`` to write none.
        rows: of the training that is continued.
    """

    def __init__(self, score: str, folder: Path | None, rows: list[dict[str, Any]]) -> None:
        self.score = score
        self.rows = [Epoch(**row) for row in rows]
        self._folder = folder

    def append(self, row: Epoch) -> None:
        """Add an epoch and write the files."""
        self.rows.append(row)
        self.write()

    def write(self) -> None:
        """Write both files."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        table = io.StringIO()
        writer = csv.DictWriter(table, [field.name for field in fields(Epoch)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.as_dicts())
        write_atomically(self._folder / "log.csv", table.getvalue().encode())
        content = {"score": self.score, "epochs": self.as_dicts()}
        write_atomically(self._folder / "log.json", (json.dumps(content, indent=2) + "\n").encode())

    def as_dicts(self) -> list[dict[str, Any]]:
        """Plain values, ready for JSON."""
        return [asdict(row) for row in self.rows]
