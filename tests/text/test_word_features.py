"""What a tagger sees of words."""

from __future__ import annotations

import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import ModelFileError
from unrolled.text.ngrams import NgramHasher
from unrolled.text.word_features import (
    LONGEST_WORD,
    UNKNOWN_CHARACTER,
    WORD_END,
    WORD_START,
    WordFeatures,
    shape_of,
)

COUNTS = Counter({"the": 9, "The": 4, "Seoul": 3, "works": 2, "rare": 1, "서울": 2, "3.5": 2})


def features(hasher: NgramHasher | None = None) -> WordFeatures:
    return WordFeatures.of(COUNTS, 2, hasher)


@pytest.mark.parametrize(
    ("word", "shape"),
    [("Seoul", "Xxx"), ("IBM's", "XX'x"), ("3.14", "d.dd"), ("서울", "uu"), ("iPhone", "xXxx"), ("", "")],
)
def test_shapes(word: str, shape: str) -> None:
    assert shape_of(word) == shape


def test_known_words_have_rows_of_their_own_and_unknown_ones_their_shape_alone() -> None:
    found = features().encode(["the", "The", "seoul", "Rare", "rare", "??"])
    names = list(found.rows)
    assert found.own.tolist() == [1, 2, 1, 0, 0, 0]
    assert names[0][0] == names[1][1]  # both are "the" in lower case
    assert len(names[3]) == 1  # the shape of Seoul
    assert names[3][0] == features().encode(["Seoul"]).rows[0][-1]
    assert len(names[5]) == 0  # not even its shape is known
    assert features().knows("SEOUL")
    assert not features().knows("rare")


def test_ngrams_come_last_and_count_from_the_end_of_the_words() -> None:
    hasher = NgramHasher(1, 3, 100)
    plain, full = features(), features(hasher)
    words = ["the", "unseen", "", "The"]
    heads, bags = plain.encode(words).rows, hasher.bags(words)
    for number, rows in enumerate(full.encode(words).rows):
        expected = [*heads[number].tolist(), *(bags[number] + plain.table_rows).tolist()]
        assert rows.tolist() == expected
    assert full.table_rows == plain.table_rows + 100


def test_characters_between_two_ends_and_cut() -> None:
    found = features().encode(["the", "tΩe", "e" * 100]).characters
    assert [part[0] for part in found] == [WORD_START] * 3
    assert [part[-1] for part in found] == [WORD_END] * 3
    assert found[1][2] == UNKNOWN_CHARACTER
    assert found.lengths.tolist() == [5, 5, LONGEST_WORD + 2]
    assert int(found.values.max()) < features().character_count


@given(st.lists(st.text(max_size=12), max_size=8))
def test_decomposed_words_are_the_same_words(words: list[str]) -> None:
    one = features(NgramHasher(1, 2, 50))
    composed = one.encode([unicodedata.normalize("NFC", word) for word in words])
    decomposed = one.encode(
        [unicodedata.normalize("NFD", unicodedata.normalize("NFC", word)) for word in words]
    )
    assert np.array_equal(composed.rows.values, decomposed.rows.values)
    assert np.array_equal(composed.characters.values, decomposed.characters.values)
    assert np.array_equal(composed.own, decomposed.own)


@given(st.dictionaries(st.text(max_size=6), st.integers(1, 5), max_size=12), st.lists(st.text(max_size=6)))
def test_json_gives_the_same_back(counts: dict[str, int], words: list[str]) -> None:
    first = WordFeatures.of(counts, 2, None)
    again = WordFeatures.from_json(first.to_json(split="words"), None)
    assert again.table_rows == first.table_rows
    for one, other in zip(first.encode(words).rows, again.encode(words).rows, strict=True):
        assert one.tolist() == other.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"kind": "bpe"}',
        '{"kind": "words", "lower": ["a"], "cased": [], "shapes": []}',
        '{"kind": "words", "lower": ["a", "a"], "cased": [], "shapes": [], "characters": []}',
        '{"kind": "words", "lower": [1], "cased": [], "shapes": [], "characters": []}',
        '{"kind": "words", "lower": [], "cased": [], "shapes": [], "characters": ["ab"]}',
    ],
)
def test_damaged_json_is_refused(text: str) -> None:
    with pytest.raises(ModelFileError):
        WordFeatures.from_json(text, None)
