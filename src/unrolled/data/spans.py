"""Spans written as one tag a word: the schemes, what they allow, and how conlleval reads broken ones.

A tag is ``O`` or a letter and a type, divided at the first hyphen: ``B-creative-work`` has the type
``creative-work``. A bare letter has the type ``""``. The schemes (Ramshaw & Marcus 1995; Tjong Kim Sang &
Veenstra 1999; Ratinov & Roth 2009):

* ``bio`` (IOB2): each span begins with B and goes on with I;
* ``iob1``: each span is all I, but B where it follows a span of the same type at once;
* ``bioes``: begins with B and ends with E; a span of one word is S. ``bilou`` and ``bmes`` are the same in
  other letters;
* ``none``: tags that are not spans, such as parts of speech.

All reading of tags comes down to :func:`_continues`, and all checking to :func:`may_follow`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np

from unrolled.errors import DataError, OptionError

Scheme = Literal["none", "bio", "iob1", "bioes", "bilou", "bmes"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

#: What stands before the first word and after the last one.
Border = None
Pair = tuple[str | None, str | None]

# The letters for begin, inside, end and single of each scheme.
_LETTERS: dict[Scheme, str] = {"bio": "BI", "iob1": "BI", "bioes": "BIES", "bilou": "BILU", "bmes": "BMES"}
_OUTSIDE = "O"
# Tags that fit no scheme while this share of the kinds of tags does are mistakes, not a tag set of their own.
_MOSTLY = 0.75


class Span(NamedTuple):
    """Words ``start`` to ``end`` (exclusive) of a sentence, counted from 0, and what they are."""

    start: int
    end: int
    type: str


class _Parts(NamedTuple):
    letter: str  # B, I, E, S or O, whatever the scheme calls it
    type: str


_BORDER = _Parts(_OUTSIDE, "")


def recognise_scheme(sequences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme of these tag sequences, one a sentence.

    Where nothing speaks for another, tags of the letters B and I are ``bio``; I without any B is ``iob1``.

    Raises:
        DataError: most tags are those of spans and a few are not.
    """
    pairs = {pair for sequence in sequences for pair in neighbours(sequence)}
    stray = stray_tag(pairs)
    if stray is not None:
        raise DataError(stray_message(stray))
    return scheme_of_pairs(pairs)


def neighbours(tags: Sequence[str]) -> Iterator[Pair]:
    """Each tag of a sentence with the one after it, the borders of the sentence as ``None``."""
    return zip((Border, *tags), (*tags, Border), strict=True)


def scheme_of_pairs(pairs: Iterable[Pair]) -> Scheme:
    """As :func:`recognise_scheme`, from the :func:`neighbours` of all sentences."""
    pairs = set(pairs)
    tags = {tag for pair in pairs for tag in pair if tag is not None}
    found = {_letter_of(tag) for tag in tags} - {_OUTSIDE}
    if not found or "" in found or (len(tags) == 1 and len(next(iter(tags))) == 1):
        return "none"
    if found <= set("BI"):
        # Both read the same, so that only what begins a span tells them apart.
        outside_b = any(not may_follow(*pair, "iob1") for pair in pairs)
        return "bio" if outside_b or all(may_follow(*pair, "bio") for pair in pairs) else "iob1"
    by_letters: tuple[Scheme, ...] = ("bioes", "bilou", "bmes")
    return next((scheme for scheme in by_letters if found <= set(_LETTERS[scheme])), "none")


def stray_tag(pairs: Iterable[Pair]) -> str | None:
    """A tag such as ``PER`` or ``0`` among ``B-PER``, ``I-PER`` and ``O``: a mistake of the file."""
    tags = {tag for pair in pairs for tag in pair if tag is not None}
    strays = sorted(tag for tag in tags if not _letter_of(tag) or (len(tag) == 1 and tag != _OUTSIDE))
    spans = tags - set(strays) - {_OUTSIDE}
    mistaken = _OUTSIDE in tags and strays and len(spans) >= _MOSTLY * (len(spans) + len(strays))
    return strays[0] if mistaken else None


def stray_message(tag: str) -> str:
    """What to say about a :func:`stray_tag`."""
    return (
        f"the tag '{tag}' is none of a span, as most others are: write B- or I- and the type, or O for "
        "outside; if the tags are no spans, say so with scheme none"
    )


def decode_spans(tags: Sequence[str], scheme: Scheme) -> list[Span]:
    """The spans of a sentence. Broken sequences are read as conlleval does: a span begins where it must.

    Raises:
        DataError: a tag that the scheme does not know.
        OptionError: the scheme ``none`` has no spans.
    """
    spans: list[Span] = []
    before, start = _BORDER, -1
    for position, tag in enumerate(tags):
        now = _parts(tag, scheme)
        if not _continues(before, now):
            if start >= 0:
                spans.append(Span(start, position, before.type))
            start = -1 if now.letter == _OUTSIDE else position
        before = now
    if start >= 0:
        spans.append(Span(start, len(tags), before.type))
    return spans


def encode_spans(spans: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """The tags of a sentence of ``length`` words; the inverse of :func:`decode_spans`.

    Raises:
        DataError: spans that overlap, are empty or lie outside the sentence.
        OptionError: the scheme ``none`` has no spans.
    """
    letters = _letters(scheme)
    tags = [_OUTSIDE] * length
    before = Span(0, 0, "")
    for span in sorted(spans):
        start, end, kind = span
        if not before.end <= start < end <= length:
            raise DataError(f"the span {tuple(span)} overlaps {tuple(before)}, is empty or outside the words")
        begin = "B"
        if scheme == "iob1" and not (before.end == start and before.type == kind and start > 0):
            begin = "I"
        inside = letters[1]
        tags[start:end] = [_tag(inside, kind)] * (end - start)
        tags[start] = _tag(begin, kind)
        if len(letters) == 4:
            tags[end - 1] = _tag(letters[2] if end - start > 1 else letters[3], kind)
        before = span
    return tags


def to_bio(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """The same spans in BIO (IOB2)."""
    return encode_spans(decode_spans(tags, scheme), len(tags), "bio")


def to_bioes(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """The same spans in BIOES."""
    return encode_spans(decode_spans(tags, scheme), len(tags), "bioes")


def repaired(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """The tags that say what conlleval reads; valid ones stay as they are."""
    return encode_spans(decode_spans(tags, scheme), len(tags), scheme)


def may_follow(before: str | None, after: str | None, scheme: Scheme) -> bool:
    """Whether a tag may stand after another, ``None`` being the border of the sentence."""
    if scheme == "none":
        return True
    first = _BORDER if before is None else _parts(before, scheme)
    second = _BORDER if after is None else _parts(after, scheme)
    if scheme == "iob1":
        return second.letter != "B" or (first.letter != _OUTSIDE and first.type == second.type)
    going_on = _continues(first, second)
    if second.letter in "IE" and not going_on:
        return False
    return scheme == "bio" or first.letter not in "BI" or going_on


def first_break(tags: Sequence[str], scheme: Scheme) -> tuple[int, str] | None:
    """Where a sentence leaves its scheme: the position of the word and why; ``None`` if nowhere."""
    for position, (before, after) in enumerate(neighbours(tags)):
        if not may_follow(before, after, scheme):
            unopened = after is not None and not (scheme == "iob1" or may_follow(Border, after, scheme))
            return (position if unopened or scheme == "iob1" else position - 1), _reason(
                before, after, scheme, unopened=unopened
            )
    return None


def allowed_transitions(tags: Sequence[str], scheme: Scheme) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a model of whole sequences may predict.

    Args:
        tags: the ``n`` tags of the model in its order.
        scheme: theirs.

    Returns:
        ``allowed (n, n)`` bool, ``[a, b]`` whether tag ``b`` may follow tag ``a``; ``start (n,)`` and
        ``end (n,)`` bool, whether a sentence may begin and end with a tag.
    """
    allowed = [[may_follow(before, after, scheme) for after in tags] for before in tags]
    start = [may_follow(Border, tag, scheme) for tag in tags]
    end = [may_follow(tag, Border, scheme) for tag in tags]
    return np.array(allowed, dtype=np.bool_).reshape(len(tags), len(tags)), np.array(start), np.array(end)


def scheme_tags(types: Iterable[str], scheme: Scheme) -> list[str]:
    """All tags of a scheme for these types, ``O`` first: also those that a training file happens to lack."""
    letters = _letters(scheme)
    return [_OUTSIDE, *(_tag(letter, kind) for kind in types for letter in letters)]


def _continues(before: _Parts, after: _Parts) -> bool:
    """Whether two neighbours belong to one span.

    The rules of conlleval (Tjong Kim Sang, CoNLL-2000), ``startOfChunk`` and ``endOfChunk``, taken together.
    """
    return after.letter in "IE" and before.letter in "BI" and before.type == after.type


def _letter_of(tag: str) -> str:
    """The letter of a tag of some scheme; empty if it is no such tag."""
    if tag == _OUTSIDE or (tag[:1] in set("BIESLUM") and (len(tag) == 1 or (tag[1] == "-" and len(tag) > 2))):
        return tag[0]
    return ""


def _letters(scheme: Scheme) -> str:
    if scheme not in _LETTERS:
        known = ", ".join(_LETTERS)
        raise OptionError(f"the scheme '{scheme}' has no spans: choose one of {known}")
    return _LETTERS[scheme]


@lru_cache(maxsize=4096)
def _parts(tag: str, scheme: Scheme) -> _Parts:
    letters = _letters(scheme)
    if tag == _OUTSIDE:
        return _BORDER
    if not _letter_of(tag) or tag[0] not in letters:
        raise DataError(f"the tag '{tag}' is not one of {scheme.upper()}: {', '.join(letters)} and O")
    return _Parts("BIES"[letters.index(tag[0])], tag[2:])


def _tag(letter: str, kind: str) -> str:
    return f"{letter}-{kind}" if kind else letter


def _reason(before: str | None, after: str | None, scheme: Scheme, *, unopened: bool) -> str:
    letters, name = _letters(scheme), scheme.upper()
    left = "the beginning of the sentence" if before is None else before
    right = "the end of the sentence" if after is None else after
    if scheme == "iob1":
        kind = _parts(after or _OUTSIDE, scheme).type
        return f"{right} follows {left}, but in IOB1 a span begins with {_tag('I', kind)} there"
    if unopened:
        kind = _parts(after or _OUTSIDE, scheme).type
        single = f" or is {_tag(letters[3], kind)}" if len(letters) == 4 else ""
        return f"{right} follows {left}, but in {name} a span begins with {_tag('B', kind)}{single}"
    kind = _parts(before or _OUTSIDE, scheme).type
    return (
        f"{left} stands before {right}, but in {name} a span ends with {_tag(letters[2], kind)} "
        f"or is {_tag(letters[3], kind)}"
    )
