"""What a training tells while it runs."""

from __future__ import annotations

import time
from typing import Any, Protocol

from unrolled.train.log import Epoch


class Progress(Protocol):
    """Listener of a training.

    The calls come in this order: messages about the data, ``start``, then steps, epochs and messages mixed,
    ``stop`` at the end, also after an error.
    """

    def message(self, text: str) -> None:
        """A sentence that the user should read."""

    def start(self, steps: int, done: int) -> None:
        """The steps of the whole training, estimated, and those made before it was interrupted."""

    def step(self, loss: float, tokens: int) -> None:
        """A step was made: mean loss of its texts, and their tokens."""

    def epoch(self, row: Epoch, score: str) -> None:
        """An epoch was judged; ``score`` is the name of ``row.dev_score``."""

    def stop(self) -> None:
        """The training is over."""


class Silent:
    """Says nothing."""

    def message(self, text: str) -> None:
        """Nothing."""

    def start(self, steps: int, done: int) -> None:
        """Nothing."""

    def step(self, loss: float, tokens: int) -> None:
        """Nothing."""

    def epoch(self, row: Epoch, score: str) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


class BarProgress:
    """A bar with loss, speed and time left, and a line an epoch, on standard error.

    Args:
        console: a rich console; one on standard error if ``None``.
    """

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console

        self._console = console if console is not None else Console(stderr=True)
        self._bar: Any = None
        self._task: Any = None
        self._loss: float | None = None
        self._shown = 0.0

    def message(self, text: str) -> None:
        """Print a sentence."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def start(self, steps: int, done: int) -> None:
        """Show the bar."""
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps"),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=steps, completed=done, loss="")
        self._bar.start()

    def step(self, loss: float, tokens: int) -> None:
        """Move the bar; the loss shown is a running mean."""
        self._loss = loss if self._loss is None else 0.98 * self._loss + 0.02 * loss
        self._bar.advance(self._task)
        # Formatting the field at every step would cost more than small models' steps.
        if time.monotonic() - self._shown > 0.1:
            self._shown = time.monotonic()
            self._bar.update(self._task, loss=f"loss {self._loss:.3f}")

    def epoch(self, row: Epoch, score: str) -> None:
        """Print the epoch's line."""
        member = f"member {row.member}, " if row.member > 1 else ""
        mark = "  best so far" if row.best else ""
        self.message(
            f"{member}epoch {row.epoch}: train loss {row.train_loss:.4f}, dev loss {row.dev_loss:.4f}, "
            f"dev {score} {row.dev_score:.4f}, {row.seconds:.0f} s{mark}"
        )

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
