"""The forward pass against the equations written out in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unrolled import engine

BATCHES = [[0], [1], [0, 0, 3, 0], [4, 1, 0, 7, 7, 2, 1, 5, 3], [6] * 17]


@pytest.mark.parametrize("hidden", [1, 16, 50])
@pytest.mark.parametrize("lengths", BATCHES, ids=str)
def test_every_instruction_set(
    simd: str,
    kind: str,
    lengths: list[int],
    hidden: int,
    make_problem: Callable[..., Any],
    plain_forward: Any,
) -> None:
    problem = make_problem(kind, lengths, 9, hidden)
    out, h_n, c_n = plain_forward(problem)
    for save in (False, True):
        result = problem.forward(save=save)
        np.testing.assert_allclose(result.out, out, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(result.h_n, h_n, rtol=1e-5, atol=1e-5)
        if kind == "lstm":
            np.testing.assert_allclose(result.c_n, c_n, rtol=1e-5, atol=1e-5)
        else:
            assert result.c_n is None


def test_sequences_without_tokens_keep_their_states(
    simd: str, kind: str, make_problem: Callable[..., Any]
) -> None:
    problem = make_problem(kind, [0, 0], 3, 5)
    result = problem.forward()
    assert result.out.shape == (0, 10)
    np.testing.assert_array_equal(result.h_n, problem.h0)
    if kind == "lstm":
        np.testing.assert_array_equal(result.c_n, problem.c0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind_=st.sampled_from(["rnn_tanh", "rnn_relu", "lstm", "gru"]),
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=20),
    inputs=st.integers(1, 40),
    hidden=st.integers(1, 70),
    directions=st.integers(1, 2),
    masked=st.booleans(),
    threads=st.integers(1, 3),
    choice=st.integers(0, 9),
    seed=st.integers(0, 1000),
)
def test_any_shape(
    make_problem: Callable[..., Any],
    plain_forward: Any,
    kind_: str,
    lengths: list[int],
    inputs: int,
    hidden: int,
    directions: int,
    masked: bool,
    threads: int,
    choice: int,
    seed: int,
) -> None:
    problem = make_problem(kind_, lengths, inputs, hidden, directions=directions, masked=masked, seed=seed)
    out, h_n, _ = plain_forward(problem)
    names = engine.simd_choices()
    engine.set_simd(names[choice % len(names)])
    engine.set_num_threads(threads)
    result = problem.forward()
    np.testing.assert_allclose(result.out, out, rtol=3e-5, atol=3e-5)
    np.testing.assert_allclose(result.h_n, h_n, rtol=3e-5, atol=3e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_a_projection_done_by_the_caller_gives_the_same(
    simd: str, kind: str, masked: bool, make_problem: Callable[..., Any], plain_forward: Any
) -> None:
    problem = make_problem(kind, [3, 0, 8, 1, 5], 7, 19, masked=masked)
    out, h_n, c_n = plain_forward(problem)
    for d, w in enumerate(problem.weights):
        c0 = None if problem.c0 is None else problem.c0[d]
        mask = None if problem.h_mask is None else problem.h_mask[d]
        for save in (False, True):
            xw = problem.x @ w.w_ih.T + w.b_ih
            scan = engine.forward(
                kind,
                xw,
                problem.lengths,
                w.w_hh,
                w.b_hh,
                problem.h0[d],
                c0,
                reverse=d == 1,
                save=save,
                h_mask=mask,
            )
            np.testing.assert_allclose(scan.out, out[:, d * 19 : (d + 1) * 19], rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(scan.h_n, h_n[d], rtol=1e-5, atol=1e-5)
            if kind == "lstm":
                np.testing.assert_allclose(scan.c_n, c_n[d], rtol=1e-5, atol=1e-5)


def test_missing_states_and_biases_are_zeros(simd: str, kind: str, make_problem: Callable[..., Any]) -> None:
    problem = make_problem(kind, [4, 2, 6], 5, 11)
    bare = [engine.Weights(w.w_ih, w.w_hh) for w in problem.weights]
    zero = [
        engine.Weights(w.w_ih, w.w_hh, np.zeros_like(w.b_ih), np.zeros_like(w.b_hh)) for w in problem.weights
    ]
    states = np.zeros_like(problem.h0)
    given_ = engine.layer_forward(
        kind, problem.x, problem.lengths, zero, states, states if kind == "lstm" else None
    )
    missing = engine.layer_forward(kind, problem.x, problem.lengths, bare)
    np.testing.assert_array_equal(given_.out, missing.out)


def test_extreme_inputs_saturate_and_not_a_number_stays(
    simd: str, kind: str, make_problem: Callable[..., Any]
) -> None:
    problem = make_problem(kind, [2, 2], 4, 18)
    problem.x *= 1e6
    if kind != "rnn_relu":
        assert np.abs(problem.forward().out).max() <= max(1.0, np.abs(problem.h0).max()) + 1e-6
    problem.x[2] = np.nan
    out = problem.forward().out
    assert np.isnan(out[2:, :18]).all()
    assert np.isfinite(out[:2]).all()


def test_rows_of_a_table_equal_gathered_vectors(
    simd: str, kind: str, make_problem: Callable[..., Any]
) -> None:
    problem = make_problem(kind, [5, 0, 3], 6, 20)
    table = np.random.default_rng(1).standard_normal((30, 6)).astype(np.float32)
    rows = np.array([3, 29, 0, 3, 3, 7, 1, 2], np.int32)
    direct = engine.layer_forward(
        kind, table, problem.lengths, problem.weights, problem.h0, problem.c0, rows=rows
    )
    copied = engine.layer_forward(
        kind, engine.gather(table, rows), problem.lengths, problem.weights, problem.h0, problem.c0
    )
    np.testing.assert_array_equal(direct.out, copied.out)
    np.testing.assert_array_equal(engine.gather(table, rows), table[rows])


def test_prepared_weights_give_the_same(simd: str, kind: str, make_problem: Callable[..., Any]) -> None:
    problem = make_problem(kind, [5, 0, 3], 6, 20)
    prepared = engine.prepare(kind, problem.weights)
    expected = problem.forward().out
    arguments = (kind, problem.x, problem.lengths, prepared, problem.h0, problem.c0)
    np.testing.assert_array_equal(engine.infer_layer(*arguments).out, expected)
    engine.set_simd(engine.simd_choices()[-1])
    np.testing.assert_allclose(engine.infer_layer(*arguments).out, expected, atol=1e-5)
    with pytest.raises(ValueError, match="prepared for"):
        engine.infer_layer(kind, problem.x[:, :5].copy(), problem.lengths, prepared)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("dim", [1, 7, 64, 100])
def test_embedding_bag(simd: str, dtype: Any, dim: int) -> None:
    rng = np.random.default_rng(0)
    table = (rng.standard_normal((50, dim)) * 10.0 ** rng.integers(-7, 4, (50, 1))).astype(dtype)
    lengths = rng.integers(0, 6, 3000)
    rows = rng.integers(0, 50, lengths.sum()).astype(np.int32)
    tokens, picked = np.repeat(np.arange(3000), lengths), table[rows].astype(np.float64)
    expected, size = np.zeros((3000, dim)), np.zeros((3000, dim))
    np.add.at(expected, tokens, picked)
    np.add.at(size, tokens, np.abs(picked))
    engine.set_num_threads(2)
    found = engine.embedding_bag(table, rows, lengths)
    assert found.dtype == (np.float64 if dtype == np.float64 else np.float32)
    assert (np.abs(found - expected) <= 1e-6 * size).all()
    assert engine.embedding_bag(table, rows[:0], np.zeros(0, np.int64)).shape == (0, dim)


def test_half_precision_is_read_exactly(simd: str) -> None:
    table = np.arange(65536, dtype=np.uint16).view(np.float16).reshape(-1, 16)  # every number there is
    rows = np.arange(len(table), dtype=np.int32)
    found = engine.embedding_bag(table, rows, np.ones(len(table), np.int64))
    np.testing.assert_array_equal(found, table.astype(np.float32))
