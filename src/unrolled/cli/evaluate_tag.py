"""``unrolled evaluate`` of a tagger: its spans, or its tags, on a file of tagged sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from unrolled.runtime import TagPredictor

_ERRORS = {
    "wrong_type": "right words, wrong kind",
    "wrong_border": "right kind, wrong words",
    "wrong_type_and_border": "wrong kind and words",
    "missed": "missed",
    "spurious": "found where there is none",
}
_CELLS = 24


def evaluate(
    predictor: TagPredictor, test: str, *, as_json: bool, plot: str | None, values: Mapping[str, Any]
) -> None:
    """Measure and show.

    Args:
        predictor: the model.
        test: file of tagged sentences.
        as_json: one object on standard output instead of tables.
        plot: what ``--plot`` names.
        values: of the options that say how the file is read.
    """
    if plot is not None:
        raise click.UsageError("--plot draws the confusion table of a classifier: leave it out.")
    from unrolled.data.tagged import open_tagged, tagged_notes

    reader = open_tagged(
        test,
        column=values["label_column"],
        format=values["format"],
        encoding=values["encoding"],
        repair=values["repair"],
    )
    for note in tagged_notes(reader):
        click.echo(note, err=True)
    figures = predictor.evaluate(reader)
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False))
        return
    from unrolled.cli.console import console

    screen = console()
    if predictor.is_span_model:
        _show_spans(screen, figures)
    else:
        _show_tags(screen, figures)


def _show_spans(screen: Console, figures: Mapping[str, Any]) -> None:
    from unrolled.cli.console import cut, draw, table

    kinds = table("kind", "precision", "recall", "F1", "true", "found", "right")
    for name, scores in [*figures["per_type"].items(), ("all", figures)]:
        shown = (f"{scores[key]:.3f}" for key in ("precision", "recall", "f1"))
        counts = (f"{scores[key]:,}" for key in ("support", "predicted", "hits"))
        kinds.add_row(cut(name, _CELLS), *shown, *counts)
    draw(screen, kinds)
    screen.print()
    errors = table("what went wrong", "spans")
    for key, name in _ERRORS.items():
        errors.add_row(name, f"{figures['errors'][key]:,}")
    draw(screen, errors)


def _show_tags(screen: Console, figures: Mapping[str, Any]) -> None:
    from unrolled.cli.console import cut, draw, table

    rows = table("", "", left=1)
    rows.show_header = False
    rows.add_row("words", f"{figures['words']:,} in {figures['sentences']:,} sentences")
    rows.add_row("accuracy", f"{figures['accuracy']:.4f}")
    unknown = figures["unknown_accuracy"]
    rows.add_row(
        "of unknown words",
        "there are none" if unknown is None else f"{unknown:.4f} of {figures['unknown_words']:,}",
    )
    draw(screen, rows)
    screen.print()
    tags = table("tag", "precision", "recall", "F1", "words")
    for tag, scores in figures["per_tag"].items():
        shown = (f"{scores[key]:.3f}" for key in ("precision", "recall", "f1"))
        tags.add_row(cut(tag, _CELLS), *shown, f"{int(scores['support']):,}")
    draw(screen, tags)
    if figures["confusions"]:
        screen.print()
        wrong = table("true", "given", "words", left=2)
        for one in figures["confusions"][:10]:
            wrong.add_row(cut(one["truth"], _CELLS), cut(one["predicted"], _CELLS), f"{one['count']:,}")
        draw(screen, wrong)
