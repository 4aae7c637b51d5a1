"""What a training step does beside the recurrent layers, against plain numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import engine
from unrolled.engine import library

DTYPES = (np.float32, np.float64)
LENGTHS = [3, 0, 1, 7, 40, 0, 2]


def normal(*shape: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def sequences(values: np.ndarray, lengths: list[int]) -> list[np.ndarray]:
    return np.split(values, np.cumsum(lengths)[:-1])


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    tolerance = 2e-6 if found.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@given(rows=st.lists(st.integers(0, 199), max_size=300))
@settings(deadline=None)
def test_numbers_of_rows_are_those_of_numpy(rows: list[int]) -> None:
    given_rows = np.array(rows, np.int32)
    touched, numbers = engine.number_rows(given_rows, 200)
    expected, places = np.unique(given_rows, return_inverse=True)
    np.testing.assert_array_equal(touched, expected)
    np.testing.assert_array_equal(numbers, places)
    assert touched.dtype == numbers.dtype == np.int32


def a_bag(dim: int, dtype: Any, tokens: int = 500, entries: int = 60) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(5)
    lengths = rng.integers(0, 6, tokens)
    rows = rng.integers(0, entries, lengths.sum()).astype(np.int32)
    weights = (rng.standard_normal(len(rows)) * (rng.random(len(rows)) < 0.7)).astype(dtype)
    return normal(entries, dim, dtype=dtype), rows, lengths, weights


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [1, 7, 64, 100])
def test_weighted_bag_and_gradients(simd: str, dtype: Any, dim: int) -> None:
    table, rows, lengths, weights = a_bag(dim, dtype)
    token = np.repeat(np.arange(len(lengths)), lengths)
    expected = np.zeros((len(lengths), dim))
    np.add.at(expected, token, table[rows].astype(np.float64) * weights[:, None])
    close(engine.embedding_bag(table, rows, lengths, weights), expected)
    d_out = normal(len(lengths), dim, dtype=dtype, seed=1)
    for factor in (weights, None):
        wanted = np.zeros((len(table) + 3, dim))  # the last rows of this table are in no bag
        spread = d_out[token].astype(np.float64)
        np.add.at(wanted, rows, spread if factor is None else spread * factor[:, None])
        found = engine.bag_gradient(d_out, rows, lengths, len(table) + 3, factor)
        np.testing.assert_allclose(found, wanted, atol=1e-4 if dtype == np.float32 else 1e-12)
        assert not found[len(table) :].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 5, 64, 130])
def test_pooling_and_its_gradient(simd: str, dtype: Any, width: int) -> None:
    values = np.round(normal(sum(LENGTHS), width, dtype=dtype) * 2) / 2  # with equal elements
    parts = [part.astype(np.float64) for part in sequences(values, LENGTHS)]
    nothing = np.zeros(width)
    sums = np.stack([part.sum(0) for part in parts])
    means = np.stack([part.mean(0) if len(part) else nothing for part in parts])
    largest = np.stack([part.max(0) if len(part) else nothing for part in parts])
    lengths = np.array(LENGTHS)
    both, where = engine.pool(values, lengths, mean=True, largest=True)
    close(both, np.concatenate([means, largest], axis=1))
    assert where is not None
    for part, found in zip(parts, where, strict=True):
        np.testing.assert_array_equal(found, part.argmax(0) if len(part) else nothing - 1)
    close(engine.pool(values, lengths, mean=True, largest=False, divide=False)[0], sums)
    close(engine.pool(values, lengths, mean=False, largest=True)[0], largest)

    d_both = normal(len(LENGTHS), 2 * width, dtype=dtype, seed=3)
    d_mean, d_largest = (d.astype(np.float64) for d in np.split(d_both, 2, axis=1))
    for mean, large, divide in ((True, True, True), (True, False, False), (False, True, True)):
        wanted = [np.zeros_like(part) for part in parts]
        for part, one, other, place in zip(wanted, d_mean, d_largest, where, strict=True):
            if len(part) and mean:
                part += one / len(part) if divide else one
            if len(part) and large:
                np.add.at(part, (place, np.arange(width)), other)
        columns = slice(0 if mean else width, 2 * width if large else width)
        upstream = np.ascontiguousarray(d_both[:, columns])
        found = engine.pool_gradient(upstream, lengths, where if large else None, divide=divide)
        close(found, np.concatenate(wanted))


def test_the_first_nan_is_the_largest(simd: str) -> None:
    values = np.array([[1, -np.inf, np.nan], [np.nan, -np.inf, 5], [np.nan, -np.inf, np.nan]], np.float32)
    found, where = engine.pool(values, np.array([3]), mean=False, largest=True)
    np.testing.assert_array_equal(found, [[np.nan, -np.inf, np.nan]])
    assert where is not None
    assert where.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_scaled_rows(simd: str, dtype: Any) -> None:
    values, lengths = normal(sum(LENGTHS), 37, dtype=dtype), np.array(LENGTHS)
    texts, tokens = normal(len(LENGTHS), 37, dtype=dtype, seed=1), normal(sum(LENGTHS), dtype=dtype, seed=2)
    by_text = np.repeat(texts, lengths, axis=0)
    close(engine.scale_rows(values, lengths, texts, tokens), values * by_text * tokens[:, None])
    close(engine.scale_rows(values, lengths, texts, None), values * by_text)
    close(engine.scale_rows(values, lengths, None, tokens), values * tokens[:, None])


def split_mix(seed: int, place: int) -> int:
    """Word ``place`` (from 0) by the definition, in Python's own integers."""
    z = (seed + (place + 1) * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0,), (1,), (3, 43), (40_001,)])
def test_random_masks_follow_their_definition(
    simd: str, dtype: Any, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    seed, drop, kept = 2**64 - 12345, 0.3, 1 / 0.7
    found = engine.random_mask(shape, drop, kept, seed, np.dtype(dtype))
    assert found.shape == shape
    flat = found.ravel()
    for place in (*range(min(200, flat.size)), *range(max(0, flat.size - 5), flat.size)):
        half = split_mix(seed, place // 2) >> (32 * (place % 2)) & 0xFFFFFFFF
        assert flat[place] == (0 if half < int(drop * 2**32) else dtype(kept)), place
    monkeypatch.setattr(library, "_native", None)
    np.testing.assert_array_equal(engine.random_mask(shape, drop, kept, seed, np.dtype(dtype)), found)


def test_random_masks_drop_their_share() -> None:
    for seed in range(3):
        share = (engine.random_mask((300, 400), 0.1, 1.0, seed) == 0).mean()
        assert share == pytest.approx(0.1, abs=0.005)
    assert engine.random_mask((1000,), 0.0, 1.0, 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 31, 1025, 100_003])
def test_norm(simd: str, dtype: Any, size: int) -> None:
    values, more = normal(size, dtype=dtype), normal(3, 4, dtype=dtype, seed=1)
    expected = math.sqrt((values.astype(np.float64) ** 2).sum() + (more.astype(np.float64) ** 2).sum())
    assert engine.norm([values, more]) == pytest.approx(expected, rel=1e-6)
    more[1, 2] = np.inf
    assert not math.isfinite(engine.norm([values, more]))


RULE = engine.AdamRule(scale=0.5, beta1=0.85, beta2=0.99, eps=1e-6, size=0.01, keep=0.999)


def plain_adam(w: np.ndarray, m: np.ndarray, v: np.ndarray, g: np.ndarray) -> list[np.ndarray]:
    w, m, v, g = (a.astype(np.float64) for a in (w, m, v, g))
    g = RULE.scale * g
    m = m + (1 - RULE.beta1) * (g - m)
    v = RULE.beta2 * v + (1 - RULE.beta2) * g**2
    return [RULE.keep * w - RULE.size * m / (np.sqrt(v) + RULE.eps), m, v]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 13, 50_001])
def test_adam_of_all_elements(simd: str, dtype: Any, size: int) -> None:
    w, m, g = (normal(size, dtype=dtype, seed=seed) for seed in range(3))
    v = np.abs(normal(size, dtype=dtype, seed=9))
    expected = plain_adam(w, m, v, g)
    engine.adam(RULE, w, m, v, g)
    for found, wanted in zip((w, m, v), expected, strict=True):
        close(found, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [1, 7, 64])
def test_adam_of_some_rows(simd: str, dtype: Any, dim: int) -> None:
    table, m = normal(900, dim, dtype=dtype), normal(900, dim, dtype=dtype, seed=1)
    v = np.abs(normal(900, dim, dtype=dtype, seed=9))
    rows = np.sort(np.random.default_rng(2).choice(900, 400, replace=False)).astype(np.int32)
    gradient = normal(400, dim, dtype=dtype, seed=4)
    before = [table.copy(), m.copy(), v.copy()]
    expected = plain_adam(table[rows], m[rows], v[rows], gradient)
    engine.adam_rows(RULE, table, m, v, rows, gradient)
    others = np.setdiff1d(np.arange(900), rows)
    for found, wanted, old in zip((table, m, v), expected, before, strict=True):
        close(found[rows], wanted)
        np.testing.assert_array_equal(found[others], old[others])


def everything(seed: int = 0) -> list[np.ndarray]:
    """All functions on arrays large enough for several threads."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 60, 300)
    total, width = int(lengths.sum()), 96
    values = rng.standard_normal((total, width)).astype(np.float32)
    both, where = engine.pool(values, lengths, mean=True, largest=True)
    assert where is not None
    texts = rng.standard_normal((300, width)).astype(np.float32)
    table, rows, counts, weights = a_bag(width, np.float32, tokens=20_000, entries=700)
    upstream = rng.standard_normal((20_000, width)).astype(np.float32)
    d_table = engine.bag_gradient(upstream, rows, counts, 700, weights)
    w, m, v = table.copy(), np.zeros_like(table), np.zeros_like(table)
    chosen = np.arange(0, 700, 2, dtype=np.int32)
    for _ in range(2):
        engine.adam_rows(RULE, w, m, v, chosen, np.ascontiguousarray(d_table[chosen]))
    flat = [rng.standard_normal(300_000).astype(np.float32) for _ in range(2)]
    first, second = np.zeros_like(flat[0]), np.zeros_like(flat[0])
    engine.adam(RULE, flat[0], first, second, flat[1])
    return [
        both,
        where,
        engine.pool_gradient(both, lengths, where),
        engine.scale_rows(values, lengths, texts, None),
        engine.embedding_bag(table, rows, counts, weights),
        d_table,
        w,
        v,
        flat[0],
        engine.random_mask((700, 701), 0.4, 1.0, 11),
        np.array(engine.norm([values, flat[1]])),
    ]


def test_bits_do_not_depend_on_threads(simd: str) -> None:
    engine.set_num_threads(1)
    expected = everything()
    for threads in (2, 3, 5):
        engine.set_num_threads(threads)
        for found, wanted in zip(everything(), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int32)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: engine.number_rows(ids(0, 5), 5), r"0\.\.4"),
        (lambda: engine.number_rows(ids(-1), 5), r"0\.\.4"),
        (lambda: engine.bag_gradient(normal(1, 2), ids(5), np.array([1]), 5), r"0\.\.4"),
        (lambda: engine.bag_gradient(normal(2, 2), ids(1), np.array([1]), 5), "d_out"),
        (lambda: engine.pool(normal(3, 2), np.array([2]), mean=True, largest=True), "add up to 2"),
        (lambda: engine.scale_rows(normal(3, 2), np.array([3]), normal(2, 2), None), "by_sequence"),
        (lambda: engine.adam(RULE, normal(3), normal(3), normal(2), normal(3)), "second has shape"),
        (lambda: engine.adam_rows(RULE, *(normal(4, 2),) * 3, ids(4), normal(1, 2)), "ascending"),
        (lambda: engine.adam_rows(RULE, *(normal(4, 2),) * 3, ids(1, 1), normal(2, 2)), "ascending"),
        (lambda: engine.norm([np.asfortranarray(normal(4, 3))]), "contiguous"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
