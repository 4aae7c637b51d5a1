"""``unrolled predict``: texts in, answers out, one by one in constant memory."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from unrolled.cli.help import GroupedOption, HelpCommand
from unrolled.cli.notes import tell_bad_rows, tell_guesses
from unrolled.cli.parameters import reading_options, reading_parameters, weights_parameter

if TYPE_CHECKING:
    from unrolled.data import RecordReader, RowWriter
    from unrolled.engine import Precision
    from unrolled.runtime import Prediction, Predictor, TagPredictor

#: Takes a text and the model's answer to it.
Show = Callable[[str, Any], None]

_QUIET_SECONDS = 2.0
_REDRAW_SECONDS = 0.2

_HELP = """\
Answer for each text: its label and how probable that is.

INPUT is one file or more (CSV, TSV, JSON Lines, Parquet, plain text with a text a line, each also as .gz),
or "-". Without INPUT, texts are read from standard input, one a line.

Answers keep the order of the texts. On standard output a line is label, probability and text with tabs
between; with --json it is one object. Several labels of a text stand with | between. A model that predicts
a number gives the number and the text. With --out they go to a file with the columns text, label and
probability.

A tagger gives a word, its tag and how probable that is a line, and a blank line after each text; with --json
one object a text, with words and spans and where they stand in it, in characters. With --out it writes a row
a span, or a row a word for plain tags.
"""

_EXAMPLES = """\
echo "a wonderful film" | unrolled predict sentiment/ --json
unrolled predict sentiment/ reviews.csv --text-column review --out answers.csv
"""


def run(
    model: str,
    inputs: tuple[str, ...],
    out: str | None,
    as_json: bool,
    probabilities: bool,
    weights: Precision,
    **reading: Any,
) -> None:
    """Run the verb; the parameters are those of the command line."""
    if out is not None and as_json:
        raise click.UsageError(
            "--json is for standard output: end the name after --out in .jsonl to get JSON lines."
        )
    if probabilities and not as_json and out is None:
        raise click.UsageError("--probabilities goes with --json or --out.")
    from unrolled.runtime import Predictor
    from unrolled.runtime.opening import load_predictor

    with _output(out) as writer:
        predictor = load_predictor(model, weights=weights)
        if not isinstance(predictor, Predictor):
            from unrolled.cli.predict_tag import TagShower

            if probabilities:
                raise click.UsageError(
                    "--probabilities is for classifiers: a tagger gives those of its tags."
                )
            show: Show = TagShower(predictor, writer, as_json=as_json)
        else:
            show = _shower(predictor, writer, as_json=as_json, probabilities=probabilities)
        if not inputs and sys.stdin.isatty():
            click.echo("type texts, one a line; end with Ctrl-D", err=True)
        for source in inputs or ("-",):
            _answer(predictor, source, show, reading_options(reading))


def _output(out: str | None) -> AbstractContextManager[RowWriter | None]:
    if out is None:
        return nullcontext()
    from unrolled.data import open_writer

    return open_writer(out)


class _Shower:
    """Writes one answer."""

    def __init__(
        self, writer: RowWriter | None, *, number: bool, as_json: bool, labels: list[str] | None
    ) -> None:
        self._writer = writer
        self._number = number
        self._json = as_json
        self._labels = labels

    def __call__(self, text: str, answer: Prediction) -> None:
        if self._writer is not None:
            self._writer.write({"text": text, **self._row(answer)})
        elif self._json:
            sys.stdout.write(json.dumps(self._object(answer), ensure_ascii=False) + "\n")
        else:
            sys.stdout.write(self._line(text, answer))

    def _object(self, answer: Prediction) -> dict[str, Any]:
        if self._number:
            return {"label": _rounded(answer.label)}
        found = {"label": answer.label, "probability": _rounded(answer.probability)}
        if self._labels is not None:
            found["probabilities"] = {name: _rounded(answer.probabilities[name]) for name in self._labels}
        return found

    def _row(self, answer: Prediction) -> dict[str, Any]:
        row = self._object(answer)
        by_label = row.pop("probabilities", {})
        return row | {f"probability of {name}": value for name, value in by_label.items()}

    def _line(self, text: str, answer: Prediction) -> str:
        shown = " ".join(text.split()) if "\n" in text or "\r" in text else text
        if self._number:
            return f"{answer.label:.6g}\t{shown}\n"
        label = "|".join(answer.label) if isinstance(answer.label, list) else answer.label
        several = answer.probability if isinstance(answer.probability, list) else [answer.probability]
        return f"{label}\t{'|'.join(f'{value:.4f}' for value in several)}\t{shown}\n"


def _shower(predictor: Predictor, writer: RowWriter | None, *, as_json: bool, probabilities: bool) -> _Shower:
    number = predictor.options.task == "regression"
    labels = list(predictor.labels) if probabilities and not number else None
    return _Shower(writer, number=number, as_json=as_json, labels=labels)


def _rounded(value: Any) -> Any:
    return [_rounded(one) for one in value] if isinstance(value, list) else round(float(value), 6)


def _answer(predictor: Predictor | TagPredictor, source: str, show: Show, reading: Mapping[str, Any]) -> None:
    from unrolled.data import open_records

    reader = open_records(source, needs_label=False, **reading)
    if source != "-":
        tell_guesses(reader)
    # Someone types, or waits at the other end of a pipe: each answer at once.
    at_once = source == "-" and (sys.stdin.isatty() or sys.stdout.isatty())
    with _Counter(reader) as counter:
        for text, answer in _pairs(predictor, reader, at_once=at_once):
            show(text, answer)
            counter.step()
            if at_once:
                sys.stdout.flush()
    tell_bad_rows(reader)


def _pairs(
    predictor: Predictor | TagPredictor, reader: RecordReader, *, at_once: bool
) -> Iterator[tuple[str, Any]]:
    waiting: deque[str] = deque()  # texts read and not answered: as many as the stream reads ahead

    def remembered() -> Iterator[str]:
        for record in reader:
            waiting.append(record.text)
            yield record.text

    size = {"batch_size": 1} if at_once else {}
    for answer in predictor.predict_stream(remembered(), **size):
        yield waiting.popleft(), answer


class _Counter:
    """Texts done, on stderr: on a terminal that does not show the answers too, and only if it takes long."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._wanted = sys.stderr.isatty() and not sys.stdout.isatty()
        self._began = time.monotonic()
        self._drawn = self._began + _QUIET_SECONDS
        self._done = 0
        self._shown = False

    def step(self) -> None:
        """One more text."""
        self._done += 1
        if not self._wanted or self._done % 64:
            return
        now = time.monotonic()
        if now - self._drawn < _REDRAW_SECONDS:
            return
        self._drawn = now
        self._shown = True
        rate = self._done / (now - self._began)
        size, read = self._reader.size_bytes, self._reader.bytes_read
        share = f", {min(1.0, read / size):.0%} of the file" if size and read else ""
        sys.stderr.write(f"\r{self._done:,} texts, {rate:,.0f} a second{share} \x1b[K")
        sys.stderr.flush()

    def __enter__(self) -> _Counter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


command = HelpCommand(
    name="predict",
    callback=run,
    help=_HELP,
    examples=_EXAMPLES,
    params=[
        click.Argument(["model"], metavar="MODEL"),
        click.Argument(["inputs"], metavar="[INPUT]...", nargs=-1),
        GroupedOption(
            ["--out"], metavar="FILE", group="Output", help="Write to a .csv, .tsv or .jsonl file (also .gz)."
        ),
        GroupedOption(["--json", "as_json"], is_flag=True, group="Output", help="One JSON object a line."),
        GroupedOption(
            ["--probabilities"], is_flag=True, group="Output", help="Add the probability of every label."
        ),
        weights_parameter(),
        *reading_parameters(labels=False),
    ],
)
