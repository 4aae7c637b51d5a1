"""What the verbs that train have in common: their files, and what is said when they are stopped."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from unrolled.cli.app import INTERRUPTED, resume_command
from unrolled.cli.help import GroupedOption
from unrolled.cli.parameters import Bounded
from unrolled.errors import OptionError


def check_files(train: str, dev: str | None, *, resume: bool, overwrite: bool) -> None:
    """Refuse what contradicts itself.

    Raises:
        OptionError: so it does.
    """
    if resume and overwrite:
        raise OptionError(
            "--resume goes on with a training and --overwrite throws it away: give one of them."
        )
    if "-" in (train, dev):
        raise OptionError("training needs files: save standard input to a file and give its name.")


class CheckpointWatch:
    """Knows whether a training that was stopped left a checkpoint of its own.

    Args:
        out: folder of the model.
        overwrite: a checkpoint that is there is an older one.
    """

    def __init__(self, out: str, *, overwrite: bool) -> None:
        self._index = Path(out, "checkpoint", "checkpoint.json")
        self._earlier = _version(self._index) if overwrite else None

    def interrupted(self) -> click.exceptions.Exit:
        """Say how to go on; the exit to raise."""
        arguments = click.get_current_context().find_root().obj or sys.argv[1:]
        checkpoint = _version(self._index) not in (None, self._earlier)
        click.echo(
            f"interrupted; go on with:\n  {resume_command(arguments, checkpoint=checkpoint)}", err=True
        )
        return click.exceptions.Exit(INTERRUPTED)


def _version(file: Path) -> tuple[int, int] | None:
    """What tells one writing of a file from the next; none if it is not there."""
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns


def summary(info: dict[str, Any]) -> dict[str, Any]:
    """What ``--json`` tells of a finished model."""
    keys = ("task", "labels", "metrics", "training", "options")
    return {key: info[key] for key in keys if key in info}


def file_parameters(learned: str, reasons: Mapping[str, str]) -> list[click.Option]:
    """The options that name files.

    Args:
        learned: what the training file holds.
        reasons: preset -> what it is for; the first is the default.
    """

    def option(*names: str, text: str, **kwargs: Any) -> click.Option:
        return GroupedOption(names, help=text, group="Files", **kwargs)

    return [
        option("--train", required=True, metavar="FILE", text=f"{learned} to learn from."),
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
            type=click.Choice(list(reasons)),
            default=next(iter(reasons)),
            metavar="|".join(reasons),
            text="; ".join(f"{name}: {reason.rstrip('.')}" for name, reason in reasons.items())
            + f".  [{next(iter(reasons))}]",
        ),
    ]


def output_parameters() -> list[click.Option]:
    """How much is said."""
    return [
        GroupedOption(["--quiet"], is_flag=True, group="Output", help="Say nothing but errors."),
        GroupedOption(["--json", "as_json"], is_flag=True, group="Output", help="End with one JSON object."),
    ]
