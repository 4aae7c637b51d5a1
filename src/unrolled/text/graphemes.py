"""Grapheme clusters: what a reader takes for one character, though it may be several code points.

The rules of Unicode Standard Annex 29 (https://www.unicode.org/reports/tr29/), from the categories that
Python knows: combining marks stay with their base, letters of decomposed Hangul make one syllable, emoji keep
their modifiers and what they are joined with, flags are two letters. Left out are GB9b (a few Arabic and
Indic signs before what they belong to) and GB9c (conjuncts of Indic scripts: here a cluster for each
consonant); and all spacing marks stay with their base, those too that the annex divides in Burmese.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_OTHER, _CONTROL, _EXTEND, _ZWJ, _FLAG, _PICTURE, _L, _V, _T, _LV, _LVT = range(11)

_HANGUL = (
    (0x1100, 0x115F, _L), (0xA960, 0xA97C, _L), (0x1160, 0x11A7, _V), (0xD7B0, 0xD7C6, _V),
    (0x11A8, 0x11FF, _T), (0xD7CB, 0xD7FB, _T),
)  # fmt: skip
#: (what stands before, what follows) -> one cluster: GB6, GB7, GB8.
_SYLLABLE = {
    *((_L, after) for after in (_L, _V, _LV, _LVT)),
    *((before, after) for before in (_LV, _V) for after in (_V, _T)),
    *((before, _T) for before in (_LVT, _T)),
}


def grapheme_spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each grapheme cluster of a text; together they are the whole text."""
    if text.isascii() and "\r\n" not in text:
        return [(position, position + 1) for position in range(len(text))]
    starts: list[int] = []
    before, flags, picture = _CONTROL, 0, False
    for position, character in enumerate(text):
        now = _property(character)
        if not _joined(before, now, flags, picture) and not (
            character == "\n" and text[position - 1] == "\r"
        ):
            starts.append(position)
        flags = flags + 1 if now == _FLAG else 0
        picture = now == _PICTURE or (picture and before != _ZWJ and now in (_EXTEND, _ZWJ))
        before = now
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def _joined(before: int, now: int, flags: int, picture: bool) -> bool:
    if now in (_EXTEND, _ZWJ):  # GB9, GB9a
        return before != _CONTROL
    if now == _PICTURE:  # GB11
        return before == _ZWJ and picture
    if now == _FLAG:  # GB12, GB13
        return flags % 2 == 1
    return (before, now) in _SYLLABLE


@lru_cache(maxsize=65_536)
def _property(character: str) -> int:
    code = ord(character)
    if 0xAC00 <= code <= 0xD7A3:
        return _LV if (code - 0xAC00) % 28 == 0 else _LVT
    for first, last, kind in _HANGUL:
        if first <= code <= last:
            return kind
    if code == 0x200D:
        return _ZWJ
    # Beside marks: zero width non-joiner, skin tones, tags of regional flags, and marks that Unicode counts
    # among the letters (Thai and Lao AM, half-width voiced sound marks).
    if (
        code in (0x200C, 0x0E33, 0x0EB3, 0xFF9E, 0xFF9F)
        or 0x1F3FB <= code <= 0x1F3FF
        or 0xE0020 <= code <= 0xE007F
    ):
        return _EXTEND
    if 0x1F1E6 <= code <= 0x1F1FF:
        return _FLAG
    category = unicodedata.category(character)
    if category[0] == "M":
        return _EXTEND
    if category in ("Cc", "Cf", "Zl", "Zp", "Cs"):
        return _CONTROL
    # Extended_Pictographic, near enough: it matters only after a joiner.
    return _PICTURE if category == "So" or 0x1F000 <= code <= 0x1FAFF or code in (0x2194, 0x2195) else _OTHER
