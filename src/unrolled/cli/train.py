"""``unrolled train``: a model from labelled files."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from unrolled.cli.app import INTERRUPTED, resume_command
from unrolled.cli.help import GroupedOption, HelpCommand, HelpGroup
from unrolled.cli.parameters import (
    LABEL_KINDS,
    Bounded,
    classifier_parameters,
    given_options,
    reading_options,
    reading_parameters,
)
from unrolled.errors import OptionError, UnrolledError
from unrolled.options import PRESET_REASONS, ClassifierOptions

_HELP = """\
Train a text classifier, and save it as a folder.

The files hold a text and a label a row. The dev file decides which epoch is kept; it must hold other texts
than the training file. Ctrl-C and crashes lose little: the same command with --resume goes on, to the same
model.

Without any further option the model is good; the options below are for those who want to try. Where presets
differ, the default is given for each.
"""

_EXAMPLES = """\
unrolled train classify --train reviews.tsv --dev dev.tsv --out sentiment/
unrolled train classify --train tags.jsonl --dev dev.jsonl --out tags/ \\
    --task multi --preset accurate
"""


def run(**values: Any) -> None:
    """Run the verb; the parameters are those of the command line.

    Of several processes that train together only the first speaks: the others end with the exit code alone.
    """
    if os.environ.get("RANK", "0") == "0":
        _run(**values)
        return
    try:
        _run(**{**values, "quiet": True, "as_json": False}, speaks=False)
    except UnrolledError as error:
        raise click.exceptions.Exit(2 if isinstance(error, OptionError) else 1) from None


def _run(
    train: str,
    dev: str | None,
    out: str,
    preset: str,
    resume: bool,
    overwrite: bool,
    checkpoint_minutes: float,
    quiet: bool,
    as_json: bool,
    speaks: bool = True,
    **values: Any,
) -> None:
    if resume and overwrite:
        raise OptionError(
            "--resume goes on with a training and --overwrite throws it away: give one of them."
        )
    options = ClassifierOptions.of(preset, **given_options(values))
    if "-" in (train, dev):
        raise OptionError("training needs files: save standard input to a file and give its name.")

    from unrolled.cli.train_screen import TrainScreen
    from unrolled.data import open_records

    sources = [train] if dev is None else [train, dev]
    reading = reading_options(values)
    kind = LABEL_KINDS[options.task]
    readers = [open_records(source, needs_label=True, label_kind=kind, **reading) for source in sources]
    screen = None if quiet else TrainScreen(stderr=as_json)
    index = Path(out, "checkpoint", "checkpoint.json")
    earlier = _version(index) if overwrite else None
    if screen is not None:
        for reader in readers:
            screen.opened(reader)
    try:
        from unrolled.train import fit

        predictor = fit(
            options,
            *readers,
            out=out,
            resume=resume,
            overwrite=overwrite,
            checkpoint_minutes=checkpoint_minutes,
            progress=screen,
            names=(train, dev or train),
        )
    except KeyboardInterrupt:
        if not speaks:
            raise click.exceptions.Exit(INTERRUPTED) from None
        arguments = click.get_current_context().find_root().obj or sys.argv[1:]
        checkpoint = _version(index) not in (None, earlier)
        click.echo(
            f"interrupted; go on with:\n  {resume_command(arguments, checkpoint=checkpoint)}", err=True
        )
        raise click.exceptions.Exit(INTERRUPTED) from None
    info = predictor.info()
    if screen is not None:
        for reader in readers:
            screen.bad_rows(reader)
        screen.finished(out, info)
        if not as_json:
            screen.message(_next_steps(out, dev or train))
    if as_json:
        click.echo(json.dumps({"model": out, **_summary(info)}, ensure_ascii=False))


def _version(file: Path) -> tuple[int, int] | None:
    """What tells one writing of a file from the next; none if it is not there."""
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns


def _summary(info: dict[str, Any]) -> dict[str, Any]:
    keys = ("task", "labels", "metrics", "training", "options")
    return {key: info[key] for key in keys if key in info}


def _next_steps(out: str, example: str) -> str:
    name = Path(example).name.removesuffix(".gz")
    return (
        "Next:\n"
        f"  unrolled evaluate {shlex.quote(out)} test{Path(name).suffix or '.tsv'}\n"
        f'  echo "a text" | unrolled predict {shlex.quote(out)}'
    )


def _files() -> list[click.Option]:
    def option(*names: str, text: str, **kwargs: Any) -> click.Option:
        return GroupedOption(names, help=text, group="Files", **kwargs)

    return [
        option("--train", required=True, metavar="FILE", text="Texts and labels to learn from."),
        option(
            "--dev",
            metavar="FILE",
            text="Other texts, to choose the epoch. Without it a part of the training file.",
        ),
        option("--out", required=True, metavar="FOLDER", text="Where the model goes."),
        option("--resume", is_flag=True, text="Go on with an interrupted training."),
        option("--overwrite", is_flag=True, text="Replace a model that is there."),
        option(
            "--checkpoint-minutes",
            type=Bounded("NUMBER", float, 0, 10_000),
            default=10.0,
            metavar="X",
            text="Save every X minutes, besides after each epoch.  [10]",
        ),
        option(
            "--preset",
            type=click.Choice(list(PRESET_REASONS)),
            default="fast",
            metavar="|".join(PRESET_REASONS),
            text="; ".join(f"{name}: {reason.rstrip('.')}" for name, reason in PRESET_REASONS.items())
            + ".  [fast]",
        ),
    ]


command = HelpGroup(
    name="train",
    help="Train a model on labelled files.",
    examples=_EXAMPLES,
    no_args_is_help=True,
    commands={
        "classify": HelpCommand(
            name="classify",
            callback=run,
            short_help="One label a text, several, or a number.",
            help=_HELP,
            examples=_EXAMPLES,
            params=[
                *_files(),
                *classifier_parameters(),
                *reading_parameters(labels=True),
                GroupedOption(["--quiet"], is_flag=True, group="Output", help="Say nothing but errors."),
                GroupedOption(
                    ["--json", "as_json"], is_flag=True, group="Output", help="End with one JSON object."
                ),
            ],
        )
    },
)
