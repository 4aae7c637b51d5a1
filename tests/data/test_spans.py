"""Spans and their tags against seqeval, brute force over short sequences, and sequences worked by hand."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data.spans import (
    SCHEMES,
    Scheme,
    Span,
    allowed_transitions,
    decode_spans,
    encode_spans,
    first_break,
    may_follow,
    neighbours,
    recognise_scheme,
    repaired,
    scheme_tags,
    to_bio,
    to_bioes,
)
from unrolled.errors import DataError, OptionError

SPAN_SCHEMES = [scheme for scheme in SCHEMES if scheme != "none"]
TYPES = ["PER", "creative-work"]


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Spans that do not overlap, and the number of words."""
    spans, position = [], 0
    for gap, width, kind in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from(TYPES)), max_size=5)
    ):
        spans.append(Span(position + gap, position + gap + width, kind))
        position += gap + width
    return spans, position + draw(st.integers(0, 2))


any_tags = {
    scheme: st.lists(st.sampled_from(scheme_tags(TYPES, scheme)), max_size=10) for scheme in SPAN_SCHEMES
}


@pytest.mark.parametrize("scheme", SPAN_SCHEMES)
@settings(deadline=None)
@given(data=st.data())
def test_round_trip(scheme: Scheme, data: st.DataObject) -> None:
    spans, length = data.draw(sentences())
    tags = encode_spans(spans, length, scheme)
    assert len(tags) == length
    assert decode_spans(tags, scheme) == spans
    assert first_break(tags, scheme) is None
    for other in SPAN_SCHEMES:
        assert decode_spans(encode_spans(spans, length, other), other) == spans
    assert to_bio(tags, scheme) == encode_spans(spans, length, "bio")
    assert to_bioes(to_bio(tags, scheme), "bio") == encode_spans(spans, length, "bioes")


@pytest.mark.parametrize("scheme", SPAN_SCHEMES)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_broken_sequences_are_read_as_seqeval_reads_them(scheme: Scheme, data: st.DataObject) -> None:
    labeling: Any = pytest.importorskip("seqeval.metrics.sequence_labeling")
    tags = data.draw(any_tags[scheme])
    usual = [tag.translate(str.maketrans("LUM", "ESI"))[:1] + tag[1:] for tag in tags]
    if scheme in ("bio", "iob1", "bioes"):
        usual = tags
    expected = [(start, end + 1, kind) for kind, start, end in labeling.get_entities(usual)]
    assert decode_spans(tags, scheme) == expected


# By hand, after conlleval.pl's startOfChunk and endOfChunk.
@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("I-A I-A O", [(0, 2, "A")]),
        ("O I-A B-A I-A", [(1, 2, "A"), (2, 4, "A")]),
        ("B-A I-B I-A", [(0, 1, "A"), (1, 2, "B"), (2, 3, "A")]),
        ("B-A B-A", [(0, 1, "A"), (1, 2, "A")]),
        ("O O", []),
        ("", []),
        ("B I I O B", [(0, 3, ""), (4, 5, "")]),
    ],
)
def test_broken_bio_by_hand(tags: str, spans: list[tuple[int, int, str]]) -> None:
    assert decode_spans(tags.split(), "bio") == spans


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("B-A I-A O", [(0, 2, "A")]),  # not closed
        ("E-A E-A", [(0, 1, "A"), (1, 2, "A")]),
        ("S-A I-A E-A", [(0, 1, "A"), (1, 3, "A")]),
        ("B-A E-B", [(0, 1, "A"), (1, 2, "B")]),
    ],
)
def test_broken_bioes_by_hand(tags: str, spans: list[tuple[int, int, str]]) -> None:
    assert decode_spans(tags.split(), "bioes") == spans


@pytest.mark.parametrize("scheme", SPAN_SCHEMES)
def test_what_may_follow_is_what_reading_and_writing_leaves_alone(scheme: Scheme) -> None:
    """Brute force: all sequences of two types up to length 4."""
    tags = scheme_tags(["A", "B"], scheme)
    for length in range(5):
        for sequence in itertools.product(tags, repeat=length):
            written = encode_spans(decode_spans(sequence, scheme), length, scheme)
            assert repaired(sequence, scheme) == written
            valid = all(may_follow(*pair, scheme) for pair in neighbours(sequence))
            assert valid == (list(sequence) == written), sequence
            broken = first_break(sequence, scheme)
            assert (broken is None) == valid
            if broken is not None:
                assert 0 <= broken[0] < length


@pytest.mark.parametrize("scheme", SCHEMES)
def test_allowed_transitions(scheme: Scheme) -> None:
    tags = ["NOUN", "VERB"] if scheme == "none" else scheme_tags(TYPES, scheme)
    allowed, start, end = allowed_transitions(tags, scheme)
    assert allowed.dtype == start.dtype == end.dtype == np.bool_
    assert allowed.shape == (len(tags), len(tags))
    if scheme == "none":
        assert allowed.all() and start.all() and end.all()
        return
    for length in (1, 2, 3):
        for path in itertools.product(range(len(tags)), repeat=length):
            permitted = start[path[0]] and end[path[-1]]
            permitted = permitted and all(allowed[a, b] for a, b in itertools.pairwise(path))
            assert permitted == (first_break([tags[index] for index in path], scheme) is None)


def test_allowed_transitions_of_no_tags() -> None:
    allowed, start, end = allowed_transitions([], "bio")
    assert allowed.shape == (0, 0) and start.shape == end.shape == (0,)


@pytest.mark.parametrize(
    ("scheme", "tags", "position", "words"),
    [
        ("bio", "O I-A", 1, "I-A follows O, but in BIO a span begins with B-A"),
        ("bio", "B-A I-B", 1, "I-B follows B-A, but in BIO a span begins with B-B"),
        ("bio", "I-A", 0, "I-A follows the beginning of the sentence"),
        ("iob1", "I-A O B-A", 2, "B-A follows O, but in IOB1 a span begins with I-A there"),
        ("bioes", "O E-A", 1, "E-A follows O, but in BIOES a span begins with B-A or is S-A"),
        ("bioes", "B-A O", 0, "B-A stands before O, but in BIOES a span ends with E-A or is S-A"),
        (
            "bilou",
            "O B-A I-A",
            2,
            "I-A stands before the end of the sentence, but in BILOU a span ends with L-A",
        ),
        ("bmes", "M-A", 0, "in BMES a span begins with B-A or is S-A"),
        ("bioes", "B-A B-A E-A", 0, "B-A stands before B-A"),
        ("bioes", "B-A E-B", 1, "E-B follows B-A"),
    ],
)
def test_first_break(scheme: Scheme, tags: str, position: int, words: str) -> None:
    broken = first_break(tags.split(), scheme)
    assert broken is not None
    assert broken[0] == position
    assert words in broken[1]


@pytest.mark.parametrize(
    ("sequences", "scheme"),
    [
        (["NOUN VERB", "PUNCT"], "none"),
        (["O O"], "none"),
        ([], "none"),
        (["NN -LRB- NN -RRB-"], "none"),
        (["I"], "none"),
        (["O B-A I-A", "O"], "bio"),
        (["B-A I-A B-A"], "bio"),
        (["O B-A I-A I-B"], "bio"),  # broken in one place, not another scheme
        (["O I-A I-A O I-A B-A"], "iob1"),
        (["O I-A I-A"], "iob1"),
        (["B I I B"], "bio"),
        (["O B-A E-A", "S-B"], "bioes"),
        (["O S-A"], "bioes"),
        (["O B-A I-A L-A U-B"], "bilou"),
        (["O B-A M-A E-A S-B"], "bmes"),
        (["B M E S"], "bmes"),
        (["B-creative-work I-creative-work"], "bio"),
        (["B- O"], "none"),
        (["B-A E-A L-A"], "none"),
    ],
)
def test_recognise_scheme(sequences: list[str], scheme: Scheme) -> None:
    assert recognise_scheme([sequence.split() for sequence in sequences]) == scheme


@pytest.mark.parametrize("scheme", ["bio", "bioes", "bilou", "bmes"])
@settings(deadline=None)
@given(data=st.data())
def test_valid_sequences_are_recognised_or_read_alike(scheme: Scheme, data: st.DataObject) -> None:
    corpus = data.draw(st.lists(sentences(), max_size=4))
    tags = [encode_spans(spans, length, scheme) for spans, length in corpus]
    found = recognise_scheme(tags)
    for (spans, _), sequence in zip(corpus, tags, strict=True):
        assert found != "none" or not spans
        if spans:
            assert decode_spans(sequence, found) == spans
            assert first_break(sequence, found) is None


@pytest.mark.parametrize("stray", ["PER", "0", "o", "B_PER", "B-", "E"])
def test_a_few_tags_that_are_no_spans_among_many_that_are(stray: str) -> None:
    tags = ["O", "B-PER", "I-PER", "O", "B-LOC", "I-LOC", stray]
    with pytest.raises(DataError, match=f"the tag '{stray}' is none of a span"):
        recognise_scheme([tags])


def test_misuse() -> None:
    with pytest.raises(DataError, match="the tag 'E-A' is not one of BIO: B, I and O"):
        decode_spans(["E-A"], "bio")
    with pytest.raises(OptionError, match="the scheme 'none' has no spans"):
        decode_spans(["O"], "none")
    with pytest.raises(DataError, match="overlaps"):
        encode_spans([Span(0, 2, "A"), Span(1, 3, "A")], 3, "bio")
    with pytest.raises(DataError, match="outside the words"):
        encode_spans([Span(0, 4, "A")], 3, "bio")


def test_scheme_tags() -> None:
    assert scheme_tags(["A", "B"], "bio") == ["O", "B-A", "I-A", "B-B", "I-B"]
    assert scheme_tags(["A"], "bilou") == ["O", "B-A", "I-A", "L-A", "U-A"]
