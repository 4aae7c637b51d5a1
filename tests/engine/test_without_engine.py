"""Life without the extension: one notice, and prediction on numpy."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unrolled.engine.fallback import infer_layer_numpy

RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def needs_engine() -> None:
    """These tests need no extension."""


def test_switched_off_it_says_so_and_prediction_still_works(run_python: RunPython) -> None:
    code = """
import warnings, numpy as np
warnings.simplefilter("error")
from unrolled import engine
assert not engine.available() and "UNROLLED_ENGINE" in engine.reason(), engine.reason()
weights = [engine.Weights(np.ones((8, 3), np.float32), np.ones((8, 2), np.float32))]
print(engine.infer_layer("lstm", np.ones((3, 3), np.float32), np.array([1, 0, 2]), weights).out.shape)
print(engine.linear(np.ones((2, 3)), np.ones((4, 3))).shape)
print(engine.gather(np.eye(3), np.array([2], np.int32)))
print(engine.embedding_bag(np.eye(3), np.array([2, 0], np.int32), np.array([2, 0])))
prepared = engine.prepare("lstm", weights)
print(engine.infer_layer("lstm", np.ones((1, 3), np.float32), np.array([1]), prepared).h_n.shape)
"""
    run = run_python(code, UNROLLED_ENGINE="off")
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n") == [
        "(3, 2)",
        "(2, 4)",
        "[[0. 0. 1.]]",
        "[[1. 0. 1.]",
        " [0. 0. 0.]]",
        "(1, 1, 2)",
        "",
    ]


def test_a_missing_extension_is_told_once(run_python: RunPython) -> None:
    code = """
import sys, warnings, numpy as np
sys.modules["unrolled.engine._native"] = None
from unrolled import engine
weights = [engine.Weights(np.ones((2, 3), np.float32), np.ones((2, 2), np.float32))]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        engine.infer_layer("rnn_tanh", np.ones((3, 3), np.float32), np.array([3]), weights)
print(len(caught), caught[0].message)
"""
    run = run_python(code)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("1 Unrolled runs without its compiled engine"), run.stdout


@pytest.mark.parametrize("directions", [1, 2])
def test_numpy_tier_follows_the_equations(
    kind: str, directions: int, make_problem: Callable[..., Any], plain_forward: Any
) -> None:
    problem = make_problem(kind, [4, 0, 1, 6, 6], 3, 5, directions=directions, dtype=np.float64)
    out, h_n, c_n = plain_forward(problem)
    found = infer_layer_numpy(kind, problem.x, problem.lengths, problem.weights, problem.h0, problem.c0)
    np.testing.assert_allclose(found[0], out, atol=1e-12)
    np.testing.assert_allclose(found[1], h_n, atol=1e-12)
    if kind == "lstm":
        np.testing.assert_allclose(found[2], c_n, atol=1e-12)


def test_nothing_heavy_is_imported(run_python: RunPython) -> None:
    run = run_python(
        "import sys, unrolled.engine; print([m for m in ('torch', 'pyarrow', 'scipy') if m in sys.modules])"
    )
    assert run.stdout.strip() == "[]", run.stderr
