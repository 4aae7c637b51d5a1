"""The equations of one step, against torch's cells, against each other and by hand."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from unrolled.cells import (
    GATES,
    KINDS,
    CellWeights,
    Kind,
    gru_step,
    lstm_step,
    rnn_output,
    rnn_step,
    rnn_step_joined,
    softmax,
    unroll,
)
from unrolled.cells.arrays import sigmoid

INPUT, HIDDEN, BATCH = 5, 4, 3


def draw(kind: Kind, dtype: Any = np.float64, bias: bool = True, seed: int = 0) -> CellWeights:
    random = np.random.default_rng(seed)
    rows = GATES[kind] * HIDDEN
    shapes: list[tuple[int, ...]] = [(rows, INPUT), (rows, HIDDEN)] + [(rows,), (rows,)] * bias
    return CellWeights(*(random.normal(size=shape).astype(dtype) for shape in shapes))


def states(seed: int = 1) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    random = np.random.default_rng(seed)
    return (
        random.normal(size=(BATCH, INPUT)),
        random.normal(size=(BATCH, HIDDEN)),
        random.normal(size=(BATCH, HIDDEN)),
    )


def torch_cell(kind: Kind, w: CellWeights) -> torch.nn.RNNCellBase:
    bias = w.b_x is not None
    cell: torch.nn.RNNCellBase
    if kind == "lstm":
        cell = torch.nn.LSTMCell(INPUT, HIDDEN, bias=bias, dtype=torch.float64)
    elif kind == "gru":
        cell = torch.nn.GRUCell(INPUT, HIDDEN, bias=bias, dtype=torch.float64)
    else:
        cell = torch.nn.RNNCell(INPUT, HIDDEN, bias, kind.removeprefix("rnn_"), dtype=torch.float64)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    cell.load_state_dict({n: torch.tensor(v) for n, v in zip(names, w, strict=True) if v is not None})
    return cell


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_one_step_equals_torch(kind: Kind, bias: bool) -> None:
    w = draw(kind, bias=bias)
    x, h, c = states()
    cell = torch_cell(kind, w)
    if kind == "lstm":
        ours = lstm_step(x, h, c, w)
        theirs_h, theirs_c = cell(torch.tensor(x), (torch.tensor(h), torch.tensor(c)))
        np.testing.assert_allclose(ours.c, theirs_c.detach(), rtol=0, atol=1e-12)
        result = ours.h
    elif kind == "gru":
        theirs_h, result = cell(torch.tensor(x), torch.tensor(h)), gru_step(x, h, w).h
    else:
        theirs_h = cell(torch.tensor(x), torch.tensor(h))
        result = rnn_step(x, h, w, activation=kind.removeprefix("rnn_"))
    np.testing.assert_allclose(result, theirs_h.detach(), rtol=0, atol=1e-12)


def test_both_forms_of_the_rnn_are_equal() -> None:
    w = draw("rnn_tanh")
    x, h, _ = states()
    joined = rnn_step_joined(x, h, w.W_x.T, w.W_h.T, w.b_x + w.b_h)
    np.testing.assert_allclose(rnn_step(x, h, w), joined, rtol=0, atol=1e-14)
    on_tensors = rnn_step_joined(*map(torch.tensor, (x, h, w.W_x.T, w.W_h.T, w.b_x + w.b_h)))
    np.testing.assert_allclose(on_tensors, joined, rtol=0, atol=1e-14)


def test_lstm_returns_the_gates_that_made_the_states() -> None:
    w = draw("lstm")
    x, h, c = states()
    new = lstm_step(x, h, c, w)
    pre = x @ w.W_x.T + w.b_x + h @ w.W_h.T + w.b_h
    for position, gate in enumerate((new.i, new.f, None, new.o)):
        if gate is not None:
            expected = 1 / (1 + np.exp(-pre[:, position * HIDDEN : (position + 1) * HIDDEN]))
            np.testing.assert_allclose(gate, expected, rtol=1e-12)
    np.testing.assert_allclose(new.g, np.tanh(pre[:, 2 * HIDDEN : 3 * HIDDEN]), rtol=1e-12)
    np.testing.assert_allclose(new.c, new.f * c + new.i * new.g, rtol=1e-14)
    np.testing.assert_allclose(new.h, new.o * np.tanh(new.c), rtol=1e-14)


def test_gru_returns_the_gates_that_made_the_state() -> None:
    w = draw("gru")
    x, h, _ = states()
    new = gru_step(x, h, w)
    assert np.all((new.r > 0) & (new.r < 1) & (new.z > 0) & (new.z < 1))
    np.testing.assert_allclose(new.h, (1 - new.z) * new.n + new.z * h, rtol=1e-14)
    hand = np.tanh(
        x @ w.W_x[-HIDDEN:].T + w.b_x[-HIDDEN:] + new.r * (h @ w.W_h[-HIDDEN:].T + w.b_h[-HIDDEN:])
    )
    np.testing.assert_allclose(new.n, hand, rtol=1e-12)


def test_a_mask_acts_on_the_recurrent_product_alone() -> None:
    x, h, c = states()
    nothing = np.zeros_like(h)
    lstm = lstm_step(x, h, c, draw("lstm"), mask=nothing)
    np.testing.assert_array_equal(lstm.h, lstm_step(x, nothing, c, draw("lstm")).h)
    gru = gru_step(x, h, draw("gru"), mask=nothing)
    np.testing.assert_allclose(gru.h, (1 - gru.z) * gru.n + gru.z * h, rtol=1e-14)
    np.testing.assert_array_equal(gru.z, gru_step(x, nothing, draw("gru")).z)
    plain = draw("rnn_tanh")
    np.testing.assert_array_equal(rnn_step(x, h, plain, mask=nothing), rnn_step(x, nothing, plain))


def test_softmax_output_of_a_step() -> None:
    random = np.random.default_rng(0)
    a, W_ya, b_y = random.normal(size=(3, HIDDEN)), random.normal(size=(6, HIDDEN)), random.normal(size=6)
    y = rnn_output(a, W_ya, b_y)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(y, torch.softmax(torch.tensor(a @ W_ya.T + b_y), 1), rtol=1e-12)
    np.testing.assert_allclose(rnn_output(a[0], W_ya), softmax(W_ya @ a[0]), rtol=1e-12)


def test_nothing_overflows() -> None:
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(sigmoid(np.array([-1e30, 0, 1e30], np.float32)), [0, 0.5, 1])
        np.testing.assert_array_equal(softmax(np.array([1e30, 1e30], np.float32)), [0.5, 0.5])


@pytest.mark.parametrize("kind", KINDS)
def test_numpy_and_torch_run_the_same_equations(kind: Kind) -> None:
    w = draw(kind)
    x, h, c = states()
    cell_state = c[0] if kind == "lstm" else None
    for reverse in (False, True):
        out, h_n, c_n = unroll(kind, x, h[0], cell_state, w, reverse=reverse)
        tensors = CellWeights(*map(torch.tensor, w))
        cell_tensor = None if cell_state is None else torch.tensor(cell_state)
        out_t, h_t, c_t = unroll(
            kind, torch.tensor(x), torch.tensor(h[0]), cell_tensor, tensors, reverse=reverse
        )
        assert isinstance(out, np.ndarray) and isinstance(out_t, torch.Tensor)
        np.testing.assert_allclose(out, out_t, rtol=0, atol=1e-14)
        np.testing.assert_allclose(h_n, h_t, rtol=0, atol=1e-14)
        np.testing.assert_array_equal(h_n, out[0 if reverse else -1])
        assert (c_n is None) == (kind != "lstm") == (c_t is None)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_sequence_keeps_its_states(kind: Kind) -> None:
    w = draw(kind)
    _, h, c = states()
    out, h_n, c_n = unroll(kind, np.zeros((0, INPUT)), h[0], c[0] if kind == "lstm" else None, w)
    assert out.shape == (0, HIDDEN)
    np.testing.assert_array_equal(h_n, h[0])
    assert kind != "lstm" or np.array_equal(c_n, c[0])


def test_float32_stays_float32() -> None:
    for kind in KINDS:
        x, h, c = (state.astype(np.float32) for state in states())
        w = draw(kind, np.float32)
        out, h_n, _ = unroll(kind, x, h[0], c[0] if kind == "lstm" else None, w)
        assert out.dtype == h_n.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_equations(kind: Kind) -> None:
    w = [torch.tensor(v, requires_grad=True) for v in draw(kind)]
    x, h, c = (torch.tensor(state, requires_grad=True) for state in states())

    def run(x: Any, h: Any, c: Any, *weights: Any) -> Any:
        out, h_n, c_n = unroll(kind, x, h, c if kind == "lstm" else None, CellWeights(*weights))
        return (out, h_n) if c_n is None else (out, h_n, c_n)

    assert torch.autograd.gradcheck(
        run, (x, h[0].detach().requires_grad_(), c[0].detach().requires_grad_(), *w)
    )


def test_the_equations_do_not_import_torch() -> None:
    code = "import sys, unrolled.cells, unrolled.nn; unrolled.nn.lstm_step; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
