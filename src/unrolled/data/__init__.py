"""Files -> records: CSV, TSV, JSON Lines, Parquet, plain text, gzip, standard input and objects in memory.

``open_records`` gives a stream of ``Record(text, label, line)``; ``open_writer`` writes answers.
"""

from unrolled.data.columns import Columns
from unrolled.data.labels import LabelKind
from unrolled.data.reader import RecordReader, open_records
from unrolled.data.records import MAX_RECORD_BYTES, Record
from unrolled.data.textfile import Quoting
from unrolled.data.writer import RowWriter, open_writer

__all__ = [
    "MAX_RECORD_BYTES",
    "Columns",
    "LabelKind",
    "Quoting",
    "Record",
    "RecordReader",
    "RowWriter",
    "open_records",
    "open_writer",
]
