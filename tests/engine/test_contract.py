"""Misuse is refused, and the environment variables are followed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unrolled import engine
from unrolled.errors import OptionError

RunPython = Callable[..., subprocess.CompletedProcess[str]]


def _float32(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"xw": _float32(4, 11)}, ValueError, "xw has shape"),
        ({"lengths": np.array([1, 2])}, ValueError, "add up to 3"),
        ({"lengths": np.array([5, -1])}, ValueError, "negative"),
        ({"lengths": np.array([[1, 3]])}, ValueError, "dimensions"),
        ({"w_hh": _float32(12, 3).astype(np.float64)}, TypeError, "float64"),
        ({"w_hh": np.asfortranarray(np.ones((12, 3), np.float32))}, ValueError, "contiguous"),
        ({"h0": _float32(3, 3)}, ValueError, "h0 has shape"),
        ({"c0": _float32(2, 4)}, ValueError, "c0 has shape"),
        ({"b_hh": _float32(3)}, ValueError, "b_hh has shape"),
        ({"kind": "LSTM"}, ValueError, "unknown kind"),
        ({"xw": np.zeros((4, 12), np.float16), "w_hh": np.zeros((12, 3), np.float16)}, TypeError, "float16"),
    ],
    ids=str,
)
def test_arrays_that_do_not_fit_are_refused(
    change: dict[str, Any], error: type[Exception], words: str
) -> None:
    arguments = {
        "kind": "lstm",
        "xw": _float32(4, 12),
        "lengths": np.array([1, 3]),
        "w_hh": _float32(12, 3),
        "b_hh": None,
        "h0": None,
        "c0": None,
    }
    with pytest.raises(error, match=words):
        engine.forward(**(arguments | change))


def test_ids_outside_the_table_are_refused(make_problem: Callable[..., Any]) -> None:
    problem = make_problem("gru", [2], 3, 4)
    for bad in ([0, 7], [-1, 0]):
        with pytest.raises(ValueError, match=r"0\.\.4"):
            engine.gather(_float32(5, 3), np.array(bad, np.int32))
        with pytest.raises(ValueError, match=r"0\.\.4"):
            engine.embedding_bag(_float32(5, 3), np.array(bad, np.int32), np.array([2]))
        with pytest.raises(ValueError, match=r"0\.\.4"):
            engine.infer_layer(
                "gru", _float32(5, 3), np.array([2]), problem.weights, rows=np.array(bad, np.int32)
            )


def test_backward_wants_what_forward_saved(make_problem: Callable[..., Any]) -> None:
    problem = make_problem("lstm", [2, 1], 3, 4)
    result = problem.forward(save=True)
    nothing = [engine.Saved(None, None)] * 2
    with pytest.raises(ValueError, match="save=True"):
        engine.layer_backward(
            "lstm", None, None, None, problem.x, problem.lengths, problem.weights, nothing, result.out
        )


def test_settings_are_checked() -> None:
    with pytest.raises(OptionError, match="at least 1"):
        engine.set_num_threads(0)
    with pytest.raises(OptionError, match="cannot be used here"):
        engine.set_simd("sse9")
    for name in engine.simd_choices():
        engine.set_simd(name)
        assert engine.simd() == name


def test_environment_variables(run_python: RunPython) -> None:
    code = "from unrolled import engine; print(engine.available(), engine.simd(), engine.get_num_threads())"
    generic = engine.simd_choices()[-1]
    run = run_python(code, UNROLLED_SIMD=generic, UNROLLED_NUM_THREADS="3")
    assert run.stdout.split() == ["True", generic, "3"], run.stderr
    assert "OptionError" in run_python(code, UNROLLED_NUM_THREADS="many").stderr
    assert "cannot be used here" in run_python(code, UNROLLED_SIMD="mmx").stderr


def test_threads_follow_torch_unless_told(run_python: RunPython) -> None:
    pytest.importorskip("torch")
    code = """
from unrolled import engine
import torch
torch.set_num_threads(3)
print(engine.get_num_threads())
engine.set_num_threads(2)
print(engine.get_num_threads())
engine.set_num_threads(None)
print(engine.get_num_threads())
"""
    assert run_python(code).stdout.split() == ["3", "2", "3"]
