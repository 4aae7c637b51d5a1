"""``unrolled train``: a model from labelled files."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import click

from unrolled.cli import train_tag
from unrolled.cli.app import INTERRUPTED
from unrolled.cli.help import HelpCommand, HelpGroup
from unrolled.cli.parameters import (
    LABEL_KINDS,
    classifier_parameters,
    given_options,
    reading_options,
    reading_parameters,
)
from unrolled.cli.training import CheckpointWatch, check_files, file_parameters, output_parameters, summary
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
_ALL_EXAMPLES = """\
unrolled train classify --train reviews.tsv --dev dev.tsv --out sentiment/
unrolled train tag --train train.conll --dev dev.conll --out names/
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
    check_files(train, dev, resume=resume, overwrite=overwrite)
    options = ClassifierOptions.of(preset, **given_options(values))

    from unrolled.cli.train_screen import TrainScreen
    from unrolled.data import open_records

    sources = [train] if dev is None else [train, dev]
    reading = reading_options(values)
    kind = LABEL_KINDS[options.task]
    readers = [open_records(source, needs_label=True, label_kind=kind, **reading) for source in sources]
    screen = None if quiet else TrainScreen(stderr=as_json)
    watch = CheckpointWatch(out, overwrite=overwrite)
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
        raise watch.interrupted() from None
    info = predictor.info()
    if screen is not None:
        for reader in readers:
            screen.bad_rows(reader)
        screen.finished(out, info)
        if not as_json:
            screen.message(_next_steps(out, dev or train))
    if as_json:
        click.echo(json.dumps({"model": out, **summary(info)}, ensure_ascii=False))


def _next_steps(out: str, example: str) -> str:
    name = Path(example).name.removesuffix(".gz")
    return (
        "Next:\n"
        f"  unrolled evaluate {shlex.quote(out)} test{Path(name).suffix or '.tsv'}\n"
        f'  echo "a text" | unrolled predict {shlex.quote(out)}'
    )


command = HelpGroup(
    name="train",
    help="Train a model on labelled files.",
    examples=_ALL_EXAMPLES,
    no_args_is_help=True,
    commands={
        "classify": HelpCommand(
            name="classify",
            callback=run,
            short_help="One label a text, several, or a number.",
            help=_HELP,
            examples=_EXAMPLES,
            params=[
                *file_parameters("Texts and labels", PRESET_REASONS),
                *classifier_parameters(),
                *reading_parameters(labels=True),
                *output_parameters(),
            ],
        ),
        "tag": train_tag.command,
    },
)
