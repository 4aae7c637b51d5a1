"""Features of a word and its neighbours, against a plain reading of their definition."""

from __future__ import annotations

import unicodedata
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.errors import OptionError
from unrolled.text import windows
from unrolled.text.windows import BUCKETS, FEATURES, WindowFeatures, word_columns
from unrolled.text.word_features import shape_of

MASK = 2**64 - 1
FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)


def mixed(h: int) -> int:
    h ^= h >> 30
    h = h * 0xBF58476D1CE4E5B9 & MASK
    h ^= h >> 27
    h = h * 0x94D049BB133111EB & MASK
    return (h ^ h >> 31) >> 42


def part(word: str, name: str) -> int:
    normal = unicodedata.normalize("NFC", word)[:64]
    lower = normal.lower()
    if name.startswith("first"):
        text = lower[: int(name[5:])]
    elif name.startswith("last"):
        text = lower[-int(name[4:]) :]
    else:
        text = {"lower": lower, "cased": normal, "shape": shape_of(normal)}[name]
    return zlib.crc32(text.encode())


def by_definition(sentence: list[str]) -> list[list[int]]:
    capitals = sum(unicodedata.normalize("NFC", word)[:1].isupper() for word in sentence)
    share = capitals / max(len(sentence), 1)
    manner = (share > 0.25) + (share > 0.6)
    found = []
    for place, word in enumerate(sentence):
        row = []
        for number, template in enumerate(windows._templates(), start=1):
            h = number * 0xD6E8FEB86659FD93
            for (offset, name), factor in zip(template, FACTORS, strict=False):
                at = place + offset
                known = 0xB07DE2 if not 0 <= at < len(sentence) else part(sentence[at], name)
                h += known * factor
            row.append(mixed(h & MASK))
        h = FEATURES * 0xD6E8FEB86659FD93 + part(word, "shape") * FACTORS[0] + manner * FACTORS[1]
        row.append(mixed(h & MASK))
        found.append(row)
    return found


def encoded(sentences: list[list[str]], features: WindowFeatures) -> list[list[int]]:
    words = [word for sentence in sentences for word in sentence]
    lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
    rows = features.encode(word_columns(words), np.arange(len(words)), lengths)
    return [row.tolist() for row in rows]


WORDS = st.text(st.characters(exclude_categories=("Cs",)), min_size=0, max_size=8)


@settings(max_examples=40)
@given(st.lists(st.lists(WORDS, max_size=5), max_size=4))
def test_as_defined(sentences: list[list[str]]) -> None:
    expected = [row for sentence in sentences for row in by_definition(sentence)]
    assert encoded(sentences, WindowFeatures()) == expected


def test_neighbours_do_not_reach_over_the_ends_of_a_sentence() -> None:
    one, other = [["Kim", "works"], ["in", "Seoul"]], [["Kim", "works"], [], ["a", "b", "c"]]
    assert encoded(one, WindowFeatures())[:2] == encoded(other, WindowFeatures())[:2]


def test_only_kept_buckets_have_a_row() -> None:
    sentences = [["Kim", "works", "in", "Seoul"], ["Seoul"]]
    whole = encoded(sentences, WindowFeatures())
    kept = np.unique([bucket for row in whole for bucket in row[::3]]).astype(np.int32)
    place = {bucket: number for number, bucket in enumerate(kept.tolist())}
    expected = [[place[bucket] for bucket in row if bucket in place] for row in whole]
    assert encoded(sentences, WindowFeatures(kept)) == expected


def test_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    sentences = [[f"word{n}" for n in generator.integers(0, 50, size)] for size in (3, 0, 7, 1, 12, 2, 0)]
    whole = encoded(sentences, WindowFeatures())
    monkeypatch.setattr(windows, "_BLOCK_WORDS", 5)
    assert encoded(sentences, WindowFeatures()) == whole


def test_every_feature_has_a_meaning_of_its_own() -> None:
    templates = windows._templates()
    assert len(set(templates)) == len(templates) == FEATURES - 1
    row = encoded([["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"]], WindowFeatures())[3]
    assert len(set(row)) == FEATURES
    assert 0 <= min(row) <= max(row) < BUCKETS


@pytest.mark.parametrize("kept", [[3, 2], [1, 1], [-1, 4], [0, BUCKETS]])
def test_damaged_lists_of_buckets_are_refused(kept: list[int]) -> None:
    with pytest.raises(OptionError):
        WindowFeatures(np.array(kept, dtype=np.int32))
