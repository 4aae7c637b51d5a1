"""Hangul letters against the Unicode database."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from unrolled.text.jamo import compose, decompose, decompose_compatible

SYLLABLES = "".join(map(chr, range(0xAC00, 0xD7A4)))


def test_every_syllable() -> None:
    assert decompose(SYLLABLES) == unicodedata.normalize("NFD", SYLLABLES)
    assert compose(decompose(SYLLABLES)) == SYLLABLES


@given(st.text(st.one_of(st.characters(), st.sampled_from("가각ㅋㅏ힣\u1100\u1161\u11a8\u1112a é"))))
def test_composition_is_the_exact_inverse(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    assert compose(decompose(text)) == text


def test_only_syllables_are_touched() -> None:
    assert decompose("ㅋㅋ é한") == "ㅋㅋ é\u1112\u1161\u11ab"
    assert decompose_compatible("ㅋㅋ 값을 é") == "ㅋㅋ ㄱㅏㅄㅇㅡㄹ é"
    assert decompose_compatible("크") == "ㅋㅡ"


def test_compatible_letters_are_the_ones_the_syllable_is_made_of() -> None:
    for syllable in SYLLABLES[::37]:
        letters = decompose_compatible(syllable)
        conjoining = decompose(syllable)
        # NFKC of a compatibility letter is its lead or vowel; a tail has the same name as its letter.
        names = [unicodedata.name(c).rsplit(" ", 1)[1] for c in conjoining]
        assert [unicodedata.name(c).rsplit(" ", 1)[1] for c in letters] == names
