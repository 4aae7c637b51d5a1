"""``unrolled predict``, ``evaluate`` and ``info`` from the outside."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from unrolled.cli.app import _run
from unrolled.cli.info import changed_options, describe
from unrolled.options import ClassifierOptions
from unrolled.runtime import load

from .conftest import Run, command_line, environment, write_reviews

TEXTS = ["a fine warm story", "정말 나쁜 이야기", "", 'tab\tand "quotes"', "boring and stupid"]


@pytest.fixture
def answers(model: Path) -> list[tuple[str, float]]:
    return [(str(a.label), float(str(a.probability))) for a in load(model).predict(TEXTS)]


def test_standard_input_a_line_a_text(run: Run, model: Path, answers: list[tuple[str, float]]) -> None:
    result = run("predict", model, stdin="\n".join(TEXTS) + "\n")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{label}\t{probability:.4f}\t{text}"
        for (label, probability), text in zip(answers, TEXTS, strict=True)
    ]
    assert answers[0][0] == "good" and answers[1][0] == "bad"


def test_json_lines_without_torch(
    run: Run, model: Path, answers: list[tuple[str, float]], no_torch: dict[str, str]
) -> None:
    result = run("predict", model, "--json", stdin="\n".join(TEXTS), extra=no_torch)
    assert (result.code, result.err) == (0, "")
    found = [json.loads(line) for line in result.out.splitlines()]
    assert [set(row) for row in found] == [{"label", "probability"}] * len(TEXTS)
    assert [(row["label"], row["probability"]) for row in found] == [
        (label, pytest.approx(p, abs=1e-5)) for label, p in answers
    ]


def test_korean_is_written_as_it_is(run: Run, tmp_path: Path, model: Path) -> None:
    result = run("predict", model, stdin="재미있는 영화\n", extra={"PYTHONUTF8": "0", "LC_ALL": "C.UTF-8"})
    assert result.out.endswith("\t재미있는 영화\n")


def test_probabilities_of_every_label(run: Run, model: Path, capsys: Any, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("lovely music\n")
    assert _run(["predict", str(model), str(texts), "--json", "--probabilities"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert list(row["probabilities"]) == ["bad", "good"]
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert row["probability"] == row["probabilities"][row["label"]]


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.jsonl", "out.csv.gz"])
def test_files_in_files_out_in_order(name: str, model: Path, tmp_path: Path, capsys: Any) -> None:
    texts = [f"{'lovely' if number % 3 else 'awful, noise'} {number}" for number in range(9000)]
    source = tmp_path / "in.csv.gz"
    with gzip.open(source, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "review"), *((f"n{n}", text) for n, text in enumerate(texts))])
    out = tmp_path / name
    assert (
        _run(
            [
                "predict",
                str(model),
                str(source),
                "--text-column",
                "review",
                "--out",
                str(out),
                "--probabilities",
            ]
        )
        == 0
    )
    assert capsys.readouterr().out == ""
    rows = read_rows(out)
    assert [row["text"] for row in rows] == texts
    assert list(rows[0]) == ["text", "label", "probability", "probability of bad", "probability of good"]
    expected = load(model).predict(texts)
    assert [row["label"] for row in rows] == [answer.label for answer in expected]
    assert [float(row["probability"]) for row in rows] == pytest.approx(
        [answer.probability for answer in expected], abs=1e-5
    )


def read_rows(path: Path) -> list[dict[str, Any]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = content.decode().splitlines()
    if ".jsonl" in path.name:
        return [json.loads(line) for line in lines]
    return list(csv.DictReader(lines, delimiter="\t" if ".tsv" in path.name else ","))


def test_several_inputs_and_json_lines_in(model: Path, tmp_path: Path, capsys: Any) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.jsonl"
    one.write_text("first\nsecond\n")
    two.write_text('{"id": 1, "text": "third\\nline"}\n')
    assert _run(["predict", str(model), str(one), str(two)]) == 0
    shown = [line.split("\t")[2] for line in capsys.readouterr().out.splitlines()]
    assert shown == ["first", "second", "third line"]


def test_a_format_can_be_told_for_standard_input(run: Run, model: Path) -> None:
    rows = "title,body\nx,a fine warm story\ny,boring and stupid\n"
    result = run("predict", model, "--format", "csv", "--text-column", "body", stdin=rows)
    assert [line.split("\t")[::2] for line in result.out.splitlines()] == [
        ["good", "a fine warm story"],
        ["bad", "boring and stupid"],
    ]


def test_a_reader_that_goes_away_is_no_error(model: Path, tmp_path: Path) -> None:
    many = tmp_path / "many.txt"
    many.write_text("a fine warm story\n" * 50_000)
    with subprocess.Popen(
        command_line(["predict", model, many]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(b"good\t")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


def test_nothing_is_left_of_an_answer_file_that_failed(model: Path, tmp_path: Path, capsys: Any) -> None:
    source, out = tmp_path / "in.tsv", tmp_path / "out.csv"
    source.write_text("text\tid\na\t1\nb\n")
    assert _run(["predict", str(model), str(source), "--text-column", "text", "--out", str(out)]) == 1
    assert f"{source}:3" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.tsv"]
    assert (
        _run(
            [
                "predict",
                str(model),
                str(source),
                "--text-column",
                "text",
                "--out",
                str(out),
                "--skip-bad-rows",
            ]
        )
        == 0
    )
    assert "left out 1 row " in capsys.readouterr().err
    assert len(read_rows(out)) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "missing"], ["missing", "no such model"]),
        (["info", "missing"], ["missing", "no such model"]),
        (["predict", "{model}", "nothing.tsv"], ["nothing.tsv", "no such file"]),
        (["predict", "{model}", "texts.txt", "--out", "a.docx"], ["a.docx", ".jsonl"]),
        (
            ["predict", "{model}", "texts.txt", "--out", "no/such/a.csv"],
            ["no/such/a.csv", "cannot be written"],
        ),
        (["predict", "{model}", "test.tsv", "--text-column", "txt"], ["test.tsv", "txt", "text"]),
        (["evaluate", "{model}", "texts.txt"], ["texts.txt"]),
        (["evaluate", "{model}", "test.tsv", "--label-column", "9"], ["test.tsv", "9"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_inputs_are_one_line(
    arguments: list[str],
    words: list[str],
    model: Path,
    files: Path,
    tmp_path: Path,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(files / "test.tsv", "test.tsv")
    Path("texts.txt").write_text("a text\n")
    assert _run([argument.format(model=model) for argument in arguments]) == 1
    shown = capsys.readouterr()
    message = [line for line in shown.err.splitlines() if line.startswith("error: ")]
    assert len(message) == 1 and shown.out == ""
    for word in words:
        assert word in message[0]


@pytest.mark.parametrize("verb", ["predict", "info"])
def test_a_damaged_model_is_refused(verb: str, model: Path, tmp_path: Path, capsys: Any) -> None:
    copy = tmp_path / "m"
    shutil.copytree(model, copy)
    weights = copy / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 0xFF
    weights.write_bytes(content)
    assert _run([verb, str(copy)]) == 1
    assert "weights.safetensors" in capsys.readouterr().err


def test_evaluate_json_agrees_with_a_count_by_hand(
    model: Path, files: Path, capsys: Any, tmp_path: Path
) -> None:
    assert _run(["evaluate", str(model), str(files / "test.tsv"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    rows = [line.split("\t") for line in (files / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    right = sum(
        a.label == label
        for a, (_, label) in zip(load(model).predict([t for t, _ in rows]), rows, strict=True)
    )
    assert figures["n"] == len(rows)
    assert figures["accuracy"] == pytest.approx(right / len(rows))
    assert sum(map(sum, figures["confusion"]["matrix"])) == len(rows)


def test_evaluate_shows_tables_and_saves_a_picture(
    model: Path, files: Path, tmp_path: Path, capsys: Any
) -> None:
    picture = tmp_path / "c.png"
    assert _run(["evaluate", str(model), str(files / "test.tsv"), "--plot", str(picture)]) == 0
    shown = capsys.readouterr()
    assert [line.split()[0] for line in shown.out.splitlines() if line] == [
        *("texts", "accuracy", "macro", "calibration"),
        *("label", "bad", "good"),
        *("true", "bad", "good"),
    ]
    assert str(picture) in shown.err
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_evaluate_without_matplotlib_says_so_and_goes_on(
    model: Path, files: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.chdir(tmp_path)
    assert _run(["evaluate", str(model), str(files / "test.tsv")]) == 0
    shown = capsys.readouterr()
    assert "accuracy" in shown.out
    assert "no picture: " in shown.err and "matplotlib" in shown.err
    assert list(tmp_path.iterdir()) == []


def test_labels_unknown_to_the_model_count_as_wrong_and_are_named(
    model: Path, tmp_path: Path, capsys: Any
) -> None:
    test = write_reviews(tmp_path / "test.tsv", 10, 4)
    with test.open("a") as file:
        file.write("so so\tneutral\n" * 2)
    plot = ["--plot", str(tmp_path / "c.svg")]
    assert _run(["evaluate", str(model), str(test), *plot]) == 0
    assert "does not know, counted as wrong: neutral (2)." in capsys.readouterr().out


def test_info_tells_what_is_known(model: Path, capsys: Any) -> None:
    assert _run(["info", str(model)]) == 0
    rows = {line[:10].strip(): line[10:].strip() for line in capsys.readouterr().out.splitlines()}
    assert rows["labels"] == "bad (60), good (60)"
    assert "120 rows" in rows["train"] and "40 rows" in rows["dev"]
    assert "accuracy" in rows["on dev"]
    dev = load(model).info()["metrics"]["dev"]
    assert rows[""] == (
        f"accuracy {dev['network_alone']:.4f} of the network alone, "
        f"{dev['wide_alone']:.4f} of the wide part alone"
    )
    shown = json.loads((model / "model.json").read_text(encoding="utf-8"))["wide"]
    assert rows["wide part"].startswith(f"linear over {shown['rows']:,} character n-grams")
    assert rows["wide part"].endswith(f"wide part {shown['wide_share']:.2f}")
    assert "hidden 8" in rows["options"] and "dropout" not in rows["options"]
    assert _run(["info", str(model), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["labels"] == ["bad", "good"]
    assert f"{found['parameters']:,}" in rows["parameters"]


def test_info_reads_a_zip(model: Path, tmp_path: Path, capsys: Any) -> None:
    packed = tmp_path / "m.zip"
    load(model).save(packed)
    assert _run(["info", str(packed)]) == 0
    assert "packed" in capsys.readouterr().out


def test_changed_options_name_the_nearest_preset() -> None:
    assert changed_options(ClassifierOptions().to_dict()) == {"preset": "fast"}
    accurate = ClassifierOptions.of("accurate", seed=4).to_dict()
    assert changed_options(accurate) == {"preset": "accurate", "seed": 4}


def test_describe_names_what_was_built() -> None:
    text = describe(
        ClassifierOptions(model="gru", layers=2, bidirectional=False, ngram_max=0, members=3).to_dict()
    )
    assert text == "3 x (2-layer GRU, 128 units, tokens: basic_english), averaged"
    assert "blind to order" in describe(ClassifierOptions(model="mlp").to_dict())
