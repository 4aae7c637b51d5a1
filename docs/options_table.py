"""Writes the tables of docs/options.md from the options themselves: python docs/options_table.py"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unrolled.options import (
    PRESET_REASONS,
    PRESETS,
    TAGGER_PRESET_REASONS,
    TAGGER_PRESETS,
    ClassifierOptions,
    Options,
    TaggerOptions,
)

PAGE = Path(__file__).with_name("options.md")
BEGIN = "<!-- tables: written by options_table.py -->\n"


def tables(
    title: str, options: type[Options], presets: Mapping[str, Mapping[str, Any]], reasons: Mapping[str, str]
) -> str:
    """The presets and all options of a task by group, as Markdown."""
    lines = [
        f"# {title}",
        "",
        "## Presets",
        "",
        "| preset | what it is for | what it changes |",
        "|---|---|---|",
    ]
    for name, changes in presets.items():
        changed = ", ".join(f"`{option}={_shown(value)}`" for option, value in changes.items())
        lines.append(f"| `{name}` | {reasons[name]} | {changed or 'nothing: these are the defaults'} |")
    fields = dataclasses.fields(options)
    for group in dict.fromkeys(field.metadata["group"] for field in fields):
        lines += ["", f"## {group}", "", "| option | default | values | meaning |", "|---|---|---|---|"]
        for field in fields:
            if field.metadata["group"] == group:
                default, help = _shown(field.default), field.metadata["help"]
                lines.append(f"| `{field.name}` | `{default}` | {_values(field)} | {help} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page with its tables made anew."""
    parts = [
        tables("Options of a classifier", ClassifierOptions, PRESETS, PRESET_REASONS),
        tables("Options of a tagger", TaggerOptions, TAGGER_PRESETS, TAGGER_PRESET_REASONS),
    ]
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[0] + BEGIN + "\n" + "\n".join(parts)


def _values(field: dataclasses.Field[object]) -> str:
    meta = field.metadata
    if meta["choices"]:
        return ", ".join(f"`{choice}`" for choice in meta["choices"])
    if meta["low"] is not None:
        return f"{_shown(meta['low'])} to {_shown(meta['high'])}"
    return {"bool": "`True`, `False`", "str": "text"}[str(field.type)]


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if value < 2**31 - 1 else "2^31 - 1"
    return '""' if value == "" else str(value)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
