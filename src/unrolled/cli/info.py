"""``unrolled info``: a saved model's own account of itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from unrolled.cli.help import GroupedOption, HelpCommand
from unrolled.options import PRESETS, ClassifierOptions

_HELP = """\
What a model, or a folder of word vectors, is, what it was trained on, how good it was, and how large it is.

The figures are those of training, on its dev file. Measure on a file of your own with: unrolled evaluate
"""

_EXAMPLES = """\
unrolled info sentiment/
unrolled info names.zip --json
unrolled info vectors/
"""

_LABELS_SHOWN = 12
_UNKNOWN = "unknown"


def run(model: str, as_json: bool) -> None:
    """Run the verb; the parameters are those of the command line."""
    from unrolled.runtime.opening import holds_vectors, load

    info = load(model).info()
    if as_json:
        click.echo(json.dumps(info, ensure_ascii=False, indent=2))
        return
    if holds_vectors(model):
        from unrolled.cli.info_vectors import show

        show(model, info)
    elif info["task"] == "tag":
        from unrolled.cli.info_tag import show as show_tagger

        show_tagger(model, info)
    else:
        _show(model, info)


def changed_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that differ from the preset they are nearest to; that preset under the key ``preset``."""

    def changes(preset: str) -> dict[str, Any]:
        usual = ClassifierOptions.of(preset).to_dict()
        return {name: value for name, value in options.items() if name in usual and value != usual[name]}

    nearest = min(PRESETS, key=lambda preset: len(changes(preset)))
    return {"preset": nearest, **changes(nearest)}


def describe(options: Mapping[str, Any]) -> str:
    """A model in one line: ``"bidirectional LSTM, 128 units, tokens: basic_english"``."""
    model = options["model"]
    layers = (
        f"{options['layers']}-layer " if options["layers"] > 1 and model in ("lstm", "gru", "rnn") else ""
    )
    kinds = {
        "lstm": "LSTM",
        "gru": "GRU",
        "rnn": "RNN",
        "cnn": "CNN (windows of 3, 4 and 5 tokens)",
        "mlp": "MLP over the mean of the tokens (blind to order)",
    }
    both = "bidirectional " if options["bidirectional"] and model in ("lstm", "gru", "rnn") else ""
    ngrams = (
        f" with character n-grams of {options['ngram_min']} to {options['ngram_max']}"
        if options["ngram_max"]
        else ""
    )
    one = f"{layers}{both}{kinds[model]}, {options['hidden']} units, tokens: {options['tokenizer']}{ngrams}"
    return f"{options['members']} x ({one}), averaged" if options["members"] > 1 else one


def _show(model: str, info: Mapping[str, Any]) -> None:
    from unrolled.cli.console import console, cut, draw, table
    from unrolled.cli.report import figures_line, parts_line
    from unrolled.cli.sizes import duration

    screen = console()
    options = info["options"]
    training = object_of(info.get("training"))
    rows = table("", "", left=2)
    rows.show_header = False
    rows.columns[0].style = "bold"
    rows.columns[0].no_wrap = True

    def row(name: str, value: str) -> None:
        rows.add_row(name, value)

    tasks = {
        "single": "one label a text",
        "multi": "several labels a text",
        "regression": "a number for a text",
    }
    row("model", model)
    row("gives", tasks[options["task"]])
    row("built as", describe(options))
    if wide := info.get("wide"):
        row(
            "wide part",
            f"linear over {wide['rows']:,} character n-grams; "
            f"shares: network {wide['network_share']:.2f}, wide part {wide['wide_share']:.2f}",
        )
    if info.get("labels"):
        row("labels", _labels(info["labels"], object_of(training.get("label_counts"))))
    for part, data in object_of(training.get("data")).items():
        if data is not None:
            row(part, _data(object_of(data)))
    if training:
        seconds = number_of(training.get("seconds"))
        row("trained", f"{_UNKNOWN if seconds is None else duration(seconds)}, {epochs_line(training)}")
        created = text_of(training.get("created")) or _UNKNOWN
        row("created", f"{created} by unrolled {text_of(info.get('unrolled_version')) or _UNKNOWN}")
    for part, found in object_of(info.get("metrics")).items():
        figures = _figures(found)
        row(f"on {part}", figures_line(figures) or _UNKNOWN)
        if apart := parts_line(figures):
            row("", apart)
    row("size", files_size(model, info["bytes"]))
    row("parameters", f"{info['parameters']:,}, the embedding table kept as {info['storage']}")
    changed = changed_options(options)
    preset = changed.pop("preset")
    listed = ", ".join(f"{name} {cut(str(value), 40)}" for name, value in changed.items())
    row("options", f"preset {preset}" + (f" with {listed}" if listed else ", unchanged"))
    draw(screen, rows)


def files_size(model: str, weights: int) -> str:
    """Sizes on disk of a saved model, each file of a folder or the packed whole, beside that in memory."""
    from unrolled.cli.sizes import size

    path = Path(model)
    if not path.is_dir():
        return f"{size(path.stat().st_size)} packed, {size(weights)} in memory"
    files = {file.name: file.stat().st_size for file in sorted(path.iterdir()) if file.is_file()}
    each = ", ".join(f"{name} {size(count)}" for name, count in files.items())
    return f"{size(sum(files.values()))} ({each})"


def number_of(value: object) -> float | None:
    """A finite number that is not negative; none if it is anything else."""
    real = _real(value)
    return real if real is not None and real >= 0 else None


def text_of(value: object) -> str | None:
    """A text that is not empty."""
    return value if isinstance(value, str) and value else None


def list_of(value: object) -> list[Any]:
    """A list; empty if it is anything else."""
    return value if isinstance(value, list) else []


def object_of(value: object) -> dict[str, Any]:
    """A JSON object; empty if it is anything else."""
    return value if isinstance(value, dict) else {}


def _real(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # JSON has integers beyond the range of floats
        return None


def _count(value: object) -> str | None:
    number = number_of(value)
    return None if number is None else f"{number:,.0f}"


def _data(data: Mapping[str, Any]) -> str:
    name, digest = text_of(data.get("name")), text_of(data.get("sha256"))
    rows = _count(data.get("rows"))
    return f"{name or _UNKNOWN}, {rows or _UNKNOWN} rows, sha256 {(digest or _UNKNOWN)[:12]}"


def _figures(figures: object) -> dict[str, float]:
    """The numbers of an evaluation; the parts of a mixed model only if both are known."""
    known = {name: real for name, value in object_of(figures).items() if (real := _real(value)) is not None}
    if "wide_alone" not in known:
        known.pop("network_alone", None)
    return known


def _labels(labels: list[str], counts: Mapping[str, Any]) -> str:
    known = {label: _count(counts.get(label)) for label in labels[:_LABELS_SHOWN]}
    shown = [f"{label} ({count})" if count else label for label, count in known.items()]
    more = f", and {len(labels) - _LABELS_SHOWN} more" if len(labels) > _LABELS_SHOWN else ""
    return ", ".join(shown) + more


def epochs_line(training: Mapping[str, Any]) -> str:
    """Epochs that were run, and the one that was kept, for each member."""
    runs, bests = (list_of(training.get(name)) for name in ("epochs_run", "best_epoch"))
    if not runs or len(runs) != len(bests):
        return f"{_UNKNOWN} epochs"
    return " and ".join(
        f"{_count(run) or _UNKNOWN} epochs (best: {_count(best) or _UNKNOWN})"
        for run, best in zip(runs, bests, strict=True)
    )


command = HelpCommand(
    name="info",
    callback=run,
    help=_HELP,
    examples=_EXAMPLES,
    params=[
        click.Argument(["model"], metavar="MODEL"),
        GroupedOption(["--json", "as_json"], is_flag=True, help="All that is known, as one JSON object."),
    ],
)
