"""``unrolled train tag`` and what follows it, from the outside."""

from __future__ import annotations

import csv
import itertools
import json
import random
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from .conftest import Result, Run, command_line, environment

TINY = [
    *("--embed-dim", "12", "--hidden", "12", "--char-dim", "6", "--char-hidden", "6", "--layers", "1"),
    *("--epochs", "10", "--batch-size", "8", "--learning-rate", "0.02", "--average", "0.9"),
]
PEOPLE, PLACES = ("Kim", "Lee", "Park", "김철수"), ("Seoul", "New York", "부산")


def sentences() -> list[list[tuple[str, str]]]:
    made = []
    for person, place, verb in itertools.product(PEOPLE, PLACES, ("works", "lives", "stays")):
        first, *rest = place.split()
        row = [(person, "B-person"), (verb, "O"), ("in", "O"), (first, "B-place")]
        made.append([*row, *((word, "I-place") for word in rest), (".", "O")])
    random.Random(1).shuffle(made)
    return made


def write(path: Path, rows: list[list[tuple[str, str]]]) -> Path:
    text = "\n".join("".join(f"{word}\t{tag}\n" for word, tag in row) for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagged")
    rows = sentences()
    write(folder / "train.conll", rows[:30] * 2)
    write(folder / "dev.conll", rows[30:])
    return folder


@pytest.fixture(scope="module")
def trained(files: Path, run: Run) -> tuple[Path, Result]:
    model = files / "names"
    result = run(
        *("train", "tag", "--train", files / "train.conll", "--dev", files / "dev.conll"),
        *("--out", model, *TINY),
    )
    assert result.code == 0, result.err
    return model, result


def test_training_says_what_it_read_and_how_good_it_is(trained: tuple[Path, Result]) -> None:
    model, result = trained
    assert "dev span F1" in result.out
    assert "train.conll" in result.out
    assert "On the dev data, network and wide part together: span F1 " in result.out
    assert "of the wide part alone" in result.out
    assert result.out.splitlines()[-2] == f"  unrolled evaluate {model} test.conll"


def test_evaluate_shows_kinds_and_errors(trained: tuple[Path, Result], files: Path, run: Run) -> None:
    shown = run("evaluate", trained[0], files / "dev.conll")
    assert shown.code == 0, shown.err
    assert all(word in shown.out for word in ("person", "place", "all", "missed"))
    found = json.loads(run("evaluate", trained[0], files / "dev.conll", "--json").out)
    assert found["task"] == "tag"
    assert found["f1"] > 0.9
    assert set(found["per_type"]) == {"person", "place"}


def test_predict_gives_spans_with_their_places(trained: tuple[Path, Result], run: Run) -> None:
    text = "Kim  works in New York ."
    found = json.loads(run("predict", trained[0], "--json", stdin=text + "\n").out)
    assert found["text"] == text
    assert [(span["span"], span["label"]) for span in found["spans"]] == [
        ("Kim", "person"),
        ("New York", "place"),
    ]
    for part in (*found["spans"], *found["words"]):
        assert text[part["start"] : part["end"]] == part.get("span", part.get("word"))


def test_predict_writes_what_train_reads(trained: tuple[Path, Result], run: Run, tmp_path: Path) -> None:
    shown = run("predict", trained[0], stdin="Kim works in Seoul .\n\nLee stays\n")
    blocks = shown.out.split("\n\n")
    assert [line.split("\t")[0] for line in blocks[0].splitlines()] == ["Kim", "works", "in", "Seoul", "."]
    assert blocks[0].splitlines()[0].split("\t")[1] == "B-person"


def test_predict_to_a_file_has_a_row_a_span(trained: tuple[Path, Result], run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("Kim works in Seoul .\nnothing here\nLee stays in New York .\n")
    done = run("predict", trained[0], tmp_path / "in.txt", "--out", tmp_path / "spans.csv")
    assert done.code == 0, done.err
    rows = list(csv.DictReader((tmp_path / "spans.csv").open(encoding="utf-8")))
    assert [(row["text"], row["span"]) for row in rows if row["text"] != "2"] == [
        ("1", "Kim"),
        ("1", "Seoul"),
        ("3", "Lee"),
        ("3", "New York"),
    ]


def test_info_describes_a_tagger(trained: tuple[Path, Result], run: Run) -> None:
    shown = run("info", trained[0]).out
    assert "spans (BIO)" in shown
    assert "CRF" in shown
    assert "person, place" in shown
    assert "preset accurate with" in shown


def test_korean_characters_as_rows(run: Run, tmp_path: Path) -> None:
    people, places = ("김철수", "이영희", "박민수"), ("서울", "부산", "제주도")
    lines = []
    for person, place in itertools.product(people, places):
        kinds = [
            (person, "person"),
            ("는", ""),
            ("▁", ""),
            (place, "place"),
            ("에", ""),
            ("▁", ""),
            ("산다", ""),
        ]
        for part, kind in kinds:
            for number, character in enumerate(part):
                tag = f"{'I' if number else 'B'}-{kind}" if kind else "O"
                lines.append(f"{character}\t{tag}")
        lines.append("")
    (tmp_path / "train.tsv").write_text("\n".join(lines * 4) + "\n", encoding="utf-8")
    trained = run("train", "tag", "--train", tmp_path / "train.tsv", "--out", tmp_path / "m", *TINY)
    assert trained.code == 0, trained.err
    text = "이영희는  서울에 산다"
    found = json.loads(run("predict", tmp_path / "m", "--json", stdin=text + "\n").out)
    assert [(span["span"], span["label"]) for span in found["spans"]] == [
        ("이영희", "person"),
        ("서울", "place"),
    ]
    assert all(text[span["start"] : span["end"]] == span["span"] for span in found["spans"])


def test_mistakes_are_sentences(trained: tuple[Path, Result], files: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.conll").write_text("Kim\tB-person\nworks\tO\nYork\tI-place\n\n" * 3)
    refused = run("train", "tag", "--train", tmp_path / "broken.conll", "--out", tmp_path / "m", *TINY)
    assert refused.code != 0
    assert "broken.conll:3" in refused.message
    assert "--repair" in refused.message
    assert not (tmp_path / "m").exists()
    plain = tmp_path / "plain.conll"
    plain.write_text("Kim\tNOUN\nworks\tVERB\n\n" * 3)
    assert "the model gives spans" in run("evaluate", trained[0], plain).message
    assert run("evaluate", trained[0], files / "dev.conll", "--plot", "x.png").code == 2
    assert run("predict", trained[0], "--probabilities", "--json", stdin="a\n").code == 2
    missing = run("train", "tag", "--train", "none.conll", "--out", tmp_path / "m")
    assert "none.conll" in missing.message
    wrong = run("train", "tag", "--train", files / "train.conll", "--out", tmp_path / "m", "--column", "9")
    assert "train.conll" in wrong.message


def test_interrupted_training_tells_how_to_go_on(files: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "m"
    arguments = ["train", "tag", "--train", str(files / "train.conll"), "--out", str(out), *TINY]
    arguments += ["--epochs", "4000", "--patience", "4000"]
    process = subprocess.Popen(
        command_line(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.split()[:1] == ["2"]:
            process.send_signal(signal.SIGINT)
            break
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    command = err.splitlines()[-1].strip()
    assert "--resume" in shlex.split(command)
    assert (out / "checkpoint" / "checkpoint.json").is_file()
    assert not (out / "model.json").exists()
    refused = run(*shlex.split(command)[1:], "--hidden", "13")
    assert "other data or options" in refused.message
