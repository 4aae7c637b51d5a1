"""What training shows: a bar while it runs, a line an epoch, and at the end what came out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unrolled.cli.console import console
from unrolled.cli.notes import bad_row_lines
from unrolled.cli.report import figures_line, parts_line
from unrolled.cli.sizes import duration, size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from unrolled.data import RecordReader
    from unrolled.train.log import Epoch

_REDRAW_SECONDS = 0.1
_LOSS_MEMORY = 0.98


class TrainScreen:
    """Listener of a training (``unrolled.train.progress.Progress``) that shows it.

    On a terminal there is a bar with tokens a second, loss and time left; elsewhere only lines.

    Args:
        stderr: draw on standard error, because standard output carries JSON.
        best_only: show only the epochs that were better than all before.
    """

    def __init__(self, *, stderr: bool = False, best_only: bool = False) -> None:
        self._best_only = best_only
        self._console = console(stderr=stderr)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._loss = 0.0
        self._steps = 0
        self._tokens = 0
        self._began = self._drawn = time.monotonic()
        self._has_header = False

    def message(self, text: str) -> None:
        """A sentence, above the bar."""
        self._console.print(text, soft_wrap=True)

    def opened(self, reader: RecordReader) -> None:
        """Say what was guessed about a file."""
        for note in reader.notes:
            self.message(note)

    def start(self, steps: int, done: int) -> None:
        """Show the bar."""
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._began = time.monotonic()
        if not self._console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=steps, completed=done, facts="")
        self._bar.start()

    def step(self, loss: float, tokens: int) -> None:
        """Move the bar; the loss shown is a running mean."""
        self._steps += 1
        self._tokens += tokens
        share = max(1 - _LOSS_MEMORY, 1 / self._steps)
        self._loss += share * (loss - self._loss)
        if self._bar is None or self._task is None:
            return
        now = time.monotonic()
        if now - self._drawn < _REDRAW_SECONDS:
            self._bar.advance(self._task)
            return
        self._drawn = now
        rate = self._tokens / max(now - self._began, 1e-9)
        self._bar.update(self._task, advance=1, facts=f"{rate:,.0f} tokens/s  loss {self._loss:.3f}")

    def epoch(self, row: Epoch, score: str) -> None:
        """A line with the losses and the dev score, marked if it is the best so far."""
        if self._best_only and not row.best:
            return
        title = f"dev {score}"
        if not self._has_header:
            self._has_header = True
            self._console.print(f"epoch  train loss  dev loss  {title}     time", style="bold")
        name = f"{row.member}/{row.epoch}" if row.member > 1 else str(row.epoch)
        line = (
            f"{name:>5}  {row.train_loss:>10.4f}  {row.dev_loss:>8.4f}  {row.dev_score:>{len(title)}.4f}  "
            f"{duration(row.seconds):>7}{'  best' if row.best else ''}"
        )
        self._console.print(line, style="green" if row.best else "")

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def finished(self, out: str, info: Mapping[str, Any]) -> None:
        """Say what came out: time, size, and how good it is; the epochs' scores are the network's alone."""
        seconds = duration(info["training"]["seconds"])
        self.message(f"Done in {seconds}: {out}, {info['parameters']:,} parameters, {size(info['bytes'])}.")
        for part, figures in info["metrics"].items():
            apart = parts_line(figures)
            whole = f"On the {part} data" + (", network and wide part together" if apart else "")
            self.message(f"{whole}: {figures_line(figures)}" + (f" ({apart})." if apart else "."))

    def bad_rows(self, reader: RecordReader) -> None:
        """Say which rows were left out."""
        for line in bad_row_lines(reader.name, reader.bad_rows, reader.bad_examples):
            self.message(line)
