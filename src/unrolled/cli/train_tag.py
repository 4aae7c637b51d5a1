"""``unrolled train tag``: a model that gives each word a tag, or finds names."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click

from unrolled.cli.help import GroupedOption, HelpCommand
from unrolled.cli.parameters import TAGGED_FORMATS, given_options, option_parameters, repair_parameter
from unrolled.cli.training import CheckpointWatch, check_files, file_parameters, output_parameters, summary
from unrolled.options import TAGGER_PRESET_REASONS, TAGGER_PRESETS, TaggerOptions

_HELP = """\
Train a tagger, and save it as a folder.

The files hold a word and its tag a line, with a blank line between sentences: CoNLL-U (.conllu), columns
divided by tabs or spaces as in CoNLL-2003, or a character a line for languages without spaces. Tags that
write spans (BIO, IOB1, BIOES) are recognised: the model then finds names and their kinds. Any other tags,
such as parts of speech, are given word by word.

The dev file decides which epoch is kept. Ctrl-C and crashes lose little: the same command with --resume goes
on, to the same model.
"""

_EXAMPLES = """\
unrolled train tag --train train.conllu --dev dev.conllu --column upos --out pos/
unrolled train tag --train train.conll --dev dev.conll --out names/
echo "Kim works in Seoul" | unrolled predict names/ --json
"""

_INPUT = "Reading the files"


def run(
    train: str,
    dev: str | None,
    out: str,
    preset: str,
    resume: bool,
    overwrite: bool,
    checkpoint_minutes: float,
    quiet: bool,
    as_json: bool,
    column: str | None,
    format: str | None,
    encoding: str,
    repair: bool,
    **values: Any,
) -> None:
    """Run the verb; the parameters are those of the command line."""
    check_files(train, dev, resume=resume, overwrite=overwrite)
    options = TaggerOptions.of(preset, **given_options(values, TaggerOptions))

    from unrolled.cli.train_screen import TrainScreen
    from unrolled.data.tagged import open_tagged, tagged_notes

    sources = [train] if dev is None else [train, dev]
    readers = [
        open_tagged(source, column=column, format=format, encoding=encoding, repair=repair)
        for source in sources
    ]
    screen = None if quiet else TrainScreen(stderr=as_json)
    watch = CheckpointWatch(out, overwrite=overwrite)
    if screen is not None:
        for reader in readers:
            for note in tagged_notes(reader):
                screen.message(note)
    try:
        from unrolled.train import fit_tagger

        predictor = fit_tagger(
            options,
            *readers,
            scheme=readers[0].scheme,
            by_character=readers[0].characters,
            out=out,
            resume=resume,
            overwrite=overwrite,
            checkpoint_minutes=checkpoint_minutes,
            progress=screen,
            names=(train, dev or train),
        )
    except KeyboardInterrupt:
        raise watch.interrupted() from None
    info = predictor.info()
    if screen is not None:
        screen.finished(out, info)
        if not as_json:
            screen.message(_next_steps(out, dev or train))
    if as_json:
        click.echo(json.dumps({"model": out, **summary(info)}, ensure_ascii=False))


def _next_steps(out: str, example: str) -> str:
    suffix = Path(Path(example).name.removesuffix(".gz")).suffix or ".conll"
    return (
        "Next:\n"
        f"  unrolled evaluate {shlex.quote(out)} test{suffix}\n"
        f'  echo "a sentence" | unrolled predict {shlex.quote(out)}'
    )


def tagged_parameters() -> list[click.Option]:
    """How files of tagged sentences are read."""

    def option(*names: str, text: str, **kwargs: Any) -> click.Option:
        return GroupedOption(names, help=text, group=_INPUT, **kwargs)

    return [
        option(
            "--column",
            metavar="NAME|N",
            text="Column of the tags: a name of CoNLL-U (upos, xpos, feats, ...) or a number from 1. Without "
            "it upos, or the last column.",
        ),
        option(
            "--format",
            type=click.Choice(TAGGED_FORMATS),
            text="What the files are, if the guess is wrong.",
        ),
        option("--encoding", default="utf-8", metavar="NAME", text="Of the files.  [utf-8]"),
        repair_parameter(),
    ]


command = HelpCommand(
    name="tag",
    callback=run,
    short_help="A tag a word: names, parts of speech.",
    help=_HELP,
    examples=_EXAMPLES,
    params=[
        *file_parameters("Words and tags", TAGGER_PRESET_REASONS),
        *option_parameters(TaggerOptions, TAGGER_PRESETS),
        *tagged_parameters(),
        *output_parameters(),
    ],
)
