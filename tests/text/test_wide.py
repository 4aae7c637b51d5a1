"""The n-grams of whole texts against sets of substrings."""

from __future__ import annotations

import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.text.ngrams import NgramHasher
from unrolled.text.wide import BUCKETS, LONGEST, MAX_N, MIN_N, TextNgrams


def bucket(ngram: str) -> int:
    """The documented hash, in Python's integers."""
    wrap = 2**64
    h = 0
    for character in ngram:
        h = (h * 0x9E3779B97F4A7C15 + ord(character) + 1) % wrap
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9 % wrap
    h = (h ^ (h >> 27)) * 0x94D049BB133111EB % wrap
    h ^= h >> 31
    return ((h >> 32) * BUCKETS) >> 32


def ngrams(text: str) -> set[str]:
    """All substrings of one to five characters of the marked text but its marks alone and the whole."""
    normal = ""
    for word in text.lower().split():
        normal += (" " if normal else "") + word
    marked = f"<{normal[:LONGEST]}>"
    places = [
        (start, end)
        for start in range(len(marked))
        for end in range(start + 1, min(start + 5, len(marked)) + 1)
        if (start, end) not in ((0, 1), (len(marked) - 1, len(marked)), (0, len(marked)))
    ]
    return {marked[start:end] for start, end in places}


texts = st.lists(
    st.text(st.sampled_from("abAB<> \t\n\u3000é영화ß😀İ"), max_size=12) | st.text(max_size=8), max_size=8
)


@settings(max_examples=150, deadline=None)
@given(texts)
def test_the_distinct_ngrams_of_each_text(given_texts: list[str]) -> None:
    found = TextNgrams().encode(given_texts)
    assert found.values.dtype == np.int32
    assert len(found) == len(given_texts)
    for rows, text in zip(found, given_texts, strict=True):
        assert rows.tolist() == sorted({bucket(ngram) for ngram in ngrams(text)})


@settings(max_examples=80, deadline=None)
@given(texts, st.sets(st.sampled_from(sorted(ngrams("ab 영화 b<a é>"))), max_size=20))
def test_only_kept_ngrams_have_a_row(given_texts: list[str], kept: set[str]) -> None:
    buckets = sorted({bucket(ngram) for ngram in kept})
    encoder = TextNgrams(np.array(buckets, dtype=np.int32))
    assert encoder.rows == len(buckets)
    for rows, text in zip(encoder.encode(given_texts), given_texts, strict=True):
        expected = {bucket(ngram) for ngram in ngrams(text)} & set(buckets)
        assert [buckets[row] for row in rows] == sorted(expected)


def test_sizes_are_part_of_the_format() -> None:
    assert (MIN_N, MAX_N, BUCKETS, LONGEST) == (1, 5, 2**21, 10_000)


def test_boundaries_and_case() -> None:
    encode = TextNgrams().encode
    assert bucket("<a") in encode(["a b"]).values and bucket("b>") in encode(["a b"]).values
    assert bucket("a b") in encode(["a b"]).values  # across words
    assert bucket("<a") not in encode(["b a"]).values
    same = [rows.tolist() for rows in encode(["A  Film\n", "a film", "\ta film "])]
    assert same[0] == same[1] == same[2]


def test_texts_without_ngrams() -> None:
    found = TextNgrams().encode(["", " \n", "a", ""])
    # "<>" has its two marks and the whole, none of which counts; "<a>" has "<a", "a" and "a>".
    assert found.lengths.tolist() == [0, 0, 3, 0]
    assert len(TextNgrams().encode([])) == 0
    nothing_kept = TextNgrams(np.zeros(0, dtype=np.int32)).encode(["some text", ""])
    assert nothing_kept.lengths.tolist() == [0, 0] and nothing_kept.total == 0


def test_a_long_text_is_read_up_to_its_bound() -> None:
    head = "ab" * (LONGEST // 2)
    rows = TextNgrams().encode([head + "xyz", head])
    assert rows[0].tolist() == rows[1].tolist()
    assert bucket("x") not in rows[0]
    whole = unicodedata.normalize("NFC", "영") * LONGEST
    assert TextNgrams().encode([whole]).lengths.tolist() == [len(ngrams(whole))]


def test_a_bucket_may_be_looked_up_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = np.sort(np.unique(TextNgrams().encode(["the film was good"]).values)[::2])
    encode_texts = ["the film was bad", "", "good film"]
    by_index = TextNgrams(kept).encode(encode_texts)
    monkeypatch.setattr("unrolled.text.ngrams._LARGEST_INDEX", 0)
    by_bisection = TextNgrams(kept).encode(encode_texts)
    assert by_index.values.tolist() == by_bisection.values.tolist() != []
    assert by_index.lengths.tolist() == by_bisection.lengths.tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("abc 영"), max_size=6), max_size=12),
    st.integers(1, 3),
    st.integers(1, 30),
    st.integers(1, 5),
)
def test_frequent_ngrams_are_kept(lines: list[str], min_freq: int, most: int, block: int) -> None:
    counts = Counter(bucket(ngram) for line in lines for ngram in ngrams(line))
    frequent = sorted(
        (-count, number) for number, count in counts.items() if count >= min_freq
    )  # ties: the smaller bucket
    blocks = [lines[start : start + block] for start in range(0, len(lines), block)]
    kept = TextNgrams().keep_frequent(iter(blocks), min_freq, most).kept
    assert kept is not None and kept.dtype == np.int32
    assert kept.tolist() == sorted(number for _, number in frequent[:most])


def test_the_hash_is_that_of_the_hasher() -> None:
    hasher = NgramHasher(1, 5, BUCKETS)
    assert [bucket(ngram) for ngram in hasher.ngrams("영화 b")] == hasher.bags(["영화 b"]).values.tolist()


def test_parts_are_bounded_and_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["ab " * 20, "", "c" * 70, "de", "f"]
    whole = TextNgrams().encode(texts)
    monkeypatch.setattr("unrolled.text.wide._PART_CHARACTERS", 50)
    parts = list(TextNgrams().encode_parts(texts))
    assert [len(part) for part in parts] == [1, 2, 2]
    assert np.concatenate([part.values for part in parts]).tolist() == whole.values.tolist()
    assert TextNgrams().encode(texts).lengths.tolist() == whole.lengths.tolist()
    assert len(TextNgrams().encode([])) == 0
