"""Lists, data frames and data sets."""

from __future__ import annotations

import math
from typing import Any

import pytest

from unrolled.data import Record, open_records
from unrolled.errors import DataError

PAIRS = [("good film", "pos"), ("bad film", "neg")]
RECORDS = [Record("good film", "pos", 1), Record("bad film", "neg", 2)]


class DuckDataset:
    """The part of a Hugging Face ``Dataset`` that is used: names, length, slices, features."""

    def __init__(self, data: dict[str, list[Any]], features: dict[str, Any] | None = None) -> None:
        self._data = data
        self.column_names = list(data)
        self.features = features

    def __len__(self) -> int:
        return len(self._data[self.column_names[0]])

    def __getitem__(self, rows: slice) -> dict[str, list[Any]]:
        return {name: values[rows] for name, values in self._data.items()}


class ClassLabel:
    names = ["neg", "pos"]  # noqa: RUF012


def sources() -> list[Any]:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    texts, labels = map(list, zip(*PAIRS, strict=True))
    columns = {"text": texts, "label": labels}
    return [
        PAIRS,
        (texts, labels),
        (np.array(texts), pd.Series(labels)),
        [{"id": 7, "text": text, "label": label} for text, label in PAIRS],
        pd.DataFrame(columns, index=[5, 5]),
        pa.table(columns),
        DuckDataset(columns),
        DuckDataset({"text": texts, "label": [1, 0]}, {"text": None, "label": ClassLabel()}),
    ]


@pytest.mark.parametrize("index", range(8))
def test_all_forms_give_the_same_records_again_and_again(index: int) -> None:
    reader = open_records(sources()[index], needs_label=True)
    assert list(reader) == RECORDS
    assert list(reader) == RECORDS
    assert reader.size_bytes is None
    assert reader.bytes_read is None


def test_texts_alone() -> None:
    reader = open_records(["a", "", "c"], needs_label=False)
    assert [(record.text, record.label, record.line) for record in reader] == [
        ("a", None, 1),
        ("", None, 2),
        ("c", None, 3),
    ]
    with pytest.raises(DataError, match="no labels"):
        open_records(["a"], needs_label=True)


def test_more_rows_than_a_batch() -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {"text": [f"text {i}" for i in range(20_000)], "label": [i % 3 for i in range(20_000)]}
    )
    records = list(open_records(frame, needs_label=True))
    assert [record.text for record in records] == list(frame["text"])
    assert [record.line for record in records] == list(range(1, 20_001))
    assert {record.label for record in records} == {"0", "1", "2"}


def test_missing_values_of_pandas_are_bad_rows() -> None:
    import pandas as pd

    frame = pd.DataFrame({"text": ["a", None, "c", "d"], "label": [1.0, 0.0, math.nan, 2.0]})
    reader = open_records(frame, needs_label=True, skip_bad_rows=True)
    assert [(record.text, record.label) for record in reader] == [("a", "1"), ("d", "2")]
    assert reader.bad_rows == {"missing text": 1, "missing label": 1}
    assert reader.bad_examples == ["<DataFrame>:2 the text is missing", "<DataFrame>:3 the label is missing"]
    nullable = pd.DataFrame({"text": ["a", "b"], "label": pd.array([1, None], dtype="Int64")})
    with pytest.raises(DataError, match="<DataFrame>:2: the label is missing"):
        list(open_records(nullable, needs_label=True))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "empty"),
        ((["a"], ["x", "y"]), "1 texts but 2 labels"),
        ([("a", "x"), ("b",)], ":2: .*pair"),
        (7, "cannot read texts from an object of type int: give a path"),
        ({"text": ["a"]}, "dict"),
        (
            {"train": DuckDataset({"text": ["a"]}), "test": DuckDataset({"text": ["a"]})},
            "several splits.*train, test",
        ),
        (["a", 5], "of type int, not a string"),
        ([("a", "x"), ("b", ["y"])], "label is a list.*'multi'"),
    ],
)
def test_what_cannot_be_used(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(open_records(source, needs_label=not (isinstance(source, list) and source[:1] == ["a"])))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("single", 1, "1"),
        ("single", 1.0, "1"),
        ("single", 0.5, "0.5"),
        ("single", True, "true"),
        ("single", " pos ", "pos"),
        ("number", "3.5", 3.5),
        ("number", 4, 4.0),
        ("multi", "a|b| a|", ["a", "b"]),
        ("multi", "", []),
        ("multi", ["a", 1], ["a", "1"]),
        ("multi", [], []),
    ],
)
def test_labels(kind: Any, value: object, expected: object) -> None:
    (record,) = open_records([("text", value)], needs_label=True, label_kind=kind)
    assert record.label == expected
    assert type(record.label) is type(expected)


@pytest.mark.parametrize(
    "value", ["nan", "inf", "-Infinity", "one", "1_000", "1,5", math.inf, None, "", 10**400]
)
def test_labels_that_are_no_number(value: object) -> None:
    with pytest.raises(DataError, match="label"):
        list(open_records([("text", value)], needs_label=True, label_kind="number"))


def test_numpy_scalars_are_labels() -> None:
    import numpy as np

    source = [("a", np.int64(1)), ("b", np.float32(2.0)), ("c", np.str_("x"))]
    assert [record.label for record in open_records(source, needs_label=True)] == ["1", "2", "x"]
