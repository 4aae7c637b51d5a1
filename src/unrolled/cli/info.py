"""``unrolled info``: a saved model's own account of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from unrolled.cli.help import GroupedOption, HelpCommand
from unrolled.options import PRESETS, ClassifierOptions

_HELP = """\
What a model is, what it was trained on, how good it was, and how large it is.

The figures are those of training, on its dev file. Measure on a file of your own with: unrolled evaluate
"""

_EXAMPLES = """\
unrolled info sentiment/
unrolled info sentiment.zip --json
"""

_LABELS_SHOWN = 12


def run(model: str, as_json: bool) -> None:
    """Run the verb; the parameters are those of the command line."""
    from unrolled.runtime import load

    info = load(model).info()
    if as_json:
        click.echo(json.dumps(info, ensure_ascii=False, indent=2))
        return
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
    training = info.get("training", {})
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
        row("labels", _labels(info["labels"], training.get("label_counts", {})))
    for part, data in training.get("data", {}).items():
        if data:
            row(part, f"{data['name']}, {data['rows']:,} rows, sha256 {str(data['sha256'])[:12]}")
    if training.get("seconds") is not None:
        row("trained", f"{duration(training['seconds'])}, {_epochs(training)}")
    if training.get("created"):
        row("created", f"{training['created']} by unrolled {info.get('unrolled_version', '?')}")
    for part, figures in info["metrics"].items():
        row(f"on {part}", figures_line(figures))
        if apart := parts_line(figures):
            row("", apart)
    row("size", _size(model, info["bytes"]))
    row("parameters", f"{info['parameters']:,}, the embedding table kept as {info['storage']}")
    changed = changed_options(options)
    preset = changed.pop("preset")
    listed = ", ".join(f"{name} {cut(str(value), 40)}" for name, value in changed.items())
    row("options", f"preset {preset}" + (f" with {listed}" if listed else ", unchanged"))
    draw(screen, rows)


def _size(model: str, weights: int) -> str:
    from unrolled.cli.sizes import size

    path = Path(model)
    if not path.is_dir():
        return f"{size(path.stat().st_size)} packed, {size(weights)} in memory"
    files = {file.name: file.stat().st_size for file in sorted(path.iterdir()) if file.is_file()}
    each = ", ".join(f"{name} {size(count)}" for name, count in files.items())
    return f"{size(sum(files.values()))} ({each})"


def _labels(labels: list[str], counts: Mapping[str, int]) -> str:
    shown = [f"{label} ({counts[label]:,})" if label in counts else label for label in labels[:_LABELS_SHOWN]]
    more = f", and {len(labels) - _LABELS_SHOWN} more" if len(labels) > _LABELS_SHOWN else ""
    return ", ".join(shown) + more


def _epochs(training: Mapping[str, Any]) -> str:
    """Epochs that were run, and the one that was kept, for each member."""
    return " and ".join(
        f"{run} epochs (best: {best})"
        for run, best in zip(training["epochs_run"], training["best_epoch"], strict=True)
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
