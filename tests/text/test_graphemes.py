"""Grapheme clusters against the \\X of the package regex, and by hand."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.text.graphemes import grapheme_spans


def clusters(text: str) -> list[str]:
    return [text[start:end] for start, end in grapheme_spans(text)]


@pytest.mark.parametrize(
    "parts",
    [
        ["a", "b", " ", "c"],
        ["e\u0301", "x\u0323\u0307"],  # combining marks
        ["\u1112\u1161\u11ab", "\u1100\u1173\u11af", "한", "가\u11a8"],  # Hangul, decomposed and half so
        ["\u1100\u1100\u1161", "a", "\u11a8"],  # old Hangul: two initials; a final alone
        ["👍🏽", "👩‍👩‍👧‍👦", "❤️", "🏳️‍🌈", "1️⃣", "🧑🏿‍🚀"],
        ["🇰🇷", "🇰🇷", "🇰"],  # two letters a flag
        ["🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"],  # England
        ["😀", "😀"],
        ["a\u200d", "b"],  # a joiner joins letters to nothing
        ["नि", "กำ", "ｶﾞ"],
        ["\r\n", "\n", "\r"],
        ["\u200b", "\u0301"],  # nothing to combine with
        ["\ud83d", "x"],  # half a pair
    ],
)
def test_by_hand(parts: list[str]) -> None:
    assert clusters("".join(parts)) == parts


_alphabet = [
    *"aé1 \r\n한가क😀❤👩🏽🇰🇷♀©\u0301\u0323\u20e3\ufe0f\u200d\u200c\u1100\u1161\u11a8\u200b\u00ad\u093f\u0e33"
]


def known(character: str) -> bool:
    """Whether the module's deviations, which it states, do not concern this character."""
    names = (
        "DEVANAGARI",
        "BENGALI",
        "GUJARATI",
        "ORIYA",
        "TELUGU",
        "MALAYALAM",
        "MYANMAR",
        "TAI",
        "BALINESE",
    )
    name = unicodedata.name(character, "")
    prepended = unicodedata.category(character) == "Cf" and "ARABIC" in name
    return bool(name) and not prepended and not any(part in name for part in names)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.sampled_from(_alphabet), max_size=10).map("".join)
    | st.text(st.characters(max_codepoint=0x2FFF, exclude_categories=["Cs", "Cn"]).filter(known), max_size=8)
)
def test_against_regex(text: str) -> None:
    regex = pytest.importorskip("regex")
    assert clusters(text) == regex.findall(r"\X", text)


@given(st.text(st.characters(exclude_categories=()), max_size=20))
def test_together_they_are_the_text(text: str) -> None:
    assert "".join(clusters(text)) == text
    assert all(start < end for start, end in grapheme_spans(text))


@given(st.text(max_size=12))
def test_no_mark_begins_a_cluster_but_after_a_control(text: str) -> None:
    before = ""
    for cluster in clusters(text):
        if unicodedata.category(cluster[0])[0] == "M" and before:
            assert unicodedata.category(before[-1]) in ("Cc", "Cf", "Zl", "Zp", "Cs")
        before = cluster


@given(st.text(st.characters(codec="utf-8", include_characters="한글가힣"), max_size=10))
def test_decomposition_changes_no_cluster_of_hangul(text: str) -> None:
    hangul = "".join(character for character in text if "가" <= character <= "힣")
    assert len(clusters(unicodedata.normalize("NFD", hangul))) == len(hangul)
