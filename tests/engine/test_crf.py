"""The linear-chain CRF of the engine against all paths, finite differences and the equations."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import engine
from unrolled.cells import best_path, log_partition, path_score
from unrolled.engine import library

DTYPES = (np.float32, np.float64)
INF = np.inf


class Chain(NamedTuple):
    """A batch as the engine takes it, and targets that nothing forbids."""

    scores: np.ndarray
    lengths: np.ndarray
    transitions: np.ndarray
    start: np.ndarray
    end: np.ndarray
    targets: np.ndarray

    @property
    def given(self) -> tuple[np.ndarray, ...]:
        return self[:5]

    def astype(self, dtype: Any) -> Chain:
        return Chain(*(a.astype(dtype) if a.dtype.kind == "f" else a for a in self))

    def sequences(self) -> list[tuple[tuple[np.ndarray, ...], np.ndarray]]:
        """The arguments of the equations and the targets, of each sequence in float64."""
        _, lengths, *weights, targets = self.astype(np.float64)
        scores = self.scores.astype(np.float64)
        ends = np.cumsum(lengths)
        parts = [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]
        return [((scores[part], *weights), targets[part]) for part in parts]


def chain(
    lengths: list[int],
    tags: int,
    dtype: Any = np.float64,
    *,
    size: float = 1.0,
    forbid: bool = False,
    seed: int = 0,
) -> Chain:
    """Random scores; with ``forbid`` a third of the transitions, starts and ends are not allowed."""
    rng = np.random.default_rng(seed)
    shapes = ((sum(lengths), tags), (tags, tags), (tags,), (tags,))
    scores, transitions, start, end = (size * rng.standard_normal(shape) for shape in shapes)
    targets = rng.integers(0, tags, sum(lengths)).astype(np.int32)
    if forbid:
        for weight in (transitions, start, end):
            weight[rng.random(weight.shape) < 1 / 3] = -INF
        # One tag may do everything, and the targets are what the equations find best.
        transitions[0, :] = transitions[:, 0] = start[0] = end[0] = 0.0
        parts = np.split(scores, np.cumsum(lengths)[:-1])
        best = [best_path(part, transitions, start, end)[0] for part in parts if len(part)]
        targets = np.array([tag for path in best for tag in path], np.int32)
    made = Chain(scores, np.array(lengths, np.int64), transitions, start, end, targets)
    return made.astype(dtype)


class ByPaths(NamedTuple):
    """What going through all paths gives."""

    losses: np.ndarray
    marginals: np.ndarray
    pairs: np.ndarray
    decoded: list[int]
    best: list[float]


def by_paths(problem: Chain) -> ByPaths:
    tags = len(problem.start)
    losses, marginals, decoded, best = [], [], [], []
    pairs = np.zeros((tags, tags))
    for arguments, targets in problem.sequences():
        length = len(targets)
        if length == 0:
            losses.append(0.0)
            best.append(0.0)
            continue
        # In the order in which the first of equal paths is the one that the engine promises.
        paths = np.array(list(itertools.product(range(tags), repeat=length)))[:, ::-1]
        words, transitions, start, end = arguments
        scores = start[paths[:, 0]] + words[np.arange(length), paths].sum(1) + end[paths[:, -1]]
        scores = scores + transitions[paths[:, :-1], paths[:, 1:]].sum(1)
        log_z = scores.max() + np.log(np.exp(scores - scores.max()).sum())
        losses.append(log_z - path_score(*arguments, targets))
        of_words = np.zeros((length, tags))
        probability = np.exp(scores - log_z)[:, None]
        np.add.at(of_words, (np.arange(length), paths), probability)
        np.add.at(pairs, (paths[:, :-1], paths[:, 1:]), probability)
        marginals.append(of_words)
        decoded += paths[scores.argmax()].tolist()
        best.append(scores.max())
    joined = np.concatenate([np.zeros((0, tags)), *marginals])
    return ByPaths(np.array(losses), joined, pairs, decoded, best)


def check(problem: Chain) -> None:
    """The engine against all paths."""
    wanted = by_paths(problem)
    tolerance = 1e-5 if problem.scores.dtype == np.float32 else 1e-11
    close = {"rtol": tolerance, "atol": tolerance}
    found = engine.crf_loss(*problem)
    assert {array.dtype for array in found} == {problem.scores.dtype}
    np.testing.assert_allclose(found.losses, wanted.losses, **close)
    true = np.zeros_like(wanted.marginals)
    true[np.arange(len(true)), problem.targets] = 1
    gradient = wanted.marginals - true
    np.testing.assert_allclose(found.d_scores, gradient, **close)
    ends = np.cumsum(problem.lengths)[problem.lengths > 0]
    starts = (np.cumsum(problem.lengths) - problem.lengths)[problem.lengths > 0]
    np.testing.assert_allclose(found.d_start, gradient[starts].sum(0), **close)
    np.testing.assert_allclose(found.d_end, gradient[ends - 1].sum(0), **close)
    pairs = wanted.pairs
    for _, targets in problem.sequences():
        np.subtract.at(pairs, (targets[:-1], targets[1:]), 1)
    np.testing.assert_allclose(found.d_transitions, pairs, **close)
    np.testing.assert_allclose(engine.crf_marginals(*problem.given), wanted.marginals, **close)
    decoded, best = engine.crf_decode(*problem.given)
    assert decoded.dtype == np.int32
    assert decoded.tolist() == wanted.decoded
    np.testing.assert_allclose(best, wanted.best, **close)


@pytest.mark.parametrize("forbid", [False, True], ids=["free", "forbidden"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tags", [1, 2, 3, 4, 5])
def test_all_paths(simd: str, tags: int, dtype: Any, forbid: bool) -> None:
    check(chain([3, 0, 1, 6, 2, 4, 5, 0], tags, dtype, forbid=forbid, seed=tags))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tags", [8, 9, 25, 33, 70])
def test_all_paths_of_many_tags(simd: str, tags: int, dtype: Any) -> None:
    check(chain([2, 1, 2], tags, dtype, forbid=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [50.0, 300.0, 5000.0])
def test_scores_of_any_size(simd: str, size: float, dtype: Any) -> None:
    check(chain([5, 2, 4], 4, dtype, size=size, forbid=True))


@given(
    lengths=st.lists(st.integers(0, 5), max_size=6),
    tags=st.integers(1, 4),
    size=st.sampled_from([0.0, 1.0, 40.0, 400.0]),
    forbid=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=60)
def test_any_lengths(lengths: list[int], tags: int, size: float, forbid: bool, seed: int) -> None:
    check(chain(lengths, tags, size=size, forbid=forbid, seed=seed))


@pytest.mark.parametrize("weighted", [False, True], ids=["sum", "weighted sum"])
def test_finite_differences(simd: str, weighted: bool) -> None:
    problem = chain([3, 0, 1, 5], 3)
    weights = np.array([0.5, 2.0, -1.0, 0.25]) if weighted else None
    factors = np.ones(4) if weights is None else weights
    found = engine.crf_loss(*problem, weights)
    places = {"scores": 0, "transitions": 2, "start": 3, "end": 4}
    for name, place in places.items():
        gradient = getattr(found, f"d_{name}")
        for at in np.ndindex(gradient.shape):
            sums = []
            for step in (1e-6, -1e-6):
                moved = [array.copy() for array in problem]
                moved[place][at] += step
                sums.append(float((engine.crf_loss(*moved).losses * factors).sum()))
            assert gradient[at] == pytest.approx((sums[0] - sums[1]) / 2e-6, abs=1e-7), (name, at)


@pytest.mark.parametrize("size", [1.0, 10.0, 50.0])
@pytest.mark.parametrize("forbid", [False, True], ids=["free", "forbidden"])
def test_five_thousand_words_in_float32(simd: str, size: float, forbid: bool) -> None:
    single = chain([5000, 30], 7, np.float32, size=size, forbid=forbid)
    exact = single.astype(np.float64)
    for found, wanted in zip(engine.crf_loss(*single), engine.crf_loss(*exact), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(
        engine.crf_marginals(*single.given), engine.crf_marginals(*exact.given), atol=1e-6
    )
    np.testing.assert_array_equal(engine.crf_decode(*single.given)[0], engine.crf_decode(*exact.given)[0])
    arguments, targets = exact.sequences()[0]
    loss = log_partition(*arguments) - path_score(*arguments, targets)
    assert engine.crf_loss(*exact).losses[0] == pytest.approx(loss, rel=1e-9)


def test_tags_that_cannot_reach_each_other(simd: str) -> None:
    """The likelihood of one half is e^-20000 beside the other's until the last words turn it over."""
    n = 1000
    scores = np.zeros((2 * n, 2))
    scores[:n, 0] = scores[n:, 1] = 20.0
    apart = np.array([[0.0, -INF], [-INF, 0.0]])
    zeros, targets = np.zeros(2), np.ones(2 * n, np.int32)
    found = engine.crf_loss(scores, np.array([2 * n]), apart, zeros, zeros, targets)
    assert found.losses[0] == pytest.approx(np.log(2.0), rel=1e-9)
    np.testing.assert_allclose(found.d_scores, np.tile([0.5, -0.5], (2 * n, 1)), rtol=1e-9)
    np.testing.assert_allclose(found.d_transitions, [[n - 0.5, 0.0], [0.0, 0.5 - n]], rtol=1e-9)


def test_paths_that_each_scan_would_lose(simd: str) -> None:
    """Each of two words has a tag that outweighs all others and cannot be used."""
    scores = np.zeros((4, 3))
    scores[1, 1] = scores[2, 2] = 900.0
    transitions = np.zeros((3, 3))
    transitions[1, :2] = -900.0
    transitions[1, 2] = transitions[0, 2] = -INF
    transitions[2, 2] = -INF
    check(Chain(scores, np.array([4]), transitions, np.zeros(3), np.zeros(3), np.zeros(4, np.int32)))


def test_very_negative_in_place_of_forbidden(simd: str) -> None:
    hard = chain([6, 3, 1, 5], 4, forbid=True)
    soft = hard._replace(**{
        name: np.maximum(getattr(hard, name), -1e4) for name in ("transitions", "start", "end")
    })  # fmt: skip
    check(soft)
    for found, wanted in zip(engine.crf_loss(*soft), engine.crf_loss(*hard), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_a_number_that_is_none_shows_in_its_loss_alone(simd: str) -> None:
    problem = chain([3, 2, 4], 3, np.float32)
    for bad in (np.nan, INF):
        scores = problem.scores.copy()
        scores[4, 1] = bad
        found = engine.crf_loss(scores, *problem[1:])
        assert not np.isfinite(found.losses[1])
        clean = engine.crf_loss(*problem)
        np.testing.assert_array_equal(found.losses[[0, 2]], clean.losses[[0, 2]])


def test_of_equal_paths_the_lowest_tags_win(simd: str) -> None:
    zeros = np.zeros((3, 3), np.float32)
    decoded, best = engine.crf_decode(np.zeros((4, 3), np.float32), np.array([4]), zeros, zeros[0], zeros[0])
    assert decoded.tolist() == [0, 0, 0, 0]
    assert best.tolist() == [0.0]
    # 1 then 0, or 0 then 2: the lower last tag decides.
    transitions = np.full((3, 3), -1.0, np.float32)
    transitions[1, 0] = transitions[0, 2] = 1.0
    decoded, _ = engine.crf_decode(
        np.zeros((2, 3), np.float32), np.array([2]), transitions, zeros[0], zeros[0]
    )
    assert decoded.tolist() == [1, 0]


@pytest.mark.parametrize("size", [1.0, 400.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_gives_the_same(simd: str, dtype: Any, size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = chain([7, 0, 1, 12, 12, 3], 6, dtype, size=size, forbid=True)
    weights = np.arange(6).astype(dtype)

    def everything() -> list[np.ndarray]:
        return [
            *engine.crf_loss(*problem),
            *engine.crf_loss(*problem, weights),
            engine.crf_marginals(*problem.given),
            *engine.crf_decode(*problem.given),
        ]

    compiled = everything()
    monkeypatch.setattr(library, "_native", None)
    tolerance = 1e-6 if dtype == np.float32 else 1e-11
    for found, wanted in zip(everything(), compiled, strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [1.0, 400.0], ids=["probabilities", "logarithms"])
@pytest.mark.parametrize("tags", [3, 20])
def test_bits_do_not_depend_on_threads(simd: str, tags: int, size: float) -> None:
    problem = chain([(7 * b) % 61 for b in range(150)], tags, np.float32, size=size, forbid=True)

    def everything() -> list[np.ndarray]:
        return [
            *engine.crf_loss(*problem),
            engine.crf_marginals(*problem.given),
            *engine.crf_decode(*problem.given),
        ]

    engine.set_num_threads(1)
    expected = everything()
    for threads in (2, 3, 5):
        engine.set_num_threads(threads)
        for found, wanted in zip(everything(), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_a_sequence_does_not_feel_its_neighbours(simd: str) -> None:
    problem = chain([6, 3, 9, 1, 0, 4], 5, np.float32)
    together, marginals = engine.crf_loss(*problem), engine.crf_marginals(*problem.given)
    starts = np.cumsum(problem.lengths) - problem.lengths
    for b, (start, length) in enumerate(zip(starts, problem.lengths, strict=True)):
        part = slice(start, start + length)
        alone = problem._replace(
            scores=problem.scores[part], lengths=problem.lengths[b : b + 1], targets=problem.targets[part]
        )
        found = engine.crf_loss(*alone)
        np.testing.assert_array_equal(found.losses, together.losses[b : b + 1])
        np.testing.assert_array_equal(found.d_scores, together.d_scores[part])
        np.testing.assert_array_equal(engine.crf_marginals(*alone.given), marginals[part])


@pytest.fixture(params=["engine", "numpy"])
def tier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the extension and without."""
    if request.param == "numpy":
        monkeypatch.setattr(library, "_native", None)
    return str(request.param)


def forbidden(**changes: Any) -> Callable[[], Any]:
    """A loss whose sequence 1 has the targets 2, 1, 0, with some scores set to -inf."""
    problem = chain([1, 3], 3)
    arrays = problem._asdict() | {"targets": np.array([0, 2, 1, 0])}
    for name, place in changes.items():
        arrays[name][place] = -INF
    return lambda: engine.crf_loss(**arrays)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (forbidden(transitions=(2, 1)), "sequence 1 go from tag 2 to tag 1 at word 1"),
        (forbidden(start=2), "sequence 1 start with tag 2"),
        (forbidden(scores=(2, 1)), "sequence 1 have tag 1 at word 1, whose score is -inf"),
        (forbidden(end=0), "sequence 0 end with tag 0"),
    ],
)
def test_forbidden_targets_are_named(tier: str, call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_where_no_tags_are_possible(tier: str) -> None:
    problem = chain([1, 2, 3], 2, np.float32)
    problem.transitions[:] = -INF
    with pytest.raises(ValueError, match="sequence 1 can have no tags"):
        engine.crf_marginals(*problem.given)
    decoded, best = engine.crf_decode(*problem.given)
    assert best[0] > -INF
    assert best.tolist()[1:] == [-INF, -INF]
    assert set(decoded.tolist()) <= {0, 1}


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"scores": np.zeros((5, 0))}, ValueError, "at least one tag"),
        ({"scores": np.zeros(5)}, ValueError, r"expected \(total, tags\)"),
        ({"scores": np.zeros((5, 3), np.float16)}, TypeError, "float32 or float64"),
        ({"scores": np.asfortranarray(np.zeros((5, 3)))}, ValueError, "scores must be C-contiguous"),
        ({"lengths": np.array([4])}, ValueError, "add up to 4"),
        ({"lengths": np.array([6, -1])}, ValueError, "negative"),
        ({"transitions": np.zeros((3, 2))}, ValueError, r"transitions has shape \(3, 2\)"),
        ({"start": np.zeros(4)}, ValueError, "start has shape"),
        ({"end": np.zeros(3, np.float32)}, TypeError, "end has type float32"),
        ({"targets": np.zeros(4, np.int32)}, ValueError, "targets has shape"),
        ({"targets": np.array([0, 1, 3, 0, 0])}, ValueError, r"targets must lie in 0\.\.2"),
        ({"targets": np.array([0, 1, 2**32, 0, 0])}, ValueError, r"targets must lie in 0\.\.2"),
        ({"targets": np.zeros(5)}, TypeError, "expected integers"),
        ({"weights": np.ones(3)}, ValueError, "weights has shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tier: str, changes: dict[str, np.ndarray], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        engine.crf_loss(**{**chain([3, 2], 3)._asdict(), **changes})
