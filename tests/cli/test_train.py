"""``unrolled train classify`` from the outside."""

from __future__ import annotations

import gzip
import json
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from unrolled.cli.app import _run
from unrolled.runtime import load

from .conftest import TINY, Result, Run, command_line, environment, write_reviews


def test_it_says_what_it_read_how_it_went_and_what_to_do_next(trained: tuple[Path, Result]) -> None:
    model, result = trained
    lines = result.out.splitlines()
    assert any("train.tsv: text column 'text'" in line and "label column 'label'" in line for line in lines)
    header = next(number for number, line in enumerate(lines) if line.startswith("epoch "))
    assert "dev accuracy" in lines[header]
    epochs = [line.split() for line in lines[header + 1 :] if line.strip()[:1].isdigit()]
    assert [row[0] for row in epochs] == [str(number) for number in range(1, len(epochs) + 1)]
    best = [float(row[3]) for row in epochs if row[-1] == "best"]
    assert best == sorted(best)
    assert best[-1] == max(float(row[3]) for row in epochs)
    assert f"{model}, " in next(line for line in lines if line.startswith("Done in "))
    assert lines[-3:] == [
        "Next:",
        f"  unrolled evaluate {model} test.tsv",
        f'  echo "a text" | unrolled predict {model}',
    ]
    assert "\x1b" not in result.out + result.err
    assert (model / "model.json").is_file()


def test_options_reach_the_model(model: Path) -> None:
    options = load(model).options
    assert (options.hidden, options.embed_dim, options.learning_rate, options.batch_size) == (8, 8, 0.02, 16)


def test_json_is_one_object_on_standard_output(files: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "m"
    arguments = ["train", "classify", "--train", str(files / "train.tsv"), "--out", str(out), *TINY, "--json"]
    assert _run(arguments) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert shown.out.count("\n") == 1
    assert found["model"] == str(out)
    assert found["labels"] == ["bad", "good"]
    assert 0 <= found["metrics"]["dev"]["accuracy"] <= 1
    assert found["options"]["hidden"] == 8
    assert "dev accuracy" in shown.err


def test_quiet_says_nothing(files: Path, tmp_path: Path, capsys: Any) -> None:
    arguments = [
        "train",
        "classify",
        "--train",
        str(files / "train.tsv"),
        "--out",
        str(tmp_path / "m"),
        *TINY,
    ]
    assert _run([*arguments, "--quiet"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_of_several_processes_only_the_first_speaks(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["train", "classify", "--train", str(tmp_path / "none.tsv"), "--out", str(tmp_path / "m")]
    for rank, speaks in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        assert _run(arguments) == 1
        assert _run([*arguments, "--resume", "--overwrite"]) == 2
        shown = capsys.readouterr()
        assert bool(shown.out + shown.err) == speaks


def test_a_model_is_replaced_only_if_told(model: Path, files: Path, tmp_path: Path, capsys: Any) -> None:
    copy = tmp_path / "m"
    load(model).save(copy)
    before = (copy / "model.json").read_bytes()
    arguments = ["train", "classify", "--train", str(files / "train.tsv"), "--out", str(copy), *TINY]
    assert _run(arguments) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert _run([*arguments, "--resume"]) == 1
    assert "nothing to resume" in capsys.readouterr().err
    assert _run([*arguments, "--resume", "--overwrite"]) == 2
    assert "give one of them" in capsys.readouterr().err
    assert (copy / "model.json").read_bytes() == before
    assert _run([*arguments, "--overwrite", "--quiet", "--seed", "9"]) == 0
    assert load(copy).options.seed == 9


def test_other_files_are_not_overwritten(files: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    arguments = ["train", "classify", "--train", str(files / "train.tsv"), "--out", str(tmp_path), *TINY]
    assert _run([*arguments, "--overwrite"]) == 1
    assert "thesis.txt" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["in.tsv: the file is empty"]),
        (b"text\tlabel\n", ["in.tsv:", "header"]),
        (b"text\tlabel\na\tx\nb\n", ["in.tsv:3:", "1 field where the file has 2", "--skip-bad-rows"]),
        (b"text\tlabel\na\tx\nb\t\n", ["in.tsv:3", "label is empty"]),
        (b"text\tlabel\na\tx\n\ty\n", ["in.tsv:3", "text is empty"]),
        (b"text\tlabel\na\tx\nb\0b\ty\n", ["in.tsv:3:2", "NUL"]),
        (b"text\ttext\na\tx\nb\ty\n", ["in.tsv", "text"]),
        ("text\tlabel\n재미있는 영화\tx\n지루한 영화\ty\n".encode("cp949"), ["in.tsv", "cp949"]),
        (b"text\tlabel\n" + b"a\tx\n" * 40, ["x"]),
    ],
    ids=[
        "empty",
        "header only",
        "field missing",
        "no label",
        "no text",
        "nul",
        "twice",
        "cp949",
        "one class",
    ],
)
def test_wrong_files_are_one_line_with_place_and_reason(
    content: bytes, words: list[str], tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.tsv").write_bytes(content)
    assert _run(["train", "classify", "--train", "in.tsv", "--out", "m", *TINY]) == 1
    message = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(message) == 1
    for word in words:
        assert word.lower() in message[0].lower()


def test_skipped_rows_are_counted(tmp_path: Path, capsys: Any) -> None:
    train = write_reviews(tmp_path / "train.tsv", 60, 1)
    with train.open("a", encoding="utf-8") as file:
        file.write("no label here\nstill none\t\n")
    arguments = [
        "train",
        "classify",
        "--train",
        str(train),
        "--out",
        str(tmp_path / "m"),
        *TINY,
        "--skip-bad-rows",
    ]
    assert _run(arguments) == 0
    shown = capsys.readouterr().out
    assert "left out 2 rows" in shown
    assert f"{train}:62" in shown and f"{train}:63" in shown


def test_several_labels_a_text(tmp_path: Path, capsys: Any) -> None:
    words = {"red": "colour", "cat": "animal", "red cat": "colour;animal", "stone": ""}
    rows = "".join(f"{text} {number}\t{labels}\n" for number in range(15) for text, labels in words.items())
    train = tmp_path / "train.tsv"
    train.write_text("text\tlabel\n" + rows)
    out = str(tmp_path / "m")
    arguments = ["train", "classify", "--train", str(train), "--dev", str(train), "--out", out, *TINY]
    assert _run([*arguments, "--task", "multi", "--label-separator", ";", "--epochs", "12"]) == 0
    assert "dev micro-f1" in capsys.readouterr().out.lower()
    assert _run(["evaluate", out, str(train), "--label-separator", ";", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["n"] == 60
    assert set(figures["per_class"]) == {"colour", "animal"}
    assert figures["micro_f1"] > 0.9
    assert _run(["evaluate", out, str(train), "--label-separator", ";"]) == 0
    shown = capsys.readouterr()
    assert "exact match" in shown.out and "confusion" not in shown.out + shown.err
    assert _run(["evaluate", out, str(train), "--label-separator", ";", "--plot", "c.png"]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and "only one label" in shown.err
    texts = tmp_path / "texts.txt"
    texts.write_text("red cat 3\nstone 4\n")
    assert _run(["predict", out, str(texts)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    label, probability, text = first.split("\t")
    assert set(label.split("|")) == {"colour", "animal"}
    assert len(probability.split("|")) == 2 and text == "red cat 3"
    assert second.startswith("\t\tstone")
    assert _run(["predict", out, str(texts), "--json"]) == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert objects[1] == {"label": [], "probability": []}
    assert _run(["info", out]) == 0
    assert "several labels a text" in capsys.readouterr().out


def test_a_number_a_text(tmp_path: Path, capsys: Any) -> None:
    rows = "".join(f"{'good ' * (n % 5)}film {n}\t{n % 5 + 0.5}\n" for n in range(60))
    train = tmp_path / "train.tsv"
    train.write_text("text\tlabel\n" + rows)
    out = str(tmp_path / "m")
    arguments = ["train", "classify", "--train", str(train), "--dev", str(train), "--out", out, *TINY]
    assert _run([*arguments, "--task", "regression", "--epochs", "15"]) == 0
    capsys.readouterr()
    assert _run(["evaluate", out, str(train), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) >= {"n", "mae", "rmse", "r2", "pearson"}
    assert figures["pearson"] > 0.8
    assert _run(["evaluate", out, str(train)]) == 0
    assert "mean absolute error" in capsys.readouterr().out
    texts = tmp_path / "texts.txt"
    texts.write_text("good good film\n")
    assert _run(["predict", out, str(texts)]) == 0
    number, text = capsys.readouterr().out.rstrip("\n").split("\t")
    assert text == "good good film"
    assert _run(["predict", out, str(texts), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["label"]
    assert found["label"] == pytest.approx(float(number), abs=1e-4)
    assert _run(["info", out]) == 0
    assert "a number for a text" in capsys.readouterr().out


def test_without_torch_training_names_the_extra(
    run: Run, files: Path, tmp_path: Path, no_torch: dict[str, str]
) -> None:
    result = run("train", "classify", "--train", files / "train.tsv", "--out", tmp_path / "m", extra=no_torch)
    assert result.code == 1
    assert "pip install 'unrolled[train]'" in result.message


def test_ctrl_c_then_resume_gives_the_model_of_an_uninterrupted_training(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = write_reviews(tmp_path / "train.tsv.plain", 300, 1)
    with gzip.open(tmp_path / "train.tsv.gz", "wb") as packed:
        packed.write(train.read_bytes())
    arguments = ["train", "classify", "--train", "train.tsv.gz", "--out", "a model", *TINY, "--epochs", "12"]
    process = subprocess.Popen(
        command_line(arguments),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().startswith("1 "):
            process.send_signal(signal.SIGINT)
            break
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not (tmp_path / "a model" / "model.json").exists()
    lines = err.splitlines()
    go_on = shlex.split(lines[lines.index("interrupted; go on with:") + 1])
    assert go_on == ["unrolled", *arguments, "--resume"]
    resumed = run(*go_on[1:], cwd=tmp_path)
    assert resumed.code == 0, resumed.err
    assert "\n    1  " not in resumed.out
    monkeypatch.chdir(tmp_path)
    assert _run([argument.replace("a model", "straight") for argument in arguments]) == 0
    weights = [Path(name, "weights.safetensors").read_bytes() for name in ("a model", "straight")]
    assert weights[0] == weights[1]
