"""Weights in bfloat16 and int8, and few sequences on several threads."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled import engine
from unrolled.errors import OptionError

pytestmark = pytest.mark.skipif(not engine.available(), reason="the compiled engine is missing")

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
SHAPES = [(1, 9, 5, 7, 1), (3, 5, 33, 50, 2), (1, 12, 100, 130, 1), (5, 7, 20, 256, 1), (40, 9, 31, 65, 2)]


def layer(kind: str, batch: int, steps: int, inputs: int, hidden: int, directions: int):
    random = np.random.default_rng(hash((batch, steps, inputs, hidden)) % 1000)
    lengths = random.integers(0 if batch > 3 else 1, steps + 1, batch)
    x = random.standard_normal((int(lengths.sum()), inputs)).astype(np.float32)
    rows = GATES[kind] * hidden
    weights = [
        engine.Weights(
            *(
                random.uniform(-0.1, 0.1, shape).astype(np.float32)
                for shape in ((rows, inputs), (rows, hidden), (rows,), (rows,))
            )
        )
        for _ in range(directions)
    ]
    states = random.standard_normal((2, directions, batch, hidden)).astype(np.float32)
    return x, lengths, weights, states[0], states[1] if kind == "lstm" else None


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("shape", SHAPES)
def test_reduced_weights_answer_as_rounded_ones_do(kind: str, shape: tuple[int, ...]) -> None:
    x, lengths, weights, h0, c0 = layer(kind, *shape)
    exact = engine.layer_forward(kind, x, lengths, weights, h0, c0).out

    def bfloat16(w):  # nearest, ties to even
        bits = w.view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)

    def int8(w):  # a scale a row
        scale = np.abs(w).max(axis=1, keepdims=True) / np.float32(127)
        return (np.round(w / scale) * scale).astype(np.float32)

    for precision, rounded, tolerance in (("bfloat16", bfloat16, 1e-5), ("int8", int8, 2e-3)):
        again = [w._replace(w_ih=rounded(w.w_ih), w_hh=rounded(w.w_hh)) for w in weights]
        expected = engine.layer_forward(kind, x, lengths, again, h0, c0).out
        prepared = engine.prepare(kind, weights, precision=precision)
        found = engine.infer_layer(kind, x, lengths, prepared, h0, c0).out
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
        assert not np.array_equal(found, exact)


# Few sequences with steps enough for several threads to join in.
FEW = [(1, 200, 64, 256, 1), (2, 150, 64, 320, 1), (7, 60, 33, 200, 2)]


@pytest.mark.parametrize("precision", engine.PRECISIONS)
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh"])
@pytest.mark.parametrize("shape", [*SHAPES, *FEW])
def test_threads_do_not_change_a_bit(precision: str, kind: str, shape: tuple[int, ...]) -> None:
    x, lengths, weights, h0, c0 = layer(kind, *shape)
    prepared = engine.prepare(kind, weights, precision=precision)
    results = []
    try:
        for threads in (1, 2, 3, 4, 2, 2, 4, 2):
            engine.set_num_threads(threads)
            results.append(engine.infer_layer(kind, x, lengths, prepared, h0, c0))
    finally:
        engine.set_num_threads(None)
    for result in results[1:]:
        assert np.array_equal(result.out, results[0].out)
        assert np.array_equal(result.h_n, results[0].h_n)
        assert c0 is None or np.array_equal(result.c_n, results[0].c_n)


def test_unknown_precision_and_float64_are_refused() -> None:
    _, _, weights, _, _ = layer("lstm", 1, 3, 4, 5, 1)
    with pytest.raises(OptionError, match="float32, bfloat16, int8"):
        engine.prepare("lstm", weights, precision="int4")
    doubles = [engine.Weights(*(w.astype(np.float64) for w in weights[0]))]
    with pytest.raises(OptionError, match="float32"):
        engine.prepare("lstm", doubles, precision="int8")
