"""Reduced recurrent weights of a saved model, from Python and from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import unrolled
from unrolled import engine
from unrolled.cli.evaluate import command as evaluate
from unrolled.cli.parameters import WEIGHTS
from unrolled.errors import OptionError
from unrolled.runtime import save_model

TEXTS = ["a wonderful film", "정말 재미있는 영화", "", "film " * 40]


@pytest.fixture
def saved(tmp_path: Path, parts: Callable[..., Any]) -> Path:
    save_model(tmp_path / "model", *parts(model="lstm"))
    return tmp_path / "model"


def test_the_command_offers_what_the_engine_has() -> None:
    assert WEIGHTS == engine.PRECISIONS


@pytest.mark.skipif(not engine.available(), reason="without the engine weights stay float32")
@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
def test_answers_are_close_and_not_the_same(saved: Path, weights: Any) -> None:
    exact = unrolled.load(saved).probabilities(TEXTS)
    reduced = unrolled.load(saved, weights=weights).probabilities(TEXTS)
    np.testing.assert_allclose(reduced, exact, atol=0.05)
    assert not np.array_equal(reduced, exact)


def test_models_without_recurrence_refuse(tmp_path: Path, parts: Callable[..., Any]) -> None:
    save_model(tmp_path / "flat", *parts(model="mlp"))
    with pytest.raises(OptionError, match="of the kind mlp"):
        unrolled.load(tmp_path / "flat", weights="int8")
    with pytest.raises(OptionError, match="float32, bfloat16, int8"):
        unrolled.load(tmp_path / "flat", weights="int4")  # type: ignore[arg-type]


def test_evaluate_says_what_reduced_weights_cost(saved: Path, tmp_path: Path) -> None:
    labels = unrolled.load(saved).labels
    test = tmp_path / "test.tsv"
    test.write_text("text\tlabel\n" + "".join(f"film {i}\t{labels[i % 2]}\n" for i in range(20)), "utf-8")
    found = CliRunner().invoke(evaluate, [str(saved), str(test), "--weights", "int8", "--json"])
    assert found.exit_code == 0, found.output
    figures = json.loads(found.stdout)
    exact = unrolled.load(saved).evaluate((f"film {i}", labels[i % 2]) for i in range(20))
    if engine.available():
        assert figures["weights"] == "int8"
        assert figures["float32"]["accuracy"] == exact["accuracy"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_evaluate_reads_a_pipe_once(saved: Path, tmp_path: Path) -> None:
    label = unrolled.load(saved).labels[0]
    lines = f"text\tlabel\nfilm\t{label}\n"
    found = CliRunner().invoke(evaluate, [str(saved), "-", "--weights", "int8", "--json"], input=lines)
    assert found.exit_code == 0, found.output
    assert "float32" not in json.loads(found.stdout)
    assert "read once" in found.stderr or not engine.available()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(lines,))
    writer.start()
    found = CliRunner().invoke(evaluate, [str(saved), str(pipe), "--weights", "int8", "--json"])
    writer.join()
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["n"] == 1


def test_without_the_engine_nothing_is_called_int8(saved: Path, tmp_path: Path) -> None:
    test = tmp_path / "test.tsv"
    test.write_text(f"text\tlabel\nfilm\t{unrolled.load(saved).labels[0]}\n", "utf-8")
    command = [
        sys.executable,
        "-m",
        "unrolled",
        "evaluate",
        str(saved),
        str(test),
        "--weights",
        "int8",
        "--json",
    ]
    run = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "UNROLLED_ENGINE": "off"}, check=True
    )
    assert "weights" not in json.loads(run.stdout)
    assert "stay float32" in run.stderr
