"""Files -> records: CSV, TSV, JSON Lines, Parquet, plain text, gzip, standard input and objects in memory.

``open_records`` gives a stream of ``Record(text, label, line)``, ``open_tagged`` one of sentences with a tag
for each word (CoNLL-U, CoNLL columns, rows of characters); ``open_writer`` writes answers. Importing this
package imports none of its modules; each name is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrolled.data.columns import Columns
    from unrolled.data.labels import LabelKind
    from unrolled.data.reader import RecordReader, open_records
    from unrolled.data.records import MAX_RECORD_BYTES, Record
    from unrolled.data.tagged import TaggedReader, open_tagged
    from unrolled.data.tagged_rows import TaggedSentence
    from unrolled.data.textfile import Quoting
    from unrolled.data.writer import RowWriter, open_writer

_HOME = {
    "MAX_RECORD_BYTES": "records",
    "Columns": "columns",
    "LabelKind": "labels",
    "Quoting": "textfile",
    "Record": "records",
    "RecordReader": "reader",
    "RowWriter": "writer",
    "TaggedReader": "tagged",
    "TaggedSentence": "tagged_rows",
    "open_records": "reader",
    "open_tagged": "tagged",
    "open_writer": "writer",
}

__all__ = [
    "MAX_RECORD_BYTES",
    "Columns",
    "LabelKind",
    "Quoting",
    "Record",
    "RecordReader",
    "RowWriter",
    "TaggedReader",
    "TaggedSentence",
    "open_records",
    "open_tagged",
    "open_writer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
