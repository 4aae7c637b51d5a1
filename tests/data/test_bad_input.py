"""Each kind of bad input: an error that says file, line, column, reason and remedy; or a counted row."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data import MAX_RECORD_BYTES, open_records
from unrolled.errors import DataError, OptionError

GOOD = "text\tlabel\nfirst words\tx\n"
LONG_GOOD = GOOD + random.Random(0).randbytes(10**6).hex()
TOLD: dict[str, Any] = {"text_column": "text", "label_column": "label", "needs_label": True}


def file(tmp_path: Path, data: bytes | str, name: str = "d.tsv") -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def failure(path: Path, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        list(open_records(path, **(TOLD | options)))
    return caught.value


BAD_ROWS = [
    # name, bad line(s) after two good ones, line and column of the fault, reason counted, words
    ("d.tsv", "a\tb\tc", (3, 3), "wrong number of fields", "3 fields where the file has 2 (text, label)"),
    ("d.tsv", "only text", (3, 2), "wrong number of fields", "1 field where the file has 2"),
    ("d.tsv", '"a\tb"\tx', (3, 3), "wrong number of fields", "--quoting minimal"),
    ("d.tsv", "  \tx", (3, 1), "empty text", "the text is empty"),
    ("d.tsv", "words\t ", (3, 2), "missing label", "the label is empty"),
    ("d.tsv", "a\0b\tx", (3, 2), "NUL byte", "NUL byte"),
    ("d.tsv", b"ab\xff\tx", (3, 3), "undecodable bytes", "byte 0xFF is not valid UTF-8"),
    ("d.csv", "a,b,c", (3, 3), "wrong number of fields", "must stand in quotes"),
    ("d.csv", '"a"b,x', (3, 1), "text after a closing quote", "ends before 'b,x'"),
    ("d.csv", '"a\nb"c,x', (3, 1), "text after a closing quote", "ends on line 4 before 'c,x'"),
    ("d.csv", '"a,x', (3, 1), "unclosed quote", "--quoting none"),
    ("d.csv", b'"a\n\xff",x', (4, 1), "undecodable bytes", "byte 0xFF"),
    ("d.jsonl", '{"text": "a" "label": 1}', (3, 14), "bad JSON", "Expecting ',' delimiter"),
    ("d.jsonl", '{"text": "가" "label": 1}', (3, 16), "bad JSON", "Expecting ',' delimiter"),
    ("d.jsonl", '{"text": "a"}', (3, None), "missing key", "no key 'label' (its keys: text)"),
    ("d.jsonl", '{"text": null, "label": 1}', (3, None), "missing text", "the text is missing"),
    ("d.jsonl", '{"text": 5, "label": 1}', (3, None), "text of a wrong type", "type int"),
    ("d.jsonl", '{"text": "a", "label": null}', (3, None), "missing label", "missing"),
    ("d.jsonl", '{"text": "a", "label": NaN}', (3, None), "missing label", "missing"),
    ("d.jsonl", '{"text": "a", "label": {}}', (3, None), "label of a wrong type", "an object"),
    ("d.jsonl", '{"text": "\\ud800", "label": 1}', (3, None), "not Unicode", "surrogate"),
    ("d.jsonl", "[1]", (3, 1), "not a JSON object", "an array"),
    ("d.jsonl", "[" * 100_000, (3, 1), "bad JSON", "nested too deeply"),
    ("d.jsonl", '{"text": "a", "label": ' + "9" * 5000 + "}", (3, 1), "bad JSON", "too long"),
]


@pytest.mark.parametrize(("name", "bad", "place", "reason", "words"), BAD_ROWS)
def test_bad_rows(
    tmp_path: Path, name: str, bad: str | bytes, place: tuple[int, int | None], reason: str, words: str
) -> None:
    raw = bad.encode() if isinstance(bad, str) else bad
    if name == "d.jsonl":
        before, after = b'{"text": "a", "label": 1}\n' * 2, b'{"text": "z", "label": "1"}\n'
        good = ["a", "a", "z"]
    else:
        mark = b"," if name == "d.csv" else b"\t"
        before, after = b"text" + mark + b"label\na" + mark + b"x\n", b"z" + mark + b"x\n"
        good = ["a", "z"]
    path = file(tmp_path, before + raw + b"\n" + after, name)
    error = failure(path)
    assert (error.line, error.column) == place
    assert words in error.reason
    assert "--skip-bad-rows" in error.reason
    assert str(error).startswith(":".join(str(part) for part in (path, *place) if part is not None))

    reader = open_records(path, **TOLD, skip_bad_rows=True)
    for _ in range(2):  # counts start again with each pass
        texts = [record.text for record in reader]
        assert [text for text in texts if text in good] == good
        assert reader.bad_rows[reason] == 1
        assert len(reader.bad_examples) == sum(reader.bad_rows.values())
        assert words.split(" (")[0] in reader.bad_examples[0] or words.startswith(("--", "must"))


def test_examples_are_few_and_counts_complete(tmp_path: Path) -> None:
    path = file(tmp_path, GOOD + "one field\n" * 50 + "last words\ty\n")
    reader = open_records(path, **TOLD, skip_bad_rows=True)
    assert [record.text for record in reader] == ["first words", "last words"]
    assert reader.bad_rows == {"wrong number of fields": 50}
    assert len(reader.bad_examples) == 5
    assert reader.bad_examples[0].startswith(f"{path}:3:2 1 field")


def test_an_empty_text_is_valid_for_prediction(tmp_path: Path) -> None:
    path = file(tmp_path, "text\tlabel\n\tx\n")
    assert [record.text for record in open_records(path, text_column="text", needs_label=False)] == [""]


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ("text\tlabel\n정말 재미있는 영화\t1\n".encode("cp949"), "looks like CP949: add --encoding cp949"),
        ("글\t라벨\n정말\t1\n".encode("cp949"), "looks like CP949: add --encoding cp949"),
        ("text\tlabel\nun été à Paris\t1\n".encode("cp1252"), "--encoding cp1252"),
        ("text\tlabel\n정말\t1\n".encode() + b"\xec\x98\tx\n", "the rest is UTF-8"),
    ],
)
def test_the_encoding_is_named(tmp_path: Path, data: bytes, hint: str) -> None:
    assert hint in failure(file(tmp_path, data), text_column=None, label_column=None).reason


def test_a_wrong_encoding_is_named(tmp_path: Path) -> None:
    path = file(tmp_path, "text\tlabel\n정말 좋다\t1\n")
    assert "looks like UTF-8" in failure(path, encoding="cp949").reason
    error = failure(
        file(tmp_path, "text\tlabel\na\t1\n".encode("utf-16-le") + b"\x00\xd8\n\0"), encoding="utf-16-le"
    )
    assert (error.line, "not utf-16" in error.reason) == (3, True)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("d.tsv", b"", "the file is empty"),
        ("d.csv.gz", gzip.compress(b"", mtime=0), "the file is empty"),
        ("d.tsv", b"text\tlabel\n", "only a header"),
        ("d.tsv", b"\n\n\n", "only blank lines"),
        ("d.jsonl", b"\n\n", "no JSON object"),
        ("d.jsonl", b'[\n{"text": "a"}\n]\n', "JSON array"),
        ("d.tsv.gz", gzip.compress(GOOD.encode(), mtime=0)[:-4], "truncated"),
        ("d.tsv.gz", gzip.compress(LONG_GOOD.encode(), mtime=0)[:900_000], "truncated"),
        ("d.tsv.gz", gzip.compress(GOOD.encode(), mtime=0)[:-8] + b"abcdefgh", "corrupt gzip"),
        ("d.tsv.gz", GOOD.encode(), "holds no gzip data"),
        ("d.csv", b"PK\x03\x04rest", "Excel"),
        ("d.parquet", b"PAR1 and then nothing", "not a readable Parquet file"),
        ("d.parquet", GOOD.encode(), "not a readable Parquet file"),
        ("d.txt", b"a line\nanother\n", "no label column"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    for skip in (False, True):
        error = failure(file(tmp_path, data, name), text_column=None, label_column=None, skip_bad_rows=skip)
        assert words in error.reason
        assert error.source == str(tmp_path / name)


def test_parquet_damage_and_missing_columns(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "d.parquet"
    texts = [f"text {i} {os.urandom(9).hex()}" for i in range(5000)]
    pq.write_table(
        pa.table({"text": texts, "label": [i % 2 for i in range(5000)]}), path, compression="snappy"
    )
    reader = open_records(path, **TOLD)
    assert [(record.text, record.label) for record in reader] == [
        (t, str(i % 2)) for i, t in enumerate(texts)
    ]
    assert reader.bytes_read == reader.size_bytes == path.stat().st_size
    assert "no column 'review'" in failure(path, text_column="review").reason
    data = bytearray(path.read_bytes())
    data[1000:40_000] = bytes(39_000)
    path.write_bytes(data)
    assert "arquet" in failure(path).reason
    path.write_bytes(data[:-100])
    assert "not a readable Parquet file" in failure(path).reason


def test_no_such_file(tmp_path: Path) -> None:
    file(tmp_path, GOOD, "reviews.tsv")
    assert f"Did you mean '{tmp_path / 'reviews.tsv'}'" in failure(tmp_path / "Review.tsv").reason
    assert "folder" in failure(tmp_path / "nowhere" / "a.tsv").reason
    assert "is a folder" in failure(tmp_path).reason
    assert "reviews.tsv" in failure(tmp_path).reason
    assert "in a list" in failure(Path("a very good film")).reason
    assert "cannot be opened" in failure(tmp_path / ("x" * 5000)).reason


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = file(tmp_path, GOOD)
    path.chmod(0)
    assert "no permission" in failure(path).reason


def test_labels_that_are_no_numbers_stand_with_their_place(tmp_path: Path) -> None:
    error = failure(file(tmp_path, GOOD + "more\t2\n"), label_kind="number")
    assert (error.line, error.column) == (2, 2)
    assert "'x' is not a number" in error.reason


@pytest.mark.parametrize("name", ["d.tsv", "d.csv", "d.jsonl", "d.txt"])
def test_a_line_of_10_mb_works_and_a_longer_one_is_a_bad_row(tmp_path: Path, name: str) -> None:
    def row(text: str) -> str:
        return {
            "d.tsv": f"{text}\tx\n",
            "d.csv": f'"{text}",x\n',
            "d.jsonl": json.dumps({"text": text, "label": "x"}) + "\n",
            "d.txt": f"{text}\n",
        }[name]

    header = {"d.tsv": "text\tlabel\n", "d.csv": "text,label\n"}.get(name, "")
    long = "long " * 2_000_000
    options: dict[str, Any] = {"needs_label": False} if name == "d.txt" else TOLD
    path = file(tmp_path, header + row(long) + row("after"), name)
    assert [record.text for record in open_records(path, **options)] == [long, "after"]

    path = file(tmp_path, header + row("before") + row("x" * (MAX_RECORD_BYTES + 1)) + row("after"), name)
    with pytest.raises(DataError, match="longer than 16 MiB") as caught:
        list(open_records(path, **options))
    assert caught.value.line == (3 if header else 2)
    reader = open_records(path, **options, skip_bad_rows=True)
    assert [record.text for record in reader] == ["before", "after"]
    assert reader.bad_rows == {"line too long": 1}


def test_many_unclosed_quotes_take_linear_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unrolled.data import delimited

    taken = 0
    original = delimited._QuotedRows._next_line

    def counted(self: Any) -> str | None:
        nonlocal taken
        taken += 1
        return original(self)

    monkeypatch.setattr(delimited._QuotedRows, "_next_line", counted)
    lines = 3000
    path = file(tmp_path, "text,label\n" + 'a ""b"",x\n,"open""\n' * (lines // 2), "d.csv")
    reader = open_records(path, **TOLD, skip_bad_rows=True)
    list(reader)
    assert sum(reader.bad_rows.values()) > 0
    assert taken < 8 * lines


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    give("정말 재미있는 영화\nid\ttext\n".encode())
    reader = open_records("-", needs_label=False)
    assert reader.size_bytes is None
    assert [record.text for record in reader] == ["정말 재미있는 영화", "id\ttext"]
    with pytest.raises(DataError, match="-: standard input and pipes can be read only once"):
        list(reader)
    in_json = b'{"text": "first words", "label": "x"}\n'
    for data in (GOOD.encode(), gzip.compress(GOOD.encode(), mtime=0), in_json):
        give(data)
        assert [record.label for record in open_records("-", needs_label=True)] == ["x"]
    give(b"PAR1....")
    with pytest.raises(DataError, match="Parquet cannot be read from a pipe"):
        open_records("-", needs_label=True)
    give(b"")
    with pytest.raises(DataError, match="-: the file is empty"):
        open_records("-", needs_label=False)


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=200),
    name=st.sampled_from(["f.csv", "f.tsv", "f.jsonl", "f.txt", "f", "f.csv.gz", "f.parquet"]),
    skip=st.booleans(),
    needs_label=st.booleans(),
    encoding=st.sampled_from(["utf-8", "cp949", "utf-16"]),
)
def test_any_bytes_give_records_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory,
    data: bytes,
    name: str,
    skip: bool,
    needs_label: bool,
    encoding: str,
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    try:
        records = list(open_records(path, needs_label=needs_label, skip_bad_rows=skip, encoding=encoding))
    except (DataError, OptionError) as error:
        assert str(path) in str(error)
        return
    for record in records:
        record.text.encode("utf-8")
        assert record.line is not None
        assert not needs_label or record.label


@settings(max_examples=300, deadline=None)
@given(text=st.text('",\n\r\tab1', max_size=60), name=st.sampled_from(["g.csv", "g.tsv"]))
def test_hostile_quotes_lose_no_line_number(
    tmp_path_factory: pytest.TempPathFactory, text: str, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_text("text,label\n" + text + "\nlast,x\n", encoding="utf-8", newline="")
    reader = open_records(path, text_column=1, needs_label=False, header=True, skip_bad_rows=True)
    lines = [record.line for record in reader]
    assert lines == sorted(set(lines))  # type: ignore[type-var]
    assert all(1 < line <= text.count("\n") + 3 for line in lines if line is not None)
