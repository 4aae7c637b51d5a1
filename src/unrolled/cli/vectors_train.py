"""``unrolled vectors train``: word vectors from text."""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unrolled.cli.app import INTERRUPTED, resume_command
from unrolled.cli.help import GroupedOption, HelpCommand
from unrolled.cli.parameters import Bounded, given_options, option_parameters
from unrolled.cli.sizes import duration
from unrolled.embed.options import VectorOptions
from unrolled.errors import OptionError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_HELP = """\
Train word vectors on TEXT, and save them as a folder.

TEXT are files or folders of plain text, a sentence or paragraph a line, also .gz, or - for standard input.
The text is read once and need not fit into memory. Ctrl-C and crashes lose little: the same command with
--resume goes on. The same text, options and seed give the same vectors, on any number of threads; --fast
gives that up for speed.
"""

_EXAMPLES = """\
unrolled vectors train corpus.txt --out vectors/
unrolled vectors train news/ wiki.txt.gz --out vectors/ --model cbow --dim 200
unrolled vectors train 말뭉치.txt --out vectors/ --subwords --ngram-min 1 --ngram-max 3
"""


def run(
    text: tuple[str, ...],
    out: str,
    resume: bool,
    overwrite: bool,
    checkpoint_minutes: float,
    threads: int | None,
    encoding: str,
    quiet: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """Run the part; the parameters are those of the command line."""
    if resume and overwrite:
        raise OptionError(
            "--resume goes on with a training and --overwrite throws it away: give one of them."
        )
    from unrolled import engine
    from unrolled.embed.vectors import WordVectors

    if threads is not None:
        engine.set_num_threads(threads)
    vectors = WordVectors(**given_options(values, VectorOptions))
    screen = None if quiet else VectorScreen(stderr=as_json)
    state = Path(out, "checkpoint", "state.json")
    # Stopped while the text is read, a training leaves the state that it was told to overwrite.
    old = state.stat().st_mtime_ns if overwrite and state.is_file() else None
    try:
        vectors.fit(
            text[0] if len(text) == 1 else [Path(part) for part in text],
            out=out,
            resume=resume,
            overwrite=overwrite,
            encoding=encoding,
            checkpoint_minutes=checkpoint_minutes,
            progress=screen,
        )
    except KeyboardInterrupt:
        arguments = click.get_current_context().find_root().obj or sys.argv[1:]
        kept = state.is_file() and state.stat().st_mtime_ns != old
        again = resume_command(arguments, checkpoint=kept)
        click.echo(f"interrupted; go on with:\n  {again}", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    if screen is not None:
        screen.finished(out, vectors, as_json)
    if as_json:
        click.echo(json.dumps({"vectors": out, **vectors.info()}, ensure_ascii=False))


class VectorScreen:
    """Listener of a vector training (``unrolled.embed.progress.VectorProgress``) that shows it.

    On a terminal there is a bar with words a second, loss and time left; elsewhere a line an epoch.

    Args:
        stderr: draw on standard error, because standard output carries JSON.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        from unrolled.cli.console import console

        self._console = console(stderr=stderr)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._epoch = 0
        self._tokens = 0
        self._began = self._epoch_began = self._stepped = time.monotonic()
        self._epoch_tokens = 0
        self._losses: list[float] = []

    def message(self, text: str) -> None:
        """A sentence, above the bar."""
        self._close()
        self._console.print(text, soft_wrap=True)

    def counting(self, tokens: int) -> None:
        """Show how far the reading has come."""
        if self._console.is_terminal:
            self._open("reading", None)
            assert self._bar is not None and self._task is not None
            self._bar.update(self._task, facts=f"{tokens:,} tokens")

    def start(self, tokens: int, done: int) -> None:
        """Show the bar."""
        self._began = self._epoch_began = time.monotonic()
        self._close()
        if self._console.is_terminal:
            self._open("training", tokens, done)

    def step(self, tokens: int, loss: float, epoch: int) -> None:
        """Move the bar; a line when an epoch begins after another."""
        if self._epoch and epoch != self._epoch:
            self._line()
        self._epoch = epoch
        self._stepped = time.monotonic()
        self._tokens += tokens
        self._epoch_tokens += tokens
        self._losses.append(loss)
        if self._bar is not None and self._task is not None:
            rate = self._tokens / max(time.monotonic() - self._began, 1e-9)
            facts = f"epoch {epoch}  {rate:,.0f} words/s  loss {loss:.3f}"
            self._bar.update(self._task, advance=tokens, facts=facts)

    def stop(self) -> None:
        """Take the bar away."""
        if self._epoch_tokens:
            self._line()
        self._close()

    def finished(self, out: str, vectors: Any, quiet_hint: bool) -> None:
        """Say what came out, and what to do with it."""
        from unrolled.cli.console import cut

        seconds = vectors.training["seconds"]
        self.message(
            f"Done in {duration(seconds)} of training: {out}, {len(vectors):,} words x {vectors.dim}."
        )
        if quiet_hint:
            return
        word = next((word for word in vectors.words[50:] if word.isalpha()), vectors.words[0])
        self.message(
            "Next:\n"
            f"  unrolled vectors similar {shlex.quote(out)} {shlex.quote(cut(word, 30))}\n"
            f"  unrolled vectors map {shlex.quote(out)} --out map.html"
        )

    def _line(self) -> None:
        seconds = self._stepped - self._epoch_began
        known = [loss for loss in self._losses if loss == loss]
        loss = f"{sum(known) / len(known):.4f}" if known else "unknown"
        rate = self._epoch_tokens / max(seconds, 1e-9)
        self._console.print(
            f"epoch {self._epoch:>3}  loss {loss}  {rate:>12,.0f} words/s  {duration(seconds):>7}"
        )
        self._losses, self._epoch_tokens, self._epoch_began = [], 0, self._stepped

    def _open(self, what: str, total: int | None, done: int = 0) -> None:
        if self._bar is not None:
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        parts: list[Any] = [TextColumn(what), TextColumn("{task.fields[facts]}")]
        if total is not None:
            parts[1:1] = [BarColumn(bar_width=20), TextColumn("{task.percentage:>3.0f}%")]
            parts += [TimeRemainingColumn(compact=True), TextColumn("left")]
        self._bar = Progress(*parts, console=self._console, transient=True)
        self._task = self._bar.add_task("", total=total, completed=done, facts="")
        self._bar.start()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _option(*names: str, text: str, group: str = "Files", **kwargs: Any) -> click.Option:
    return GroupedOption(names, help=text, group=group, **kwargs)


train = HelpCommand(
    name="train",
    callback=run,
    help=_HELP,
    examples=_EXAMPLES,
    params=[
        click.Argument(["text"], metavar="TEXT...", nargs=-1, required=True),
        _option("--out", required=True, metavar="FOLDER", text="Where the vectors go."),
        _option("--resume", is_flag=True, text="Go on with an interrupted training."),
        _option("--overwrite", is_flag=True, text="Replace vectors that are there."),
        _option(
            "--checkpoint-minutes",
            type=Bounded("NUMBER", float, 0, 10_000),
            default=10.0,
            metavar="X",
            text="Save every X minutes, besides after each epoch.  [10]",
        ),
        _option(
            "--encoding", default="utf-8", metavar="NAME", text="Of the text, for example cp949.  [utf-8]"
        ),
        *option_parameters(VectorOptions),
        _option(
            "--threads",
            type=Bounded("INTEGER", int, 1, 1024),
            metavar="N",
            group="Training",
            text="Threads to use.  [one a core]",
        ),
        _option("--quiet", is_flag=True, group="Output", text="Say nothing but errors."),
        _option("--json", "as_json", is_flag=True, group="Output", text="End with one JSON object."),
    ],
)
