"""``unrolled evaluate``: a model's figures on a labelled file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unrolled.cli.help import GroupedOption, HelpCommand
from unrolled.cli.notes import tell_bad_rows, tell_guesses
from unrolled.cli.parameters import LABEL_KINDS, reading_options, reading_parameters, weights_parameter
from unrolled.errors import MissingExtraError

if TYPE_CHECKING:
    from unrolled.data import RecordReader
    from unrolled.engine import Precision

_HELP = """\
Measure a model on a labelled file.

Shows accuracy and F1, each class, and the confusion table, and saves the table as a picture: confusion.png
for up to 60 labels, or what --plot names. With --json the figures go to standard output as one JSON object,
and a picture is saved only if --plot is given. For several labels a text: micro and macro F1 and exact match.
For a number: mean absolute error, root mean squared error, R squared and correlation. For a tagger:
precision, recall and F1 of the spans as conlleval counts them, each kind, and what went wrong; or accuracy,
that of words which training did not have, and each tag.
"""

_EXAMPLES = """\
unrolled evaluate sentiment/ test.tsv
unrolled evaluate sentiment/ test.tsv --weights int8
unrolled evaluate names/ test.conll
unrolled evaluate stars/ test.csv --text-column review --label-column 3 --json
"""

_PLOT = "confusion.png"
_PLOT_LABELS = 60  # a picture of more is hard to read: only if it is asked for


def run(model: str, test: str, as_json: bool, plot: str | None, weights: Precision, **values: Any) -> None:
    """Run the verb; the parameters are those of the command line."""
    from unrolled.data import open_records
    from unrolled.runtime import Predictor
    from unrolled.runtime.opening import load_predictor

    predictor = load_predictor(model, weights=weights)
    if not isinstance(predictor, Predictor):
        from unrolled.cli.evaluate_tag import evaluate

        evaluate(predictor, test, as_json=as_json, plot=plot, values=values)
        return
    if plot is not None and predictor.options.task != "single":
        raise click.UsageError("--plot draws the confusion table, which only one label a text has.")
    kind = LABEL_KINDS[predictor.options.task]
    reader = open_records(test, needs_label=True, label_kind=kind, **reading_options(values))
    tell_guesses(reader)
    figures = predictor.evaluate(reader)
    tell_bad_rows(reader)
    if weights != "float32":
        _compare(figures, model, reader, weights)
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False))
    else:
        _show(figures)
    _draw(figures, plot, wanted=plot is not None or not as_json)


def _compare(figures: dict[str, Any], model: str, reader: RecordReader, weights: str) -> None:
    """Adds what the model reaches with the weights as they were saved, to show what reducing them costs."""
    from unrolled import engine

    if not engine.available():
        click.echo(f"weights stay float32 here: {engine.reason()}", err=True)
        return
    figures["weights"] = weights
    if not Path(reader.name).is_file():  # standard input or another pipe
        click.echo("the input is read once: no comparison with float32 weights", err=True)
        return
    from unrolled.cli.report import FIGURES
    from unrolled.runtime import load

    exact = load(model).evaluate(reader)
    figures["float32"] = {name: exact[name] for name in FIGURES if name in exact}


def _show(figures: dict[str, Any]) -> None:
    from unrolled.cli.console import console
    from unrolled.cli.report import (
        figures_line,
        show_classes,
        show_confusion,
        show_figures,
        unseen_line,
    )

    screen = console()
    show_figures(screen, figures)
    if "float32" in figures:
        screen.print(f"{figures['weights']} above; with float32 weights: {figures_line(figures['float32'])}")
    if figures.get("per_class"):
        screen.print()
        show_classes(screen, figures["per_class"])
    if figures.get("confusion"):
        screen.print()
        show_confusion(screen, figures["confusion"]["labels"], figures["confusion"]["matrix"])
    if figures.get("unseen_labels"):
        screen.print()
        screen.print(unseen_line(figures["unseen_labels"]), soft_wrap=True)


def _draw(figures: dict[str, Any], plot: str | None, *, wanted: bool) -> None:
    if not wanted or not figures.get("confusion"):
        return
    labels = len(figures["confusion"]["labels"])
    if plot is None and labels > _PLOT_LABELS:
        click.echo(f"no picture: it would show {labels} labels; name a file with --plot to have it", err=True)
        return
    from unrolled.cli.plot import plot_confusion

    path = Path(plot or _PLOT)
    try:
        complete = plot_confusion(figures["confusion"]["labels"], figures["confusion"]["matrix"], path)
    except MissingExtraError as error:
        click.echo(f"no picture: {error}", err=True)
        return
    note = "" if complete else " (labels that no font of this system can write stand as numbers)"
    click.echo(f"picture of the confusion table: {path}{note}", err=True)


command = HelpCommand(
    name="evaluate",
    callback=run,
    help=_HELP,
    examples=_EXAMPLES,
    params=[
        click.Argument(["model"], metavar="MODEL"),
        click.Argument(["test"], metavar="TEST"),
        GroupedOption(
            ["--json", "as_json"], is_flag=True, group="Output", help="Figures as one JSON object."
        ),
        GroupedOption(
            ["--plot"],
            metavar="FILE",
            group="Output",
            help="Picture of the confusion table (.png, .svg, .pdf).",
        ),
        weights_parameter(),
        *reading_parameters(labels=True, tagged=True),
    ],
)
