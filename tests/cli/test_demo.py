"""``unrolled demo``: every step is shown, and what it shows is true."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from unrolled.cli import demo
from unrolled.cli.app import _run
from unrolled.cli.demo_data import PRINTABLE, load_split


def test_a_missing_extra_is_one_line(capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "chatterbot_corpus.corpus", None)
    monkeypatch.chdir(tmp_path)
    assert _run(["demo"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ") and "pip install 'unrolled[demo]'" in shown.err
    assert list(tmp_path.iterdir()) == []


def test_an_out_that_is_a_file_is_one_line(capsys: Any, tmp_path: Path) -> None:
    pytest.importorskip("chatterbot_corpus")
    (tmp_path / "taken").write_text("")
    assert _run(["demo", "--out", str(tmp_path / "taken")]) == 1
    assert "taken: this folder cannot be made" in capsys.readouterr().err


@pytest.mark.slow
def test_all_steps_are_shown_and_the_figures_are_those_of_the_model(
    capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("chatterbot_corpus")
    monkeypatch.setattr(demo, "SETTINGS", {**demo.SETTINGS, "epochs": 2, "hidden": 8, "embed_dim": 8})
    monkeypatch.chdir(tmp_path)
    assert _run(["demo", "--lang", "ko", "--out", "my demo"]) == 0
    shown = capsys.readouterr().out
    for heading in (
        "the data",
        "training",
        "a text on its way in",
        "accuracy on ",
        "some held-out utterances",
    ):
        assert f"Korean: {heading}" in shown
    split = load_split("ko")
    lines = shown.splitlines()
    figures = {line.split(maxsplit=1)[0].strip(","): line.split()[-1] for line in lines if line.endswith("%")}
    assert list(figures) == ["always", "logistic", "mlp", "lstm", "wide", "both:"]
    top = max(split.topics.values()) and next(iter(split.topics))
    assert figures["always"] == f"{sum(topic == top for _, topic in split.test) / len(split.test):.1%}"
    go_on = [shlex.split(line) for line in lines[-3:]]
    assert [words[0] for words in go_on] == ["unrolled", "echo", "unrolled"]
    assert _run([*go_on[0][1:], "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert evaluated["n"] == len(split.test)
    assert figures["both:"] == f"{evaluated['accuracy']:.1%}"
    assert _run(go_on[2][1:]) == 0
    assert _run(["demo", "--lang", "ko", "--out", "my demo"]) == 0  # a second time replaces the first


def test_printed_utterances_come_from_neutral_topics() -> None:
    pairs = [
        (f"one two three {topic} {n}", topic)
        for topic in ("humor", "ai", "emotion", "movies")
        for n in range(3)
    ]
    chosen = demo._spread(pairs, 4)
    assert [topic for _, topic in chosen] == ["ai", "movies", "ai", "movies"]
    assert not {"humor", "emotion", "psychology", "politics", "gossip"} & set(PRINTABLE)
