"""What every reader yields, and the one policy for rows that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass

from unrolled.errors import DataError

#: Longest line or quoted record that is read. Longer ones are bad rows: they would not fit a model anyway,
#: and without a bound a missing newline or quote would pull a whole file into memory.
MAX_RECORD_BYTES = 16 * 1024 * 1024

_EXAMPLES_KEPT = 5


@dataclass(frozen=True, slots=True)
class Record:
    """One text with its label.

    Attributes:
        text: the text, unchanged (no stripping, no normalisation).
        label: a string for one label a text, a list of strings for several, a float for a number;
            ``None`` if no label was asked for.
        line: 1-based line of the file at which the record begins; for Parquet and data in memory the
            1-based number of the row.
    """

    text: str
    label: str | float | list[str] | None
    line: int | None


class BadRows:
    """Either raises at the first bad row, or counts bad rows and keeps the first few as examples.

    Args:
        source: name that stands before ``:line:column`` in messages.
        skip: count and go on instead of raising.
    """

    def __init__(self, source: str, *, skip: bool) -> None:
        self.source = source
        self.skip = skip
        self.counts: dict[str, int] = {}
        self.examples: list[str] = []

    def clear(self) -> None:
        """Forget all rows: a new pass over the data begins."""
        self.counts.clear()
        self.examples.clear()

    def report(
        self, kind: str, detail: str, advice: str = "", *, line: int | None, column: int | None = None
    ) -> None:
        """Report one bad row.

        Args:
            kind: the reason in words that are the same for all such rows; rows are counted by it.
            detail: what is wrong with this row.
            advice: what the user can do, beside leaving the row out.
            line: 1-based line.
            column: 1-based byte of the line, or number of the field when the whole field is meant.

        Raises:
            DataError: unless bad rows are skipped.
        """
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if not self.skip:
            advice = f"{advice}, or" if advice else "correct it or"
            raise DataError(
                f"{detail}; {advice} add --skip-bad-rows to leave such rows out",
                source=self.source,
                line=line,
                column=column,
            )
        if len(self.examples) < _EXAMPLES_KEPT:
            place = ":".join(str(part) for part in (self.source, line, column) if part is not None)
            self.examples.append(f"{place} {detail}")
