"""What other writers write is read back equal: csv, json, pyarrow, gzip and the own writer."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unrolled.data import open_records, open_writer

# NUL is refused in text files; surrogates cannot be encoded.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
ROWS = st.lists(st.tuples(TEXT, st.sampled_from(["pos", "neg", "긍정"])), min_size=1, max_size=8)
PLAIN = TEXT.map(lambda text: text.replace("\t", " ").replace("\n", " ").replace("\r", " "))


def read(path: Path, **options: object) -> list[tuple[str, object]]:
    options = {"text_column": "text", "label_column": "label", "needs_label": False} | options
    return [(record.text, record.label) for record in open_records(path, **options)]  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples of a run, as hypothesis runs many in one test."""
    return tmp_path_factory.mktemp("round_trip")


def store(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@settings(max_examples=60, deadline=None)
@given(rows=ROWS, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), mark=st.booleans())
@example(rows=[('a "b", c', "pos"), ("x\r\ny\n\n", "neg")], quoting=csv.QUOTE_MINIMAL, mark=True)
def test_csv(
    folder: Path, name: str, ending: str, rows: list[tuple[str, str]], quoting: int, mark: bool
) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=quoting, lineterminator=ending).writerows([("text", "label"), *rows])
    path = store(folder, name, buffer.getvalue().encode("utf-8-sig" if mark else "utf-8"))
    assert read(path) == rows


@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_a_fully_quoted_tsv_is_seen_to_be_quoted(folder: Path, rows: list[tuple[str, str]]) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, "excel-tab", quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    assert read(store(folder, "d.tsv", buffer.getvalue().encode())) == rows


@pytest.mark.parametrize("name", ["d.tsv", "d.tsv.gz"])
@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(PLAIN, st.sampled_from("01")), min_size=1, max_size=8))
@example(rows=[('"open', "1"), ('"closed"', "0"), ('mid"dle', "1")])
def test_a_plain_tsv_keeps_quotes(folder: Path, name: str, rows: list[tuple[str, str]]) -> None:
    lines = ["label\ttext", *(f"{label}\t{text}" for text, label in rows)]
    for ending in ("\n", "\r\n"):
        assert read(store(folder, name, (ending.join(lines) + ending).encode())) == rows


@pytest.mark.parametrize("name", ["d.jsonl", "d.jsonl.gz"])
@settings(max_examples=60, deadline=None)
@given(rows=ROWS, ascii_only=st.booleans())
def test_jsonl(folder: Path, name: str, rows: list[tuple[str, str]], ascii_only: bool) -> None:
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=ascii_only) for text, label in rows]
    assert read(store(folder, name, "\n".join(lines).encode())) == rows


@settings(max_examples=25, deadline=None)
@given(rows=ROWS, dictionary=st.booleans())
def test_parquet_and_arrow(folder: Path, rows: list[tuple[str, str]], dictionary: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = pa.array([label for _, label in rows])
    table = pa.table(
        {"text": [text for text, _ in rows], "label": labels.dictionary_encode() if dictionary else labels}
    )
    path = folder / "d.parquet"
    pq.write_table(table, path, row_group_size=3)
    assert read(path) == rows
    assert read(table) == rows  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["d.txt", "d.txt.gz"])
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(PLAIN, min_size=1, max_size=8))
def test_plain_text(folder: Path, name: str, texts: list[str]) -> None:
    path = store(folder, name, "".join(f"{text}\n" for text in texts).encode())
    assert [record.text for record in open_records(path, needs_label=False)] == [
        text.removeprefix("\ufeff") if index == 0 else text for index, text in enumerate(texts)
    ]


@pytest.mark.parametrize("name", ["o.csv", "o.csv.gz", "o.jsonl", "o.jsonl.gz"])
@settings(max_examples=30, deadline=None)
@given(rows=ROWS)
def test_own_writer(folder: Path, name: str, rows: list[tuple[str, str]]) -> None:
    path = folder / name
    with open_writer(path) as writer:
        for text, label in rows:
            writer.write({"text": text, "label": label})
    assert read(path) == rows
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("encoding", ["cp949", "utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_other_encodings(folder: Path, encoding: str) -> None:
    texts = (
        ["perfect été"]
        if encoding == "latin-1"
        else ["정말 재미있는 영화", "별로 \u0a0a였다" if "utf" in encoding else "별로"]
    )
    data = "text\tlabel\n" + "".join(f"{text}\tx\n" for text in texts)
    path = store(folder, "d.tsv", data.encode(encoding))
    assert [text for text, _ in read(path, encoding=encoding)] == texts


def test_a_byte_order_mark_of_utf16_is_enough(folder: Path) -> None:
    path = store(folder, "d.tsv", "text\tlabel\n좋다\t1\n".encode("utf-16"))
    reader = open_records(path, needs_label=True)
    assert [(record.text, record.label) for record in reader] == [("좋다", "1")]
    assert "UTF-16" in reader.notes[0]


def test_line_ends_of_the_classic_mac(folder: Path) -> None:
    assert read(store(folder, "d.tsv", b"text\tlabel\ra b\t1\rc d\t0\r")) == [("a b", "1"), ("c d", "0")]
