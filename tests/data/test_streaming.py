"""Records come before the end of the input, in constant memory; answers go out atomically."""

from __future__ import annotations

import gzip
import itertools
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest

from unrolled.data import Record, open_records, open_writer
from unrolled.errors import DataError, OptionError


def test_a_file_is_read_lazily(tmp_path: Path) -> None:
    path = tmp_path / "large.tsv"
    with path.open("w") as file:
        file.write("text\tlabel\n")
        for i in range(60):
            file.write(
                "".join(f"some words of a text {j} and more of them\t{j % 2}\n" for j in range(i, i + 10_000))
            )
    reader = open_records(path, needs_label=True)
    first = next(iter(reader))
    assert first == Record("some words of a text 0 and more of them", "0", 2)
    assert reader.bytes_read is not None
    assert reader.size_bytes is not None
    assert 0 < reader.bytes_read < reader.size_bytes / 5
    tracemalloc.start()
    count = sum(1 for _ in reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 600_000
    assert reader.bytes_read == reader.size_bytes
    assert peak < 12e6 < reader.size_bytes


def test_a_packed_file_that_unfolds_to_much_is_read_in_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.txt.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(40):
            file.write(b"the same line again and again\n" * 50_000)
    tracemalloc.start()
    records = open_records(path, needs_label=False)
    count = sum(1 for _ in itertools.islice(records, 500_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 500_000
    assert peak < 14e6


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_answers_can_come_while_a_pipe_is_still_open(tmp_path: Path) -> None:
    path = tmp_path / "pipe.txt"
    os.mkfifo(path)
    go_on = threading.Event()

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            pipe.write(b"x" * 300_000 + b"\nfirst\nsec")
            go_on.wait(20)
            pipe.write(b"ond\n")

    writer = threading.Thread(target=write)
    writer.start()
    records = iter(open_records(path, needs_label=False))
    assert len(next(records).text) == 300_000
    assert next(records).text == "first"
    go_on.set()
    assert [record.text for record in records] == ["second"]
    writer.join()


def test_import_is_light() -> None:
    code = "import sys, unrolled.data; print(*{'pyarrow', 'pandas', 'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), open_writer(path) as writer:
        writer.write({"label": "x"})
        writer.flush()
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with open_writer(path) as writer:
        writer.write({"text": 'a "b", c', "labels": ["x", "y"], "p": None})
    assert path.read_text() == 'text,labels,p\n"a ""b"", c",x|y,\n'


def test_tsv_has_no_line_ends_inside_values(tmp_path: Path) -> None:
    with open_writer(tmp_path / "out.tsv") as writer:
        writer.write({"text": 'a\tb\r\n"c"', "p": 0.5})
    assert (tmp_path / "out.tsv").read_text() == 'text\tp\na b "c"\t0.5\n'


def test_links_and_devices_are_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "target.jsonl", tmp_path / "link.jsonl"
    target.write_text("")
    link.symlink_to(target)
    with open_writer(link) as writer:
        writer.write({"text": "가"})
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == '{"text": "가"}\n'
    if Path("/dev/null").is_char_device():
        with open_writer("/dev/null", "csv") as writer:
            writer.write({"a": 1})
        assert Path("/dev/null").is_char_device()


def test_standard_output_stays_open(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with open_writer("-") as writer:
        writer.write({"label": "긍정", "p": 0.9})
    print("still there", flush=True)
    assert capfdbinary.readouterr().out == "label\tp\n긍정\t0.9\nstill there\n".encode()


def test_writer_refuses(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not tell a format"):
        open_writer(tmp_path / "out.txt")
    with pytest.raises(OptionError, match="cannot be written"):
        open_writer(tmp_path / "out", "parquet")
    with pytest.raises(DataError, match="cannot be written"):
        open_writer(tmp_path / "nowhere" / "out.csv")
    with pytest.raises(DataError, match="is a folder"):
        open_writer(tmp_path, "csv")
    with pytest.raises(DataError, match="keys"), open_writer(tmp_path / "out.csv") as writer:
        writer.write({"a": 1})
        writer.write({"b": 1})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("nsmc/train.tsv", 60_000, ("text", "label")),
        ("sst2/train.tsv", 6_920, ("text", "label")),
        ("chatbot_ko/train.tsv", 10_641, ("Q", "label")),
    ],
)
def test_real_sets_equal_a_naive_reading(
    shared_data: Path, name: str, rows: int, columns: tuple[str, str]
) -> None:
    lines = (shared_data / name).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    header = lines[0].split("\t")
    text, label = (header.index(column) for column in columns)
    expected = [(fields[text], fields[label]) for fields in (line.split("\t") for line in lines[1:])]
    reader = open_records(shared_data / name, needs_label=True)
    assert [(record.text, record.label) for record in reader] == expected
    assert len(expected) == rows
    assert reader.columns[:2] == columns
