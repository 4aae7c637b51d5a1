"""Data in memory: lists, tuples, data frames and data sets. No library is imported: the shape decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from unrolled.errors import DataError

BATCH_ROWS = 8192
SAMPLE_ROWS = 1000

_ACCEPTED = (
    "give a path, '-', a list of texts, a list of (text, label) pairs, a list of dicts, "
    "a tuple (texts, labels), a pandas or polars DataFrame, a Hugging Face Dataset or an Arrow table"
)


class MemoryTable:
    """Rows in memory behind the interface of a file.

    Args:
        name: how messages call it.
        names: the columns.
        length: number of rows.
        rows: ``rows(start, stop, columns)`` gives the rows of a slice, only those columns, in order.
        fixed: the columns are text (and label) by their position, nothing is to be guessed.
    """

    def __init__(
        self,
        name: str,
        names: list[str],
        length: int,
        rows: Callable[[int, int, list[int]], list[Sequence[object]]],
        *,
        fixed: bool = False,
    ) -> None:
        self.name = f"<{name}>"
        self.names = names
        self.fixed = fixed
        self.size_bytes = None
        self.bytes_read = None
        self._length = length
        self._rows = rows
        if length == 0:
            raise DataError("is empty: nothing to read", source=self.name)

    def sample(self) -> list[list[object]]:
        """The first rows, all columns."""
        rows = self._rows(0, min(SAMPLE_ROWS, self._length), list(range(len(self.names))))
        return [list(row) for row in rows]

    def cells(self, text: int, label: int | None) -> Iterator[tuple[int, object, object]]:
        """Row number from 1, text and label."""
        wanted = [text] if label is None else [text, label]
        for start in range(0, self._length, BATCH_ROWS):
            rows = self._rows(start, min(start + BATCH_ROWS, self._length), wanted)
            for number, row in enumerate(rows, start + 1):
                yield number, row[0], None if label is None else row[1]


def memory_table(source: Any) -> MemoryTable:
    """Recognise an object by what it can do.

    Raises:
        DataError: nothing that holds texts, texts and labels of different number, no rows.
    """
    library = type(source).__module__.partition(".")[0]
    kind = type(source).__name__
    if isinstance(source, tuple) and len(source) == 2 and not any(isinstance(part, str) for part in source):
        return _texts_and_labels(*source)
    if kind == "LazyFrame":
        raise DataError("this is a lazy frame: call collect() first", source=f"<{kind}>")
    if isinstance(source, dict):
        if library == "datasets" or any(hasattr(part, "column_names") for part in source.values()):
            splits = ", ".join(map(str, source))
            raise DataError(
                f"this holds several splits ({splits}): choose one, data['...']", source=f"<{kind}>"
            )
        raise DataError(f"a dict is not a source of rows: {_ACCEPTED}", source=f"<{kind}>")
    if library == "pyarrow" and hasattr(source, "to_pylist") and hasattr(source, "column_names"):
        return _arrow(source, kind)
    if hasattr(source, "iloc") and hasattr(source, "columns"):
        return _pandas(source, kind)
    if hasattr(source, "height") and hasattr(source, "get_columns"):
        return _polars(source, kind)
    if hasattr(source, "column_names") and hasattr(source, "__getitem__"):
        return _dataset(source, kind)
    return _sequence(_as_list(source, kind), kind)


def _as_list(source: Any, kind: str) -> Sequence[Any]:
    if isinstance(source, (str, bytes)) or not (hasattr(source, "__len__") and hasattr(source, "__iter__")):
        raise DataError(f"cannot read texts from an object of type {kind}: {_ACCEPTED}")
    if isinstance(source, (list, tuple)):
        return source
    if hasattr(source, "tolist"):  # numpy array, pandas Series
        values = source.tolist()
        return values if isinstance(values, list) else [values]
    return list(source)


def _sequence(items: Sequence[Any], kind: str) -> MemoryTable:
    first = items[0] if len(items) else ""
    if isinstance(first, dict):
        return _dicts(items, kind)
    if isinstance(first, (tuple, list)):
        return _pairs(items, kind)
    return MemoryTable(
        f"{kind} of texts",
        ["text"],
        len(items),
        lambda start, stop, _: [(text,) for text in items[start:stop]],
        fixed=True,
    )


def _pairs(items: Sequence[Any], kind: str) -> MemoryTable:
    name = f"{kind} of pairs"
    for number, item in enumerate(items, 1):
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise DataError(
                "this is not a (text, label) pair as the first row is", source=f"<{name}>", line=number
            )
    return MemoryTable(
        name,
        ["text", "label"],
        len(items),
        lambda start, stop, columns: [[row[column] for column in columns] for row in items[start:stop]],
        fixed=True,
    )


def _texts_and_labels(texts: Any, labels: Any) -> MemoryTable:
    name = "texts and labels"
    columns = [_as_list(texts, type(texts).__name__), _as_list(labels, type(labels).__name__)]
    lengths = [len(column) for column in columns]
    if lengths[0] != lengths[1]:
        raise DataError(
            f"{lengths[0]} texts but {lengths[1]} labels: give one label a text", source=f"<{name}>"
        )
    return MemoryTable(name, ["text", "label"], lengths[0], _by_column(columns), fixed=True)


def _by_column(columns: Sequence[Sequence[Any]]) -> Callable[[int, int, list[int]], list[Sequence[object]]]:
    def rows(start: int, stop: int, wanted: list[int]) -> list[Sequence[object]]:
        return list(zip(*(columns[index][start:stop] for index in wanted), strict=True))

    return rows


def _dicts(items: Sequence[Any], kind: str) -> MemoryTable:
    name = f"{kind} of dicts"
    keys = (key for item in items[:SAMPLE_ROWS] if isinstance(item, dict) for key in item)
    names = list(dict.fromkeys(key for key in keys if isinstance(key, str)))

    def rows(start: int, stop: int, wanted: list[int]) -> list[Sequence[object]]:
        keys = [names[index] for index in wanted]
        found: list[Sequence[object]] = []
        for number, item in enumerate(items[start:stop], start + 1):
            if not isinstance(item, dict):
                raise DataError("this is not a dict as the first row is", source=f"<{name}>", line=number)
            found.append([item.get(key) for key in keys])
        return found

    return MemoryTable(name, names, len(items), rows)


def _pandas(frame: Any, kind: str) -> MemoryTable:
    def rows(start: int, stop: int, wanted: list[int]) -> list[Sequence[object]]:
        return list(zip(*(frame.iloc[start:stop, index].tolist() for index in wanted), strict=True))

    return MemoryTable(kind, [str(name) for name in frame.columns], len(frame), rows)


def _polars(frame: Any, kind: str) -> MemoryTable:
    def rows(start: int, stop: int, wanted: list[int]) -> list[Sequence[object]]:
        part = frame.slice(start, stop - start).get_columns()
        return list(zip(*(part[index].to_list() for index in wanted), strict=True))

    return MemoryTable(kind, list(frame.columns), frame.height, rows)


def _arrow(table: Any, kind: str) -> MemoryTable:
    def rows(start: int, stop: int, wanted: list[int]) -> list[Sequence[object]]:
        part = table.slice(start, stop - start)
        return list(zip(*(part.column(index).to_pylist() for index in wanted), strict=True))

    return MemoryTable(kind, list(table.column_names), table.num_rows, rows)


def _dataset(data: Any, kind: str) -> MemoryTable:
    """Hugging Face ``Dataset``: slices are dicts of lists. ``ClassLabel`` numbers become class names."""
    if not hasattr(data, "__len__"):
        raise DataError(
            "this data set is a stream: save it as JSON Lines and give the path", source=f"<{kind}>"
        )
    names = list(data.column_names or [])
    features = getattr(data, "features", None) or {}
    classes: dict[str, list[str]] = {}
    for name in names:
        found = getattr(features.get(name), "names", None)
        if isinstance(found, list):
            classes[name] = found

    def rows(start: int, stop: int, wanted: list[int]) -> list[Sequence[object]]:
        part = data[start:stop]
        return list(zip(*(_named(part[names[i]], classes.get(names[i])) for i in wanted), strict=True))

    return MemoryTable(kind, names, len(data), rows)


def _named(values: Any, classes: list[str] | None) -> list[Any]:
    if classes is None:
        return list(values)
    return [
        classes[value]
        if isinstance(value, int) and 0 <= value < len(classes)
        else None
        if value == -1
        else value
        for value in values
    ]
