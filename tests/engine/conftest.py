"""Problems for the engine and slow, plain answers to compare with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from unrolled import engine

KINDS = ("rnn_tanh", "rnn_relu", "lstm", "gru")
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}


@pytest.fixture(autouse=True)
def _restore_settings() -> Iterator[None]:
    threads, simd = engine.get_num_threads(), engine.simd()
    yield
    engine.set_num_threads(threads)
    if engine.available():
        engine.set_simd(simd)


@pytest.fixture(autouse=True)
def needs_engine() -> None:
    """Skips tests of the extension where there is none. Modules that do without it override this."""
    if not engine.available():
        pytest.skip(f"no compiled engine: {engine.reason()}")


@pytest.fixture(params=engine.simd_choices() or ["none"])
def simd(request: pytest.FixtureRequest) -> str:
    """Each instruction set of this machine in turn."""
    engine.set_simd(request.param)
    return str(request.param)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of cell in turn."""
    return str(request.param)


def _run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("UNROLLED_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """``run_python(code, **environment)``: a fresh interpreter that sees no variables of ours but these."""
    return _run


@dataclass
class Problem:
    """Everything a layer reads, with non-zero states."""

    kind: str
    x: np.ndarray
    lengths: np.ndarray
    weights: list[engine.Weights]
    h0: np.ndarray
    c0: np.ndarray | None
    h_mask: np.ndarray | None

    @property
    def hidden(self) -> int:
        return int(self.weights[0].w_hh.shape[1])

    def astype(self, dtype: Any) -> Problem:
        def cast(a: np.ndarray | None) -> Any:
            return None if a is None else a.astype(dtype)

        weights = [engine.Weights(*map(cast, w)) for w in self.weights]
        return Problem(
            self.kind, cast(self.x), self.lengths, weights, cast(self.h0), cast(self.c0), cast(self.h_mask)
        )

    def forward(self, **options: Any) -> engine.LayerResult:
        return engine.layer_forward(
            self.kind, self.x, self.lengths, self.weights, self.h0, self.c0, h_mask=self.h_mask, **options
        )

    def backward(self, d_out: Any, d_h: Any, d_c: Any, result: engine.LayerResult) -> engine.LayerGradients:
        assert result.saved is not None
        return engine.layer_backward(
            self.kind, d_out, d_h, d_c, self.x, self.lengths, self.weights, result.saved, result.out,
            self.h0, self.c0, h_mask=self.h_mask,
        )  # fmt: skip


def _make(
    kind: str,
    lengths: list[int],
    inputs: int,
    hidden: int,
    *,
    directions: int = 2,
    masked: bool = False,
    dtype: Any = np.float32,
    seed: int = 0,
) -> Problem:
    rng = np.random.default_rng(seed)
    rows, total, batch = GATES[kind] * hidden, sum(lengths), len(lengths)

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (rng.standard_normal(shape) * scale).astype(dtype)

    scale = hidden**-0.5
    weights = [
        engine.Weights(
            normal(rows, inputs, scale=scale), normal(rows, hidden, scale=scale), normal(rows), normal(rows)
        )
        for _ in range(directions)
    ]
    states = (directions, batch, hidden)
    mask = ((rng.random(states) < 0.7) / 0.7).astype(dtype) if masked else None
    c0 = normal(*states) if kind == "lstm" else None
    return Problem(
        kind, normal(total, inputs), np.array(lengths, np.int64), weights, normal(*states), c0, mask
    )


@pytest.fixture(scope="session")
def make_problem() -> Callable[..., Problem]:
    """``make_problem(kind, lengths, inputs, hidden, directions=2, masked=False, dtype=float32, seed=0)``."""
    return _make


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-a))


def _plain(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p = problem.astype(np.float64)
    hidden, directions, batch = p.hidden, len(p.weights), len(p.lengths)
    out = np.zeros((len(p.x), directions * hidden))
    h_n, c_n = np.zeros((directions, batch, hidden)), np.zeros((directions, batch, hidden))
    starts = np.cumsum(p.lengths) - p.lengths
    for d, w in enumerate(p.weights):
        for b in range(batch):
            h = p.h0[d, b]
            c = p.c0[d, b] if p.c0 is not None else np.zeros(hidden)
            tokens = range(starts[b], starts[b] + p.lengths[b])
            for token in reversed(tokens) if d == 1 else tokens:
                a = w.w_ih @ p.x[token] + w.b_ih
                r = w.w_hh @ (h if p.h_mask is None else h * p.h_mask[d, b]) + w.b_hh
                if p.kind == "lstm":
                    i, f, g, o = np.split(a + r, 4)
                    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
                    h = _sigmoid(o) * np.tanh(c)
                elif p.kind == "gru":
                    (a_r, a_z, a_n), (r_r, r_z, r_n) = np.split(a, 3), np.split(r, 3)
                    z = _sigmoid(a_z + r_z)
                    h = (1 - z) * np.tanh(a_n + _sigmoid(a_r + r_r) * r_n) + z * h
                else:
                    h = np.tanh(a + r) if p.kind == "rnn_tanh" else np.maximum(a + r, 0)
                out[token, d * hidden : (d + 1) * hidden] = h
            h_n[d, b], c_n[d, b] = h, c
    return out, h_n, c_n


@pytest.fixture(scope="session")
def plain_forward() -> Callable[[Problem], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The equations in float64, one sequence and one step at a time: ``(out, h_n, c_n)``."""
    return _plain
