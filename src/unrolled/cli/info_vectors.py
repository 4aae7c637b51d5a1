"""What ``unrolled info`` says about a folder of word vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unrolled.cli.info import files_size, number_of, object_of, text_of
from unrolled.embed.options import VectorOptions


def show(folder: str, info: Mapping[str, Any]) -> None:
    """Draw the table.

    Args:
        folder: of the vectors.
        info: of ``WordVectors.info``; the training's notes may hold anything.
    """
    from unrolled.cli.console import console, cut, draw, table
    from unrolled.cli.sizes import duration

    rows = table("", "", left=2)
    rows.show_header = False
    rows.columns[0].style = "bold"
    rows.columns[0].no_wrap = True
    options, training = object_of(info["options"]), object_of(info["training"])
    rows.add_row("vectors", folder)
    ngrams = f", and {info['ngram_rows']:,} n-grams for all others" if info["ngram_rows"] is not None else ""
    rows.add_row("gives", f"{info['dim']} numbers for each of {info['words']:,} words{ngrams}")
    if options:
        loss = f"{options['negative']} negatives" if options["negative"] else "hierarchical softmax"
        rows.add_row("built as", f"{options['model']}, window {options['window']}, {loss}")
    if training:
        known = {name: number_of(training.get(name)) for name in ("tokens", "kept_tokens", "different_words")}
        counted = ", ".join(
            f"{value:,.0f} {name.replace('_', ' ')}" for name, value in known.items() if value is not None
        )
        rows.add_row("text", f"{cut(text_of(training.get('text')) or 'unknown', 60)}: {counted or 'unknown'}")
        rows.add_row("", f"sha256 {(text_of(training.get('sha256')) or 'unknown')[:12]}")
        seconds = number_of(training.get("seconds"))
        rows.add_row("trained", "unknown" if seconds is None else duration(seconds))
    rows.add_row("size", files_size(folder, 0))
    if options:
        usual = VectorOptions().to_dict()
        changed = [f"{name} {value}" for name, value in options.items() if value != usual.get(name)]
        rows.add_row("options", ", ".join(changed) or "unchanged")
    draw(console(), rows)
