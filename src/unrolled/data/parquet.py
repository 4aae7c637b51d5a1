"""Parquet files and Arrow tables, read batch by batch and only in the columns that are used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unrolled.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 8192
SAMPLE_ROWS = 1000


class ParquetTable:
    """A Parquet file.

    Args:
        path: a regular file.

    Attributes:
        names: top-level columns.
        bytes_read: share of the file's size that belongs to the rows read so far.

    Raises:
        DataError: corrupt, truncated, or not Parquet.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.name = str(path)
        self.size_bytes = size_bytes
        self.bytes_read = 0
        self._path = path
        file = self._open()
        self.names: list[str] = list(file.schema_arrow.names)
        self._rows = int(file.metadata.num_rows)
        file.close()
        twice = next((name for name in self.names if self.names.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"two columns are called '{twice}': rename one", source=self.name)
        if self._rows == 0:
            raise DataError("has columns but no rows: nothing to read", source=self.name)

    def sample(self) -> list[list[object]]:
        """The first rows, all columns."""
        rows: list[list[object]] = []
        for _, row in self._batches(list(self.names), SAMPLE_ROWS):
            rows += row
            break
        return rows

    def cells(self, text: int, label: int | None) -> Iterator[tuple[int, object, object]]:
        """Row number from 1, text and label."""
        wanted = [self.names[text]] + ([] if label is None else [self.names[label]])
        for first, rows in self._batches(wanted, BATCH_ROWS):
            for number, row in enumerate(rows, first):
                yield number, row[0], None if label is None else row[1]

    def _open(self) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(self._path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"not a readable Parquet file ({_first_line(error)})", source=self.name) from None

    def _batches(self, names: list[str], size: int) -> Iterator[tuple[int, list[list[object]]]]:
        import pyarrow as pa

        row = 1
        self.bytes_read = 0
        file = self._open()
        try:
            for batch in file.iter_batches(batch_size=size, columns=names):
                rows = rows_of(batch, names)
                self.bytes_read = self.size_bytes * (row - 1 + len(rows)) // self._rows
                yield row, rows
                row += len(rows)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"corrupt Parquet data ({_first_line(error)}): fetch or write the file again",
                source=self.name,
                line=row,
            ) from None
        finally:
            file.close()


def rows_of(batch: pa.RecordBatch, names: list[str]) -> list[list[object]]:
    """The rows of a record batch as lists of Python values in the order of ``names``."""
    columns = [batch.column(batch.schema.get_field_index(name)).to_pylist() for name in names]
    return [list(row) for row in zip(*columns, strict=True)]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
