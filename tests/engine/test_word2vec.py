"""The compiled training of word vectors: its step against the equations, its threads, its randomness."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from unrolled import engine
from unrolled.embed.frequencies import noise_table
from unrolled.embed.plain import learn
from unrolled.engine.word2vec import (
    MOST_INPUTS,
    MOST_OUTPUTS,
    check_word2vec,
    row_stride,
    train_word2vec,
    word2vec_step,
)

sys.path.insert(0, str(Path(__file__).parent.parent / "embed"))
from vector_toys import model_of, random_text


def tables(rows: int, dim: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(2):
        table = np.zeros((rows, row_stride(dim)), dtype=np.float32)
        table[:, :dim] = draw.normal(size=(rows, dim))
        made.append(table)
    return made[0], made[1]


def loss_of(x: np.ndarray, w: np.ndarray, rows: np.ndarray, outputs: np.ndarray, labels: np.ndarray) -> float:
    scores = x[rows] @ w[outputs].T
    return float(np.logaddexp(0, np.where(labels, -scores, scores)).sum())


@pytest.mark.parametrize("dim", [1, 8, 20, 100])
@pytest.mark.parametrize("inputs", [1, 2, 5, MOST_INPUTS])
def test_a_step_follows_the_gradient(simd: str, dim: int, inputs: int) -> None:
    """Against finite differences of the loss, in float64."""
    for count in range(1, MOST_OUTPUTS + 1):
        x, w = tables(20, dim, seed=inputs * 10 + count)
        rows = np.random.default_rng(1).permutation(20)[:inputs].astype(np.int32)
        outputs = np.arange(count, dtype=np.int32) * 3
        labels = (np.arange(count) % 2 == 0).astype(np.uint8)
        new = x.copy(), w.copy()
        word2vec_step(*new, rows, outputs, labels, 0.01)
        for which, touched in enumerate((rows, outputs)):
            for row in touched[:2]:
                for column in {0, dim - 1}:
                    around = []
                    for shift in (1e-5, -1e-5):
                        shifted = [x.astype(np.float64), w.astype(np.float64)]
                        shifted[which][row, column] += shift
                        around.append(loss_of(*shifted, rows, outputs, labels))
                    slope = (around[0] - around[1]) / 2e-5
                    step = float(new[which][row, column]) - float((x, w)[which][row, column])
                    assert step == pytest.approx(-0.01 * slope, abs=3e-6)
            untouched = np.setdiff1d(np.arange(20), touched)
            np.testing.assert_array_equal(new[which][untouched], (x, w)[which][untouched])
            assert not new[which][:, dim:].any()


def test_a_step_equals_the_numpy_tier() -> None:
    x, w = tables(30, 33)
    rows = np.array([4, 9, 4, 17], dtype=np.int32)  # a neighbour may come twice
    outputs = np.array([1, 2, 8, 29], dtype=np.int32)
    labels = np.array([1, 0, 0, 0], dtype=np.uint8)
    one = x.copy(), w.copy()
    word2vec_step(*one, rows, outputs, labels, 0.001)
    two = x.astype(np.float64), w.astype(np.float64)
    learn(
        *two,
        rows,
        np.ones(4, dtype=np.int64),
        np.tile(outputs, (4, 1)),
        np.tile(labels, (4, 1)),
        np.ones((4, 4), dtype=bool),
        0.001,
    )
    # The second coming of a row sees it after the first: a difference of the order of the step squared.
    np.testing.assert_allclose(one[0], two[0], atol=1e-4)
    np.testing.assert_allclose(one[1], two[1], atol=1e-4)


KINDS = {
    "skipgram": {},
    "cbow": {"cbow": True},
    "tree": {"negative": 0},
    "cbow tree": {"cbow": True, "negative": 0},
    "many negatives": {"negative": 14},
    "small groups": {"share": 2},
}


@pytest.mark.parametrize("kind", [*KINDS, "bags", "cbow bags"])
def test_lanes_give_the_same_on_any_number_of_threads(kind: str) -> None:
    results = []
    text = random_text(40, 300)
    for threads in (1, 2, 3, 5):
        changes = dict(KINDS.get(kind, {"cbow": kind == "cbow bags"}))
        if "bags" in kind:
            changes["bag_starts"] = np.arange(0, 81, 2)
            changes["bag_rows"] = np.stack([np.arange(40), np.arange(40)[::-1]], 1).ravel().astype(np.int32)
        model = model_of(text, 40, rate_first=0.01, rate_last=0.001, **changes)
        check_word2vec(model)
        before = model.input.copy()
        engine.set_num_threads(threads)
        order = np.random.default_rng(0).permutation(model.chunks).astype(np.int32)
        windows, loss = train_word2vec(model, order, 0, 0, model.chunks, lanes=40)
        assert windows > 1000
        assert 0 < loss < 20
        assert np.abs(model.input - before).max() > 0.01
        results.append((windows, loss, model.input.tobytes(), model.output.tobytes()))
    assert all(result == results[0] for result in results[1:])


def test_one_lane_and_one_thread_without_lanes_agree() -> None:
    """A round of one window: its gradients are taken and added at once, as the other mode does."""
    found = []
    for lanes in (0, 1):
        model = model_of(random_text(40, 100), 40, rate_first=0.001, rate_last=0.001)
        order = np.arange(model.chunks, dtype=np.int32)
        train_word2vec(model, order, 0, 0, model.chunks, lanes=lanes)
        found.append(model.input)
    # Not bit for bit: where a word stands twice in a window, the second one is seen after the first.
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
    assert np.abs(found[0] - model_of(random_text(40, 100), 40).input).max() > 0.02


def test_padding_stays_zero_and_calls_can_be_cut() -> None:
    text = random_text(40, 300)
    whole, cut = model_of(text, 40), model_of(text, 40)
    order = np.random.default_rng(0).permutation(whole.chunks).astype(np.int32)
    train_word2vec(whole, order, 0, 0, whole.chunks, lanes=1)
    for place in range(whole.chunks):
        train_word2vec(cut, order, 0, place, place + 1, lanes=1)
    np.testing.assert_array_equal(whole.input, cut.input)
    assert not whole.input[:, 7:].any()
    assert not whole.output[:, 7:].any()


def test_windows_are_the_words_of_sentences_of_two_or_more() -> None:
    text = np.array([0, -1, 1, 2, -1, -1, 3, 4, 0, -1] * 20, dtype=np.int32)
    for chunk in (1, 3, 7, 64, 1000):
        model = model_of(text, 5, chunk=chunk)
        order = np.arange(model.chunks, dtype=np.int32)
        windows, _ = train_word2vec(model, order, 0, 0, model.chunks, lanes=4)
        assert windows == 100


def test_subsampling_keeps_the_share_it_should() -> None:
    text = np.array(([0] * 50 + [1, 2] * 25 + [-1]) * 200, dtype=np.int32)
    model = model_of(text, 3, keep=np.array([2**30 - 1, 2**32 - 1, 2**32 - 1], dtype=np.uint32))
    windows, _ = train_word2vec(model, np.arange(model.chunks, dtype=np.int32), 0, 0, model.chunks, lanes=0)
    assert windows == pytest.approx(200 * (50 / 4 + 50), rel=0.02)


def test_negatives_follow_the_noise_distribution() -> None:
    """With one input far from all outputs' start, each draw of a word moves its output by the same step."""
    words = 6
    counts = np.array([400, 200, 100, 50, 30, 20])
    text = np.array([0, 1, -1] * 4000, dtype=np.int32)
    threshold, alias = noise_table(counts)
    model = model_of(
        text, words, negative=1, threshold=threshold, alias=alias, rate_first=1e-6, rate_last=1e-6
    )
    model.input[:] = 0
    model.input[:, 0] = 1.0
    model.output[:] = 0
    train_word2vec(model, np.arange(model.chunks, dtype=np.int32), 0, 0, model.chunks, lanes=0)
    drawn = -model.output[2:, 0]  # words that are never right answers
    expected = counts[2:] ** 0.75
    np.testing.assert_allclose(drawn / drawn.sum(), expected / expected.sum(), atol=0.02)


def test_wrong_arrays_are_refused() -> None:
    text = random_text(10, 20)
    for changes, message in (
        ({"tokens": np.array([10], dtype=np.int32)}, "tokens must lie in"),
        ({"input": np.zeros((9, 8), np.float32)}, "row a word"),
        ({"input": np.zeros((10, 7), np.float32), "output": np.zeros((10, 7), np.float32)}, "multiple of 8"),
        ({"alias": np.full(10, 10, dtype=np.int32)}, "alias must lie in"),
        ({"bag_starts": np.zeros(11, np.int64), "bag_rows": np.zeros(0, np.int32)}, "every bag"),
    ):
        with pytest.raises(ValueError, match=message):
            check_word2vec(dataclasses.replace(model_of(text, 10), **changes))
