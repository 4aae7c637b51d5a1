"""What a vector training tells while it runs."""

from __future__ import annotations

from typing import Protocol


class VectorProgress(Protocol):
    """Listener of a training: ``counting`` and messages, ``start``, steps, and ``stop``, also after an
    error."""

    def message(self, text: str) -> None:
        """A sentence that the user should read."""

    def counting(self, tokens: int) -> None:
        """Tokens of the text read so far, to make the vocabulary."""

    def start(self, tokens: int, done: int) -> None:
        """Tokens of all epochs together, and those trained before an interruption."""

    def step(self, tokens: int, loss: float, epoch: int) -> None:
        """So many more tokens were trained, with this mean loss of a prediction, in this epoch (from 1)."""

    def stop(self) -> None:
        """The training is over."""


class SilentVectors:
    """Says nothing."""

    def message(self, text: str) -> None:
        """Nothing."""

    def counting(self, tokens: int) -> None:
        """Nothing."""

    def start(self, tokens: int, done: int) -> None:
        """Nothing."""

    def step(self, tokens: int, loss: float, epoch: int) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""
