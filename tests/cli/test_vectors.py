"""``unrolled vectors``: what each part says, writes and refuses."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from .conftest import TINY, Result, Run, command_line, environment

OPTIONS = ("--dim", "8", "--epochs", "3", "--sample", "0", "--min-count", "2")


def write_text(path: Path, lines: int) -> Path:
    """Sentences about animals and colours."""
    draw = random.Random(1)
    animals, colours = ["dog", "cat", "horse"], ["red", "blue", "빨강"]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(lines):
            word = draw.choice(animals if draw.random() < 0.5 else colours)
            frame = "the {} eats grass in a field" if word in animals else "paint it {} on this old wall"
            file.write(frame.format(word) + "\n")
    return path


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "corpus.txt", 2000)


@pytest.fixture(scope="module")
def trained(run: Run, text: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("vectors") / "v"
    result = run("vectors", "train", text, "--out", folder, *OPTIONS, "--epochs", "10")
    assert result.code == 0, result.err
    return folder, result


@pytest.fixture(scope="module")
def vectors(trained: tuple[Path, Result]) -> Path:
    return trained[0]


def test_training_tells_what_it_does(trained: tuple[Path, Result]) -> None:
    folder, result = trained
    lines = result.out.splitlines()
    assert "different words" in lines[0]
    assert [line.split()[1] for line in lines if line.startswith("epoch")] == [str(n) for n in range(1, 11)]
    assert all("words/s" in line and "loss" in line for line in lines if line.startswith("epoch"))
    assert "unrolled vectors similar" in result.out
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "model.json",
        "vectors.safetensors",
        "words.json",
    ]


def test_questions(run: Run, vectors: Path) -> None:
    near = run("vectors", "similar", vectors, "dog", "-n", "2")
    assert near.code == 0, near.err
    cosines = [line.split() for line in near.out.splitlines()]
    assert {word for _, word in cosines} <= {"cat", "horse", "eats", "grass", "the", "in", "a", "field"}
    both = json.loads(run("vectors", "similar", vectors, "dog", "빨강", "--json").out)
    assert list(both) == ["dog", "빨강"]
    answers = json.loads(run("vectors", "analogy", vectors, "dog", "cat", "red", "--json").out)["answers"]
    assert len(answers) == 10
    assert not {"dog", "cat", "red"} & {word for word, _ in answers}
    assert "gives       8 numbers for each of" in run("info", vectors).out.replace(
        "gives     ", "gives       "
    )
    assert json.loads(run("info", vectors, "--json").out)["options"]["epochs"] == 10


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo terminals")
def test_words_send_no_commands_to_a_terminal(run: Run, tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("a 1 2\n\x1b]0;owned\x07é 1 2\n", encoding="utf-8")
    arguments = ["vectors", "similar", str(tmp_path / "v.txt"), "a"]
    assert run(*arguments).out == "1.0000  \x1b]0;owned\x07é\n"
    reader, terminal = os.openpty()
    try:
        subprocess.run(command_line(arguments), stdout=terminal, check=True, env=environment())
        assert os.read(reader, 1000).decode() == "1.0000  \ufffd]0;owned\ufffdé\r\n"
    finally:
        os.close(terminal)
        os.close(reader)


def test_they_are_no_model_that_answers(run: Run, vectors: Path, tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("text\tlabel\na dog\tyes\n")
    for result in (run("predict", vectors, stdin="a dog\n"), run("evaluate", vectors, tmp_path / "t.tsv")):
        assert "these are word vectors, not a model that answers" in result.message


def test_evaluation(run: Run, vectors: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("dog\tcat\t9\ndog\tred\t1\nred\tblue\t8\nzebra\tcat\t5\n")
    (tmp_path / "analogies.txt").write_text(": all\ndog cat dog horse\n")
    found = run(
        *("vectors", "evaluate", vectors, "--pairs", tmp_path / "pairs.tsv"),
        *("--analogies", tmp_path / "analogies.txt", "--json"),
    )
    figures = json.loads(found.out)
    assert (figures["pairs"]["pairs"], figures["pairs"]["unknown"]) == (3, 1)
    assert figures["pairs"]["spearman"] >= 0.5
    assert figures["analogies"]["analogies"] == 1
    plain = run("vectors", "evaluate", vectors, "--pairs", tmp_path / "pairs.tsv")
    assert "rank correlation" in plain.out
    assert run("vectors", "evaluate", vectors).code == 2


def test_conversion_there_and_back(run: Run, vectors: Path, tmp_path: Path) -> None:
    chain = [vectors, "a.bin", "b.txt.gz", "c.glove.txt", "d.safetensors", "folder"]
    places = [vectors, *(tmp_path / name for name in chain[1:])]
    for source, target in pairwise(places):
        result = run("vectors", "convert", source, target)
        assert result.code == 0, result.err
    first, last = (run("vectors", "similar", place, "dog", "--json").out for place in (vectors, places[-1]))
    assert first == last
    assert run("vectors", "convert", vectors, tmp_path / "x.dat").code == 2
    assert (tmp_path / "x.dat").exists() is False


def test_conversion_replaces_vectors_only_when_told(run: Run, vectors: Path, tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("a 1 2\nb 3 4\n")
    assert run("vectors", "convert", vectors, tmp_path / "kept").code == 0
    before = (tmp_path / "kept" / "model.json").read_bytes()
    refused = run("vectors", "convert", tmp_path / "two.txt", tmp_path / "kept")
    assert refused.code == 1
    assert (
        "holds vectors already. Give another folder, or replace the vectors (--overwrite)" in refused.message
    )
    assert (tmp_path / "kept" / "model.json").read_bytes() == before
    replaced = run("vectors", "convert", tmp_path / "two.txt", tmp_path / "kept", "--overwrite")
    assert replaced.code == 0, replaced.err
    assert json.loads(run("info", tmp_path / "kept", "--json").out)["words"] == 2


def test_a_map(run: Run, vectors: Path, tmp_path: Path) -> None:
    result = run("vectors", "map", vectors, "--out", tmp_path / "map.html", "--around", "dog", "--words", "5")
    assert result.code == 0, result.err
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert "Word vectors around dog" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("similar", "{v}", "zebraa"), "there is no vector for 'zebraa'"),
        (("similar", "{v}x", "dog"), "there is no such file of word vectors"),
        (("similar", "{t}", "dog"), "not a file of word vectors"),
        (("train", "{t}", "--out", "{v}"), "holds vectors already. Give another folder, or replace the"),
        (("train", "{t}", "--out", "new", "--min-count", "99999"), "lower --min-count"),
        (("train", "missing.txt", "--out", "new"), "no such file"),
        (
            ("train", "{t}", "--out", "new", "--ngram-max", "2"),
            "--ngram-max (2) is smaller than --ngram-min (3)",
        ),
        (("train", "{t}", "--out", "new", "--dim", "0"), "0 does not lie between 1 and 8192"),
        (("train", "{t}", "--out", "new", "--model", "glove"), "'glove' is not one of"),
        (("trian", "{t}"), "No such command 'trian'"),
        (("map", "{v}", "--out", "no/such/folder/map.html"), "cannot be written: there is no folder"),
        (("map", "{v}", "--out", "."), "is a folder: give the name of a file"),
        (("convert", "{v}", "nodir/x.txt"), "cannot be written: there is no folder 'nodir'"),
        (("convert", "{v}", "/", "--to", "text"), "is a folder: give the name of a file"),
        (("convert", "{v}", "x.safetensors.gz"), "Give a name without .gz"),
        (("train", "{t}", "--out", "new", "--max-words", "1"), "raise --max-words"),
    ],
)
def test_mistakes_are_one_line(
    run: Run, vectors: Path, text: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    given = [argument.format(v=vectors, t=text) for argument in arguments]
    result = run("vectors", *given, cwd=tmp_path)
    assert result.code in (1, 2)
    assert message in result.message
    assert not (tmp_path / "new").exists()


def test_interrupted_training_says_how_to_go_on(run: Run, text: Path, tmp_path: Path) -> None:
    arguments = ["vectors", "train", str(text), "--out", "v", *OPTIONS, "--epochs", "2000"]
    with subprocess.Popen(
        command_line(arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch   2"):
                process.send_signal(signal.SIGINT)
                break
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; go on with:" in err
    assert "--resume" in err
    assert "Traceback" not in err
    again = run(*arguments, cwd=tmp_path)
    assert "Go on with it (--resume)" in again.message
    other = run(*arguments[:-1], "3", "--resume", cwd=tmp_path)
    assert "other data or options (epochs)" in other.message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to another process")
def test_ctrl_c_while_the_text_is_read(tmp_path: Path) -> None:
    with subprocess.Popen(
        command_line(["vectors", "train", "-", "--out", "v", *OPTIONS]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=tmp_path,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        line = b"a text that does not end\n" * 100
        spool = tmp_path / "v" / "checkpoint" / "new-corpus.ids"
        while process.poll() is None and not (spool.exists() and spool.stat().st_size):
            process.stdin.write(line)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        err = process.stderr.read().decode()
    assert "interrupted; go on with:" in err
    assert "--resume" not in err
    assert "Traceback" not in err
    assert not (tmp_path / "v").exists()


def test_a_classifier_starts_from_the_folder_and_can_freeze_it(
    run: Run, vectors: Path, tmp_path: Path
) -> None:
    rows = ["text\tlabel", *(["a dog and a horse\tanimal", "red or blue\tcolour"] * 60)]
    (tmp_path / "train.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    arguments = ["train", "classify", "--train", "train.tsv", "--dev", "train.tsv", "--vectors", vectors]
    result = run(*arguments, "--out", "m", *TINY, "--freeze", cwd=tmp_path)
    assert result.code == 0, result.err
    assert "tokens start from the vectors in" in result.out
    assert json.loads(run("info", "m", "--json", cwd=tmp_path).out)["options"]["freeze_vectors"] is True
    wrong = run(*arguments, "--out", "n", *TINY, "--embed-dim", "9", cwd=tmp_path)
    assert "vectors have 8 numbers, but embed_dim is 9: set embed_dim to 8" in wrong.message


def test_without_torch(run: Run, vectors: Path, text: Path, tmp_path: Path, no_torch: dict[str, str]) -> None:
    assert run("vectors", "similar", vectors, "dog", extra=no_torch).code == 0
    result = run("vectors", "train", text, "--out", tmp_path / "v", *OPTIONS, "--json", extra=no_torch)
    assert result.code == 0, result.err
    assert json.loads(result.out)["dim"] == 8
