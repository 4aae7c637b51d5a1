"""Hangul syllables and the letters (jamo) they are built of.

A precomposed syllable is ``U+AC00 + (lead * 21 + vowel) * 28 + tail`` with 19 leads, 21 vowels and 27 tails
or none (The Unicode Standard, section 3.12). Only these 11,172 characters are touched: compatibility jamo
as in ``ㅋㅋ``, and everything that is not Hangul, stay as they are. (NFKC would turn ``ㅋ`` into a
conjoining lead, which is why no tokenizer here uses it.)
"""

from __future__ import annotations

import re
import unicodedata

_FIRST, _SYLLABLES = 0xAC00, 11172
_LEADS, _VOWELS, _TAILS = 19, 21, 28
_LEAD, _VOWEL, _TAIL = 0x1100, 0x1161, 0x11A7

_COMPATIBLE_LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_COMPATIBLE_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_COMPATIBLE_TAILS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"

_CONJOINING = re.compile("[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?")


class _Table(dict[int, str]):
    """A table for ``str.translate`` that is filled by use: a text has far fewer syllables than there are."""

    def __init__(self, compatible: bool) -> None:
        super().__init__((code, chr(code)) for code in range(128))
        self._compatible = compatible

    def __missing__(self, code: int) -> str:
        index = code - _FIRST
        if not 0 <= index < _SYLLABLES:
            return chr(code)  # not stored: foreign text must not grow the table
        lead, rest = divmod(index, _VOWELS * _TAILS)
        vowel, tail = divmod(rest, _TAILS)
        if self._compatible:
            letters = _COMPATIBLE_LEADS[lead] + _COMPATIBLE_VOWELS[vowel]
            letters += _COMPATIBLE_TAILS[tail] if tail else ""
        else:
            letters = chr(_LEAD + lead) + chr(_VOWEL + vowel) + (chr(_TAIL + tail) if tail else "")
        self[code] = letters
        return letters


_CONJOINING_TABLE = _Table(compatible=False)
_COMPATIBLE_TABLE = _Table(compatible=True)


def decompose(text: str) -> str:
    """Each precomposed syllable as two or three conjoining jamo. :func:`compose` undoes it exactly.

    That holds for text in NFC, the form that the tokenizers here bring text into: other text may already have
    conjoining jamo that form a syllable, and :func:`compose` composes them too.
    """
    return text if text.isascii() else text.translate(_CONJOINING_TABLE)


def compose(text: str) -> str:
    """Each run of lead, vowel and optional tail in conjoining jamo as one syllable."""
    if text.isascii():
        return text
    return _CONJOINING.sub(lambda found: unicodedata.normalize("NFC", found.group()), text)


def decompose_compatible(text: str) -> str:
    """Each precomposed syllable as two or three compatibility jamo, the letters as they are typed and shown.

    For display and for features that should see ``ㅋ`` alone and in ``크`` as one letter.
    There is no inverse: whether ``ㄱㅏㄱㅏ`` was one word or letters typed apart is lost.
    """
    return text if text.isascii() else text.translate(_COMPATIBLE_TABLE)
