"""What the reader guessed and left out, told on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from unrolled.data import RecordReader


def tell_guesses(reader: RecordReader) -> None:
    """Say which columns and format were taken, where that was guessed."""
    for note in reader.notes:
        click.echo(note, err=True)


def tell_bad_rows(reader: RecordReader) -> None:
    """Say how many rows were left out, why, and which were the first."""
    for line in bad_row_lines(reader.name, reader.bad_rows, reader.bad_examples):
        click.echo(line, err=True)


def bad_row_lines(name: str, counts: dict[str, int], examples: list[str]) -> list[str]:
    """The report on rows that were left out of one file; empty if there were none."""
    total = sum(counts.values())
    if not total:
        return []
    reasons = ", ".join(
        f"{reason}: {count}" for reason, count in sorted(counts.items(), key=lambda item: -item[1])
    )
    lines = [f"{name}: left out {total:,} row{'s' if total != 1 else ''} ({reasons}); the first:"]
    return lines + [f"  {example}" for example in examples[:3]]
