"""Guessing columns, header, delimiter, format: each guess is said, each doubt is an error that lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from unrolled.data import open_records
from unrolled.errors import DataError, OptionError

ROWS = [(f"row number {i} says something of some length", "yes" if i % 3 else "no") for i in range(12)]


def file(tmp_path: Path, text: str, name: str = "d.tsv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def table(header: str | None, rows: list[tuple[object, ...]]) -> str:
    lines = ["\t".join(map(str, row)) for row in rows]
    return "\n".join(lines if header is None else [header, *lines]) + "\n"


@pytest.mark.parametrize(
    ("header", "rows", "text", "label"),
    [
        ("id\ttext\tlabel", [(i, *row) for i, row in enumerate(ROWS)], "text", "label"),
        ("Q\tA\tlabel", [(f"{row[0]}?", *row) for row in ROWS], "Q", "label"),
        ("리뷰\t라벨", ROWS, "리뷰", "라벨"),
        ("번호\t문장\t분류", [(i, *row) for i, row in enumerate(ROWS)], "문장", "분류"),
        (
            "review_text\treview_id\tstars",
            [(row[0], i, 5) for i, row in enumerate(ROWS)],
            "review_text",
            "stars",
        ),
        ("foo\tbar", ROWS, "foo", "bar"),
        ("bar\tfoo", [row[::-1] for row in ROWS], "foo", "bar"),
        ("nr\tbar\tfoo", [(i, *row[::-1]) for i, row in enumerate(ROWS)], "foo", "bar"),
        ("label_text\tlabel\ttext", [(row[1], row[1], row[0]) for row in ROWS], "text", "label"),
        ("text_length\tkind\ttext", [(len(row[0]), row[1], row[0]) for row in ROWS], "text", "kind"),
    ],
)
def test_with_a_header(
    tmp_path: Path, header: str, rows: list[tuple[object, ...]], text: str, label: str
) -> None:
    reader = open_records(file(tmp_path, table(header, rows)), needs_label=True)
    assert reader.columns == (text, label, True)
    assert f"'{text}'" in reader.notes[-1]
    assert f"'{label}'" in reader.notes[-1]
    assert len(list(reader)) == 12


@pytest.mark.parametrize("flipped", [False, True])
def test_without_a_header(tmp_path: Path, flipped: bool) -> None:
    rows: list[tuple[object, ...]] = [row[::-1] if flipped else row for row in ROWS]
    reader = open_records(file(tmp_path, table(None, rows)), needs_label=True)
    assert [(record.text, record.label) for record in reader] == ROWS
    assert any("no header" in note for note in reader.notes)
    assert next(iter(reader)).line == 1


def test_a_label_that_is_also_a_column_name_is_data(tmp_path: Path) -> None:
    rows: list[tuple[object, ...]] = [("what is this film", "question"), ("it is a film", "statement")] * 6
    assert len(list(open_records(file(tmp_path, table(None, rows)), needs_label=True))) == 12


def test_header_can_be_told(tmp_path: Path) -> None:
    path = file(tmp_path, "text\tlabel\nsome words\t1\n")
    assert len(list(open_records(path, needs_label=True, header=False, text_column=1, label_column=2))) == 2


def test_doubt_is_an_error_that_lists_the_columns(tmp_path: Path) -> None:
    rows: list[tuple[object, ...]] = [(text, text[::-1], label) for text, label in ROWS]
    path = file(tmp_path, table("left\tright\tkind", rows))
    with pytest.raises(
        DataError, match=r"which column is the text.*1 'left', 2 'right', 3 'kind'.*--text-column"
    ):
        open_records(path, needs_label=True)
    reader = open_records(path, needs_label=True, text_column="right")
    assert reader.columns == ("right", "kind", True)
    rows = [(text, label, label) for text, label in ROWS]
    with pytest.raises(DataError, match=r"which column is the label.*--label-column"):
        open_records(file(tmp_path, table("foo\tbar\tbaz", rows)), needs_label=True)


def test_told_columns(tmp_path: Path) -> None:
    path = file(tmp_path, table("id\ttext\tlabel", [(i, *row) for i, row in enumerate(ROWS)]))
    for text, label in (("text", "label"), (2, 3), ("2", "3")):
        reader = open_records(path, needs_label=True, text_column=text, label_column=label)
        assert reader.columns == ("text", "label", False)
        assert reader.notes == []
    with pytest.raises(DataError, match=r"no column 'txet'.*Did you mean 'text'.*id, text, label"):
        open_records(path, needs_label=True, text_column="txet")
    with pytest.raises(DataError, match=r"no column 4: there are 3"):
        open_records(path, needs_label=True, text_column=4)
    with pytest.raises(OptionError, match="as text and as label"):
        open_records(path, needs_label=True, text_column=2, label_column="text")


def test_duplicate_names(tmp_path: Path) -> None:
    path = file(tmp_path, "text\tlabel\ttext\na b\t1\tc d\n")
    with pytest.raises(DataError, match=r"d\.tsv:1:3: the header has 'text' twice \(columns 1 and 3\)"):
        open_records(path, needs_label=True)
    reader = open_records(path, needs_label=True, text_column=3, label_column=2)
    assert [record.text for record in reader] == ["c d"]


def test_labels_are_read_for_prediction_only_if_asked(tmp_path: Path) -> None:
    path = file(tmp_path, table("text\tlabel", [*ROWS, ("no label here", "")]))
    assert {record.label for record in open_records(path, needs_label=False)} == {None}
    labels = [record.label for record in open_records(path, needs_label=False, label_column="label")]
    assert labels == [label for _, label in ROWS] + [None]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_of_csv(tmp_path: Path, delimiter: str) -> None:
    text = f"text{delimiter}label\n" + "".join(f"so say {i}{delimiter}{i % 2}\n" for i in range(9))
    reader = open_records(file(tmp_path, text, "d.csv"), needs_label=True)
    assert [record.label for record in reader] == [str(i % 2) for i in range(9)]
    assert any("divided by" in note for note in reader.notes) == (delimiter != ",")


@pytest.mark.parametrize(
    ("content", "needs_label", "expected"),
    [
        ('{"text": "a b", "label": 1}\n', True, ["a b"]),
        ("text\tlabel\na b\t1\n", True, ["a b"]),
        ("text,label\na b,1\n", True, ["a b"]),
        ("just a line\nand, well, another\n", False, ["just a line", "and, well, another"]),
    ],
)
def test_format_by_content(tmp_path: Path, content: str, needs_label: bool, expected: list[str]) -> None:
    reader = open_records(file(tmp_path, content, "data"), needs_label=needs_label)
    assert [record.text for record in reader] == expected


def test_one_column_is_the_text(tmp_path: Path) -> None:
    path = file(tmp_path, "good film\n\nbad film\n", "d.tsv")
    assert [record.text for record in open_records(path, needs_label=False)] == ["good film", "", "bad film"]
    with pytest.raises(DataError, match="only one column"):
        open_records(path, needs_label=True)
    with pytest.raises(DataError, match=r"only one column.*--delimiter"):
        open_records(file(tmp_path, "text,label\na b,1\n"), needs_label=True)
    path = file(tmp_path, 'text\n"good, film"\n', "d.csv")
    assert [record.text for record in open_records(path, needs_label=False)] == ["good, film"]


def test_options_that_do_not_exist(tmp_path: Path) -> None:
    path = file(tmp_path, "a\tb\n")
    for options in (
        {"format": "xls"},
        {"quoting": "all"},
        {"label_kind": "two"},
        {"delimiter": "ab"},
        {"label_separator": ""},
    ):
        with pytest.raises(OptionError):
            open_records(path, needs_label=False, **options)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="Did you mean 'cp949'"):
        open_records(path, needs_label=False, encoding="cp94")
