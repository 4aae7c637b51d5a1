"""``unrolled info`` of a tagger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unrolled.cli.console import console, cut, draw, table
from unrolled.cli.info import epochs_line, files_size, number_of, object_of, text_of
from unrolled.cli.report import figures_line, parts_line
from unrolled.cli.sizes import duration
from unrolled.options import TAGGER_PRESETS, TaggerOptions

_LABELS_SHOWN = 20
_UNKNOWN = "unknown"
_SCHEMES = {"none": "a tag a word", "bio": "spans (BIO)", "iob1": "spans (IOB1)", "bioes": "spans (BIOES)"}


def show(model: str, info: Mapping[str, Any]) -> None:
    """Draw the table of facts."""
    rows = table("", "", left=2)
    rows.show_header = False
    rows.columns[0].style = "bold"
    rows.columns[0].no_wrap = True
    options, training = info["options"], object_of(info.get("training"))
    rows.add_row("model", model)
    rows.add_row("gives", _SCHEMES.get(info["scheme"], f"spans ({info['scheme'].upper()})"))
    rows.add_row("built as", _described(info))
    if wide := info.get("wide"):
        rows.add_row(
            "wide part",
            f"linear over {wide['rows']:,} features of words and their neighbours; "
            f"shares: network {wide['network_share']:.2f}, wide part {wide['wide_share']:.2f}",
        )
    labels = info["labels"]
    more = f", and {len(labels) - _LABELS_SHOWN} more" if len(labels) > _LABELS_SHOWN else ""
    rows.add_row("labels", ", ".join(labels[:_LABELS_SHOWN]) + more)
    for part, data in object_of(training.get("data")).items():
        rows.add_row(part, _data(object_of(data)))
    if training:
        seconds = number_of(training.get("seconds"))
        took = _UNKNOWN if seconds is None else duration(seconds)
        rows.add_row("trained", f"{took}, {epochs_line(training)}")
        created = text_of(training.get("created")) or _UNKNOWN
        rows.add_row("created", f"{created} by unrolled {text_of(info.get('unrolled_version')) or _UNKNOWN}")
    for part, found in object_of(info.get("metrics")).items():
        known = {name: number_of(value) for name, value in object_of(found).items()}
        rows.add_row(f"on {part}", figures_line(known) or _UNKNOWN)
        if all(known.get(name) is not None for name in ("network_alone", "wide_alone")):
            rows.add_row("", parts_line(known))
    rows.add_row("size", files_size(model, info["bytes"]))
    rows.add_row("parameters", f"{info['parameters']:,}, kept as {info['storage']}")
    rows.add_row("options", _options(options))
    draw(console(), rows)


def _described(info: Mapping[str, Any]) -> str:
    options = info["options"]
    layers = f"{options['layers']}-layer " if options["layers"] > 1 else ""
    parts = [f"{layers}bidirectional {options['model'].upper()}, {options['hidden']} units"]
    if options["ngram_max"]:
        parts.append(f"character n-grams of {options['ngram_min']} to {options['ngram_max']}")
    if options["characters"] == "lstm":
        parts.append(f"characters read by an LSTM of {options['char_hidden']} units")
    if info["by_character"]:
        parts.append("each character a word")
    parts.append("CRF" if info["crf"] else "softmax")
    one = ", ".join(parts)
    return f"{options['members']} x ({one}), averaged" if options["members"] > 1 else one


def _data(data: Mapping[str, Any]) -> str:
    name, digest = text_of(data.get("name")), text_of(data.get("sha256"))
    counts = [number_of(data.get(key)) for key in ("sentences", "words")]
    sentences, words = (_UNKNOWN if count is None else f"{count:,.0f}" for count in counts)
    return f"{name or _UNKNOWN}, {sentences} sentences, {words} words, sha256 {(digest or _UNKNOWN)[:12]}"


def _options(options: Mapping[str, Any]) -> str:
    def changes(preset: str) -> dict[str, Any]:
        usual = TaggerOptions.of(preset).to_dict()
        return {name: value for name, value in options.items() if name in usual and value != usual[name]}

    preset = min(TAGGER_PRESETS, key=lambda name: len(changes(name)))
    listed = ", ".join(f"{name} {cut(str(value), 40)}" for name, value in changes(preset).items())
    return f"preset {preset}" + (f" with {listed}" if listed else ", unchanged")
