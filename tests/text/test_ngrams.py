"""The n-gram hasher against a loop over the definition in its docstring."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import engine
from unrolled.engine import library
from unrolled.errors import OptionError
from unrolled.text import ngrams as module
from unrolled.text.ngrams import MAX_TOKEN_CHARACTERS, NgramHasher

MASK = 2**64 - 1


def bucket(gram: str, buckets: int) -> int:
    h = 0
    for character in gram:
        h = (h * 0x9E3779B97F4A7C15 + ord(character) + 1) & MASK
    h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & MASK
    h ^= h >> 31
    return ((h >> 32) * buckets) >> 32


def grams(token: str, low: int, high: int) -> list[str]:
    marked = "<" + token[:MAX_TOKEN_CHARACTERS] + ">"
    found = []
    for start in range(len(marked)):
        for end in range(start + low, min(start + high, len(marked)) + 1):
            whole = start == 0 and end == len(marked)
            lone_mark = end - start == 1 and (start == 0 or end == len(marked))
            if not whole and not lone_mark:
                found.append(marked[start:end])
    return found


tokens_strategy = st.lists(
    st.text(alphabet=st.characters(), max_size=12) | st.sampled_from(["<", ">", "영화가", ""])
)


@settings(deadline=None)
@given(tokens_strategy, st.integers(1, 4), st.integers(0, 4), st.sampled_from([1, 7, 131_072, 2**31 - 1]))
def test_bags_equal_the_definition(tokens: list[str], low: int, more: int, buckets: int) -> None:
    bags = NgramHasher(low, low + more, buckets).bags(tokens)
    expected = [[bucket(gram, buckets) for gram in grams(token, low, low + more)] for token in tokens]
    assert bags.values.dtype == np.int32
    assert [bag.tolist() for bag in bags] == expected


@settings(deadline=None)
@given(st.text(max_size=12), st.integers(1, 4), st.integers(0, 4))
def test_ngrams_as_text(token: str, low: int, more: int) -> None:
    assert NgramHasher(low, low + more, 9).ngrams(token) == grams(token, low, low + more)


def test_an_example_by_hand() -> None:
    assert NgramHasher(1, 3, 9).ngrams("ab") == ["<a", "<ab", "a", "ab", "ab>", "b", "b>"]
    assert NgramHasher(3, 3, 9).ngrams("a") == []  # "<a>" is the whole token


def test_hash_is_frozen() -> None:
    # Saved models depend on these numbers.
    assert NgramHasher(1, 2, 131_072).bags(["영화", "a"]).values.tolist() == [
        bucket(gram, 131_072) for gram in ["<영", "영", "영화", "화", "화>", "<a", "a", "a>"]
    ]
    assert bucket("영화", 131_072) == 18_609


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = ["abcdef", "", "한국어", "x" * 40, "yz"] * 3
    whole = NgramHasher(1, 4, 1000).bags(tokens)
    monkeypatch.setattr(module, "_BLOCK_CHARACTERS", 10)
    parts = NgramHasher(1, 4, 1000).bags(tokens)
    assert parts.values.tolist() == whole.values.tolist()
    assert parts.lengths.tolist() == whole.lengths.tolist()


def test_an_endless_word_costs_bounded_work() -> None:
    bags = NgramHasher(1, 4, 1000).bags(["a" * 1_000_000, "a" * MAX_TOKEN_CHARACTERS])
    assert bags[0].tolist() == bags[1].tolist()


def test_distinct_ngrams_spread_evenly_over_the_buckets() -> None:
    syllables = [chr(0xAC00 + i) for i in range(11_172)]
    counts = np.bincount(NgramHasher(1, 1, 64).bags(syllables).values, minlength=64)
    assert counts.sum() == 11_172
    chi_squared = float(((counts - counts.mean()) ** 2 / counts.mean()).sum())
    assert chi_squared < 120  # 63 degrees of freedom: 1 in 10^5 of random hashes exceeds it


@settings(deadline=None)
@given(tokens_strategy, st.sets(st.integers(0, 29)))
def test_buckets_without_a_row_are_left_out(tokens: list[str], kept: set[int]) -> None:
    rows = sorted(kept)
    some = NgramHasher(1, 3, 30, np.array(rows, dtype=np.int32))
    assert some.rows == len(rows)
    expected = [
        [rows.index(b) for b in bag.tolist() if b in kept] for bag in NgramHasher(1, 3, 30).bags(tokens)
    ]
    assert [bag.tolist() for bag in some.bags(tokens)] == expected


@settings(deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), st.integers(1, 9), max_size=8),
    st.integers(1, 20),
    st.integers(1, 60),
)
def test_keep_frequent_counts_hits_over_all_tokens(counts: dict[str, int], least: int, most: int) -> None:
    hits = dict.fromkeys(range(50), 0)
    for token, count in counts.items():
        for gram in grams(token, 1, 3):
            hits[bucket(gram, 50)] += count
    kept = NgramHasher(1, 3, 50).keep_frequent(counts, least, most).kept
    assert kept is not None
    ranked = sorted((-count, number) for number, count in hits.items() if count >= least)
    assert kept.tolist() == sorted(number for _, number in ranked[:most])


@pytest.mark.parametrize("kept", [[1, 1], [2, 1], [-1, 3], [3, 10]])
def test_bad_kept(kept: list[int]) -> None:
    with pytest.raises(OptionError, match="ascending"):
        NgramHasher(1, 2, 10, np.array(kept))


def test_no_tokens() -> None:
    bags = NgramHasher(1, 4, 10).bags([])
    assert len(bags) == 0
    assert bags.total == 0


@pytest.mark.parametrize("bounds", [(0, 3, 10), (3, 2, 10), (1, 2, 0), (1, 2, 2**31)])
def test_bad_bounds(bounds: tuple[int, int, int]) -> None:
    with pytest.raises(OptionError):
        NgramHasher(*bounds)


@pytest.fixture(params=["engine", "numpy"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With and without the compiled engine."""
    if request.param == "numpy":
        monkeypatch.setattr(library, "_native", None)
    elif not library.available():
        pytest.skip(f"no compiled engine: {library.reason()}")
    return str(request.param)


WORDS = ["영화가", "", "a", "abab" * 5, "<x>", "\ud800x", "x" * 700, "😀😀"]


@pytest.mark.parametrize("buckets", [50, 3000])
def test_both_ways_follow_the_definition(way: str, buckets: int) -> None:
    kept = np.arange(0, buckets, 3, dtype=np.int32)
    every, some = NgramHasher(1, 5, buckets), NgramHasher(1, 5, buckets, kept)
    hashed = [[bucket(gram, buckets) for gram in grams(word, 1, 5)] for word in WORDS]
    known = [[number // 3 for number in word if number % 3 == 0] for word in hashed]
    for hasher, expected in ((every, hashed), (some, known)):
        assert [bag.tolist() for bag in hasher.bags(WORDS)] == expected
        found = hasher.distinct(WORDS)
        assert found.values.dtype == np.int32
        assert [bag.tolist() for bag in found] == [sorted(set(word)) for word in expected]
    headed = some.headed(WORDS, list(range(100, 100 + len(WORDS))), 1000)
    assert (headed is None) is (way == "numpy")
    if headed is not None:
        expected = [[100 + k, *(1000 + row for row in word)] for k, word in enumerate(known)]
        assert [bag.tolist() for bag in headed] == expected


def test_the_engine_takes_strings_alone() -> None:
    if not library.available():
        pytest.skip(f"no compiled engine: {library.reason()}")
    with pytest.raises(TypeError, match="text 1 is int"):
        NgramHasher(1, 2, 9).bags(["a", 3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="one row a bucket"):
        engine.ngram_rows(["a"], 1, 2, 9, 256, np.zeros(3, np.int32))
