"""Tables, sizes and pictures."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from unrolled.cli.console import console, cut
from unrolled.cli.evaluate import _draw
from unrolled.cli.notes import bad_row_lines
from unrolled.cli.plot import plot_confusion
from unrolled.cli.report import show_classes, show_confusion, show_figures, unseen_line
from unrolled.cli.sizes import duration, size
from unrolled.errors import DataError, MissingExtraError


def drawn(show: object, *arguments: object, width: int = 80, **settings: object) -> str:
    stream = io.StringIO()
    show(Console(file=stream, width=width, **settings), *arguments)  # type: ignore[operator,arg-type]
    return stream.getvalue()


def test_confusion_table_holds_every_count_in_its_place() -> None:
    text = drawn(show_confusion, ["cat", "dog"], [[31, 7], [5, 1042]])
    rows = [line.split() for line in text.splitlines()]
    assert rows[0][-2:] == ["cat", "dog"]
    assert rows[1] == ["cat", "31", "7"]
    assert rows[2] == ["dog", "5", "1042"]
    assert "\x1b" not in text


def test_confusion_table_is_shaded_by_the_share_of_the_row() -> None:
    text = drawn(show_confusion, ["cat", "dog"], [[90, 10], [0, 5]], force_terminal=True, color_system="256")
    cat, dog = text.splitlines()[1:3]
    assert "48;5;34m  90" in cat and "48;5;236m  10" in cat
    assert "48;5;34m   5" in dog and "\x1b[2m   ." in dog


@pytest.mark.parametrize("count", [2, 9, 12])
def test_confusion_table_columns_line_up(count: int) -> None:
    labels = [f"라벨 {number}" for number in range(count)]
    matrix = [[10 ** (row % 3) for _ in range(count)] for row in range(count)]
    from rich.cells import cell_len

    lines = drawn(show_confusion, labels, matrix).rstrip("\n").split("\n")
    assert len(lines) == count + 1
    assert len({cell_len(line) for line in lines}) == 1


def test_a_table_wider_than_the_terminal_becomes_a_list_of_the_largest_confusions() -> None:
    labels = [f"label number {number}" for number in range(30)]
    matrix = [[50 if i == j else 0 for j in range(30)] for i in range(30)]
    matrix[3][17] = 50
    text = drawn(show_confusion, labels, matrix)
    assert max(map(len, text.splitlines())) <= 80
    assert [line for line in text.splitlines() if "label number" in line] == [
        "label number 3  label number 17     50        50.0%"
    ]


def test_figures_and_classes() -> None:
    text = drawn(show_figures, {"n": 1234, "accuracy": 0.5, "macro_f1": 0.25, "confusion": None})
    assert [line.split() for line in text.splitlines()] == [
        ["texts", "1,234"],
        ["accuracy", "0.5000"],
        ["macro", "F1", "0.2500"],
    ]
    assert "undefined" in drawn(show_figures, {"n": 1, "mae": 0.0, "r2": None})
    row = drawn(
        show_classes, {"a": {"precision": 1.0, "recall": 0.5, "f1": 0.667, "support": 2000}}
    ).splitlines()[1]
    assert row.split() == ["a", "1.000", "0.500", "0.667", "2,000"]


def test_unseen_labels_are_named() -> None:
    line = unseen_line({"x": 1200, **{str(n): 1 for n in range(9)}})
    assert "x (1,200)" in line and line.endswith("and 5 more.")


def test_console_in_a_pipe_is_plain_and_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    screen = console()
    screen.print("x" * 150, style="bold red")
    assert stream.getvalue() == "x" * 150 + "\n"


def test_cut_counts_wide_characters_as_two() -> None:
    assert cut("한국어 문장", 11) == "한국어 문장"
    assert cut("한국어 문장", 8) == "한국어…"
    assert cut("a  b\nc", 10) == "a b c"


def test_sizes_and_times() -> None:
    assert [size(n) for n in (0, 999, 1000, 999_949, 999_950, 18_640_000, 2_500_000_000)] == [
        *("0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "18.6 MB", "2.5 GB"),
    ]
    assert [duration(s) for s in (0.04, 9.94, 9.96, 59.4, 59.6, 185, 3599.6, 7800)] == [
        *("0.0 s", "9.9 s", "10 s", "59 s", "1 min 00 s", "3 min 05 s", "1 h 00 min", "2 h 10 min"),
    ]


def test_bad_rows_are_counted_by_reason() -> None:
    lines = bad_row_lines("a.csv", {"empty text": 2, "missing label": 1200}, ["a.csv:3 x", "a.csv:9 y"])
    assert lines[0] == "a.csv: left out 1,202 rows (missing label: 1200, empty text: 2); the first:"
    assert lines[1:] == ["  a.csv:3 x", "  a.csv:9 y"]
    assert bad_row_lines("a.csv", {}, []) == []


def test_picture_of_the_confusion_table(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot_confusion(["긍정", "부정"], [[3, 1], [0, 0]], tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataError, match=r"missing.folder|No such file"):
        plot_confusion(["a"], [[1]], tmp_path / "missing folder" / "c.png")
    with pytest.raises(DataError, match="cannot be written"):
        plot_confusion(["a"], [[1]], tmp_path / "c.docx")


def test_picture_without_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="matplotlib"):
        plot_confusion(["a"], [[1]], tmp_path / "c.png")


def test_a_picture_of_many_labels_stays_small(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    count = 300
    matrix = [[int(i == j) for j in range(count)] for i in range(count)]
    plot_confusion([f"label {number}" for number in range(count)], matrix, tmp_path / "c.png")
    header = (tmp_path / "c.png").read_bytes()[16:24]
    assert int.from_bytes(header[:4]) == int.from_bytes(header[4:]) == 3000


def test_the_default_picture_is_left_out_for_many_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    confusion = {"labels": [str(number) for number in range(61)], "matrix": [[0] * 61] * 61}
    _draw({"confusion": confusion}, None, wanted=True)
    assert "no picture" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
