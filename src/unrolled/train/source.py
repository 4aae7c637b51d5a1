"""What users hand to ``fit`` as records, opened by the one process that reads it, when it reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

from unrolled.data import LabelKind, Record, open_records

#: Task -> kind of label to read for it.
LABEL_KINDS: dict[str, LabelKind] = {"single": "single", "multi": "multi", "regression": "number"}

_CHUNK = 8192


class Source:
    """Labelled records of anything that ``unrolled.data.open_records`` takes, or of an iterator of
    ``(text, label)`` pairs.

    Args:
        data: a path, ``"-"``, lists, a data frame, a data set, an iterator.
        task: of the model; decides how labels are read.
        tell: called with a sentence about each guess, and about rows that were left out.
        reading: further keywords of ``open_records``.

    Attributes:
        name: how messages and the saved model call it.
    """

    def __init__(self, data: Any, *, task: str, tell: Callable[[str], None], **reading: Any) -> None:
        self.name = str(data) if isinstance(data, (str, Path)) else f"<{type(data).__name__}>"
        self._data = data
        self._tell = tell
        self._reading = {"needs_label": True, "label_kind": LABEL_KINDS[task], **reading}

    def __iter__(self) -> Iterator[Record]:
        """The records.

        Raises:
            DataError: what ``open_records`` and its reader raise.
        """
        if isinstance(self._data, Iterator):
            yield from self._of_iterator(self._data)
            return
        reader = open_records(self._data, **self._reading)
        for note in reader.notes:
            self._tell(note)
        yield from reader
        self._report(reader.bad_rows, reader.bad_examples)

    def _of_iterator(self, rows: Iterator[Any]) -> Iterator[Record]:
        start, bad, examples = 0, dict[str, int](), list[str]()
        while chunk := list(islice(rows, _CHUNK)):
            reader = open_records(chunk, **self._reading)
            for record in reader:
                yield Record(record.text, record.label, start + cast(int, record.line))
            start += len(chunk)
            for kind, count in reader.bad_rows.items():
                bad[kind] = bad.get(kind, 0) + count
            examples += reader.bad_examples[: 5 - len(examples)]
        self._report(bad, examples)

    def _report(self, bad: dict[str, int], examples: list[str]) -> None:
        if bad:
            kinds = ", ".join(f"{count} with {kind}" for kind, count in bad.items())
            self._tell(f"{self.name}: rows left out: {kinds}. For example: {'; '.join(examples)}")
