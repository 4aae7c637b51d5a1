"""The backward pass: against torch.nn in float32, against finite differences in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unrolled import engine

NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _torch_gradients(
    problem: Any, d_out: np.ndarray, d_h: np.ndarray, d_c: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Outputs and all gradients of torch.nn, run on one sequence at a time: no padding, no packing."""
    torch = pytest.importorskip("torch")
    directions, hidden = len(problem.weights), problem.hidden
    options: dict[str, Any] = {"bidirectional": directions == 2}
    if problem.kind.startswith("rnn"):
        options["nonlinearity"] = problem.kind[4:]
    layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(problem.kind, torch.nn.RNN)(
        problem.x.shape[1], hidden, **options
    )
    ends = ["_l0", "_l0_reverse"][:directions]
    with torch.no_grad():
        for end, weights in zip(ends, problem.weights, strict=True):
            for name, value in zip(NAMES, weights, strict=True):
                getattr(layer, name + end).copy_(torch.from_numpy(value))
    x, h0 = torch.tensor(problem.x, requires_grad=True), torch.tensor(problem.h0, requires_grad=True)
    c0 = None if problem.c0 is None else torch.tensor(problem.c0, requires_grad=True)
    outs, lasts, cells, start = [], [], [], 0
    for b, length in enumerate(problem.lengths.tolist()):
        h, c = h0[:, b : b + 1], None if c0 is None else c0[:, b : b + 1]
        if length:
            state = h.contiguous() if c is None else (h.contiguous(), c.contiguous())
            out, state = layer(x[start : start + length, None], state)
            outs.append(out[:, 0])
            h, c = state if c is not None else (state, None)
        lasts.append(h)
        cells.append(c)
        start += length
    out, h_n = torch.cat(outs), torch.cat(lasts, 1)
    loss = (out * torch.tensor(d_out)).sum() + (h_n * torch.tensor(d_h)).sum()
    if d_c is not None:
        loss = loss + (torch.cat(cells, 1) * torch.tensor(d_c)).sum()
    loss.backward()
    found = {"out": out.detach(), "h_n": h_n.detach(), "x": x.grad, "h0": h0.grad}
    if c0 is not None:
        found |= {"c_n": torch.cat(cells, 1).detach(), "c0": c0.grad}
    found |= {name + end: getattr(layer, name + end).grad for name in NAMES for end in ends}
    return {name: value.numpy() for name, value in found.items()}


def _upstream(problem: Any, seed: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    rng = np.random.default_rng(seed)
    dtype = problem.x.dtype
    d_out = rng.standard_normal((len(problem.x), len(problem.weights) * problem.hidden)).astype(dtype)
    d_h = rng.standard_normal(problem.h0.shape).astype(dtype)
    return d_out, d_h, None if problem.c0 is None else rng.standard_normal(problem.h0.shape).astype(dtype)


def _close(found: np.ndarray, expected: np.ndarray, name: str) -> None:
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(
    ("lengths", "inputs", "hidden"),
    [([3, 0, 7, 1, 1, 4, 9, 2, 6], 5, 21), ([1], 1, 1), ([0, 5], 40, 64), ([8] * 13, 17, 100)],
    ids=str,
)
def test_everything_agrees_with_torch(
    simd: str,
    kind: str,
    lengths: list[int],
    inputs: int,
    hidden: int,
    directions: int,
    make_problem: Callable[..., Any],
) -> None:
    problem = make_problem(kind, lengths, inputs, hidden, directions=directions)
    d_out, d_h, d_c = _upstream(problem)
    expected = _torch_gradients(problem, d_out, d_h, d_c)
    result = problem.forward(save=True)
    gradients = problem.backward(d_out, d_h, d_c, result)
    for name, value in {
        "out": result.out,
        "h_n": result.h_n,
        "x": gradients.d_x,
        "h0": gradients.d_h0,
    }.items():
        _close(value, expected[name], name)
    if kind == "lstm":
        _close(result.c_n, expected["c_n"], "c_n")
        _close(gradients.d_c0, expected["c0"], "c0")
    for d, end in enumerate(["_l0", "_l0_reverse"][:directions]):
        for name, value in zip(NAMES, gradients.weights[d], strict=True):
            _close(value, expected[name + end], name + end)


@pytest.mark.parametrize("masked", [False, True])
def test_the_scan_alone_gives_the_gradients_of_the_layer(
    simd: str, kind: str, masked: bool, make_problem: Callable[..., Any]
) -> None:
    problem = make_problem(kind, [3, 0, 7, 1, 4], 5, 21, masked=masked)
    d_out, d_h, d_c = _upstream(problem)
    expected = problem.backward(d_out, d_h, d_c, problem.forward(save=True))
    hidden = problem.hidden
    d_x = np.zeros_like(problem.x)
    for d, w in enumerate(problem.weights):
        c0 = None if problem.c0 is None else problem.c0[d]
        mask = None if problem.h_mask is None else problem.h_mask[d]
        xw = problem.x @ w.w_ih.T + w.b_ih
        states = {"reverse": d == 1, "h_mask": mask}
        scan = engine.forward(
            kind, xw, problem.lengths, w.w_hh, w.b_hh, problem.h0[d], c0, save=True, **states
        )
        d_part = np.ascontiguousarray(d_out[:, d * hidden : (d + 1) * hidden])
        found = engine.backward(
            kind, d_part, d_h[d], None if d_c is None else d_c[d], problem.lengths, w.w_hh,
            scan.saved, scan.out, problem.h0[d], c0, **states,
        )  # fmt: skip
        d_x += found.d_xw @ w.w_ih
        _close(found.d_xw.T @ problem.x, expected.weights[d].w_ih, "w_ih")
        _close(found.d_xw.sum(0), expected.weights[d].b_ih, "b_ih")
        _close(found.d_w_hh, expected.weights[d].w_hh, "w_hh")
        _close(found.d_b_hh, expected.weights[d].b_hh, "b_hh")
        _close(found.d_h0, expected.d_h0[d], "h0")
        if kind == "lstm":
            _close(found.d_c0, expected.d_c0[d], "c0")
    _close(d_x, expected.d_x, "x")


@pytest.mark.parametrize("masked", [False, True])
def test_finite_differences_in_float64(kind: str, masked: bool, make_problem: Callable[..., Any]) -> None:
    problem = make_problem(kind, [3, 0, 1, 5], 3, 5, masked=masked, dtype=np.float64)
    d_out, d_h, d_c = _upstream(problem)

    def loss() -> float:
        result = problem.forward()
        total = (result.out * d_out).sum() + (result.h_n * d_h).sum()
        return float(total if d_c is None else total + (result.c_n * d_c).sum())

    gradients = problem.backward(d_out, d_h, d_c, problem.forward(save=True))
    pairs = [("x", problem.x, gradients.d_x), ("h0", problem.h0, gradients.d_h0)]
    if kind == "lstm":
        pairs.append(("c0", problem.c0, gradients.d_c0))
    for d, w in enumerate(problem.weights):
        pairs += [(f"{name} {d}", a, b) for name, a, b in zip(NAMES, w, gradients.weights[d], strict=True)]
    step = 1e-6
    for name, values, gradient in pairs:
        flat = values.reshape(-1)
        for i in range(0, flat.size, max(1, flat.size // 8)):
            kept = flat[i]
            flat[i] = kept + step
            above = loss()
            flat[i] = kept - step
            below = loss()
            flat[i] = kept
            assert (above - below) / (2 * step) == pytest.approx(
                gradient.reshape(-1)[i], abs=2e-7, rel=1e-6
            ), name


def test_missing_upstream_gradients_are_zeros(simd: str, kind: str, make_problem: Callable[..., Any]) -> None:
    problem = make_problem(kind, [4, 0, 2], 3, 17)
    result = problem.forward(save=True)
    d_out, d_h, d_c = (None if a is None else np.zeros_like(a) for a in _upstream(problem))
    d_h[:] = 1
    given = problem.backward(d_out, d_h, d_c, result)
    missing = problem.backward(None, d_h, None, result)
    np.testing.assert_array_equal(given.d_x, missing.d_x)
    np.testing.assert_array_equal(given.weights[0].w_hh, missing.weights[0].w_hh)


def test_gradient_of_the_input_can_be_left_out(kind: str, make_problem: Callable[..., Any]) -> None:
    problem = make_problem(kind, [4, 0, 2], 3, 17)
    result = problem.forward(save=True)
    upstream = _upstream(problem)
    full = problem.backward(*upstream, result)
    bare = engine.layer_backward(
        kind, *upstream, problem.x, problem.lengths, problem.weights, result.saved, result.out,
        problem.h0, problem.c0, need_d_x=False,
    )  # fmt: skip
    assert bare.d_x is None
    np.testing.assert_array_equal(bare.weights[1].w_ih, full.weights[1].w_ih)


def test_the_backward_pass_can_run_twice(kind: str, make_problem: Callable[..., Any]) -> None:
    problem = make_problem(kind, [4, 0, 2, 9], 3, 40)
    result = problem.forward(save=True)
    upstream = _upstream(problem)
    first = problem.backward(*upstream, result)
    second = problem.backward(*upstream, result)
    np.testing.assert_array_equal(first.d_x, second.d_x)
    np.testing.assert_array_equal(first.weights[1].w_hh, second.weights[1].w_hh)


def test_weight_gradient_of_a_linear_layer(simd: str) -> None:
    rng = np.random.default_rng(0)
    for rows, k, n in [(0, 3, 4), (1, 1, 1), (700, 33, 50), (257, 70, 7)]:
        x = rng.standard_normal((rows, k)).astype(np.float32)
        w, b = rng.standard_normal((n, k)).astype(np.float32), rng.standard_normal(n).astype(np.float32)
        d = rng.standard_normal((rows, n)).astype(np.float32)
        _close(engine.linear(x, w, b), x @ w.T + b, "linear")
        _close(engine.linear(x, w), x @ w.T, "linear without bias")
        d_w, d_b = engine.linear_weight_gradient(d, x)
        _close(d_w, d.T @ x, "weight")
        _close(d_b, d.sum(0), "bias")
