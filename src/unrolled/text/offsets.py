"""Raw text to the words a tagger knows, each with its place in the text, so that its answers point back.

A tagger learns from words that somebody divided, and must divide raw text in the same way. A
:class:`Segmenter` applies the rules of :mod:`unrolled.text.word_rules`, after it has looked at the words of
the training data: which of the rules these follow, and which words stay whole against them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple, Self

from unrolled.data.spans import Span
from unrolled.errors import ModelFileError
from unrolled.text.graphemes import grapheme_spans
from unrolled.text.word_rules import Spans, WordRules, divide, skeleton

#: Stands for white space where each word is a character (U+2581).
SPACE = "▁"

# White space, controls, and the signs of width zero that allow or forbid a break: none is part of a word.
_NOTHING = r"\s\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff"
_RUN = re.compile(rf"[^{_NOTHING}]+")
_GAP = re.compile(rf"[{_NOTHING}]+")
_ABBREVIATED = re.compile(r"[^\W\d_]+\.")
_INSIDE = re.compile(r"[A-Za-z0-9_\x01]").match
_CACHED = 65_536
_LONGEST = 64  # longer runs are not looked up: no dictionary has them

# What speaks for each rule (a word on its own) and what against it (words that the rule would divide).
_EVIDENCE = {
    "hyphens": (r"[-‐‑]", r"[^\W\d_]+[-‐‑][^\W\d_]+"),
    "slashes": (r"/", r"[^\W\d_]+/[^\W\d_]+"),
    "possessives": (r"['’][sS]", r"\w+['’][sS]"),
    "contractions": (
        r"(?i)n['’]t|['’](?:re|ve|ll|d|m)",
        r"(?i)\w+(?:n['’]t|['’](?:re|ve|ll|d|m))|cannot|gonna|wanna|gotta",
    ),
    "units": (r"[$€£%]|[ap]m|[AP]M", r"[$€£]\d[\d.,]*\w*|\d[\d.,:]*(?:%|[ap]m|[AP]M)"),
}  # fmt: skip
# A hyphen on its own is mostly a dash between words.
_DASHES = 2


class Segments(NamedTuple):
    """The words of a text.

    Attributes:
        words: as a tagger takes them; ``▁`` for white space between characters.
        offsets: start and end of each in the text, in code points (indices of ``str``); they do not overlap,
            and together they hold every character that is no white space.
    """

    words: list[str]
    offsets: list[tuple[int, int]]


class Segmenter:
    """Divides raw text as the training data were divided.

    Args:
        rules: what is divided.
        whole: words that stay whole against the rules.
        characters: each grapheme cluster is a word, and white space between them is ``▁``; the other
            arguments then have no use.
    """

    def __init__(
        self, rules: WordRules | None = None, whole: Iterable[str] = (), *, characters: bool = False
    ) -> None:
        self.rules = rules or WordRules()
        self.whole = frozenset(whole)
        self.characters = characters
        self._longest = max(map(len, self.whole), default=0)
        self._cache: dict[str, Spans] = {}

    @classmethod
    def learned(cls, sentences: Iterable[Sequence[str]], *, characters: bool = False) -> Self:
        """From the words of the training data, one sequence a sentence; it is read twice.

        A rule is left out if the data hold more words that it would divide than signs of its being followed.
        A word stays whole if it stands there more often than the parts that it would be divided into.
        """
        if characters:
            return cls(characters=True)
        counts = Counter(word for sentence in sentences for word in sentence)
        rules = WordRules(**{name: _followed(counts, name) for name in _EVIDENCE})
        parts: dict[tuple[str, ...], str] = {}
        for word in counts:
            if len(word) <= _LONGEST and not _GAP.search(word):
                spans = divide(word, rules)
                if len(spans) > 1:
                    parts[tuple(word[start:end] for start, end in spans)] = word
        divided: Counter[str] = Counter()
        lengths = {len(part) for part in parts}
        firsts = {part[0] for part in parts}
        for sentence in sentences:
            for position, word in enumerate(sentence):
                if word in firsts:
                    for length in lengths:
                        found = parts.get(tuple(sentence[position : position + length]))
                        if found is not None:
                            divided[found] += 1
        return cls(rules, (word for word in parts.values() if counts[word] > divided[word]))

    def segment(self, text: str) -> Segments:
        """The words of a text and where they stand."""
        offsets = self._characters(text) if self.characters else self._words(text)
        if not self.characters:
            return Segments([text[start:end] for start, end in offsets], offsets)
        words = [SPACE if _GAP.match(text, start) else text[start:end] for start, end in offsets]
        return Segments(words, offsets)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        if self.characters:
            return {"kind": "characters"}
        return {"kind": "words", "rules": asdict(self.rules), "whole": sorted(self.whole)}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`.

        Raises:
            ModelFileError: something else, or damaged.
        """
        kind, rules, whole = saved.get("kind"), saved.get("rules"), saved.get("whole")
        if kind == "characters":
            return cls(characters=True)
        names = {field.name for field in fields(WordRules)}
        if (
            kind != "words"
            or not isinstance(rules, Mapping)
            or set(rules) != names
            or not all(isinstance(value, bool) for value in rules.values())
            or not isinstance(whole, list)
            or not all(isinstance(word, str) for word in whole)
        ):
            raise ModelFileError("how raw text is divided into words is damaged.")
        return cls(WordRules(**rules), whole)

    def _words(self, text: str) -> list[tuple[int, int]]:
        cache = self._cache
        offsets: list[tuple[int, int]] = []
        for match in _RUN.finditer(text):
            start, run = match.start(), match.group()
            spans = cache.get(run)
            if spans is None:
                spans = self._divided(run)
                if len(run) <= _LONGEST:
                    if len(cache) >= _CACHED:
                        cache.clear()
                    cache[run] = spans
            offsets += [(start + first, start + last) for first, last in spans]
        if len(offsets) > 1 and _ABBREVIATED.fullmatch(text, *offsets[-1]):
            # At the end of a text this is a word and the full stop.
            start, end = offsets.pop()
            offsets += [(start, end - 1), (end - 1, end)]
        return offsets

    def _divided(self, run: str) -> Spans:
        spans = divide(run, self.rules)
        if not self.whole or len(run) > _LONGEST:
            return spans
        shown = skeleton(run)
        kept: list[tuple[int, int]] = []
        position = 0
        for start, end in spans:
            if start < position:
                continue
            longer = self._whole_end(run, shown, start, end)
            kept.append((start, longer or end))
            position = kept[-1][1]
            if longer is not None and all(position != other for _, other in spans):
                # It ends inside a word of the rules: they begin anew after it.
                return (
                    *kept,
                    *((position + first, position + last) for first, last in self._divided(run[longer:])),
                )
        return tuple(kept)

    def _whole_end(self, run: str, shown: str, start: int, least: int) -> int | None:
        """Where the longest word that stays whole ends, if it is longer than the one of the rules."""
        for end in range(min(len(run), start + self._longest), least, -1):
            if run[start:end] in self.whole and not (
                end < len(run) and (shown[end] == "\x01" or (_INSIDE(shown[end - 1]) and _INSIDE(shown[end])))
            ):
                return end
        return None

    def _characters(self, text: str) -> list[tuple[int, int]]:
        offsets: list[tuple[int, int]] = []
        for match in _RUN.finditer(text):
            gap = (offsets[-1][1], match.start()) if offsets else (0, 0)
            if any(map(str.isspace, text[slice(*gap)])):
                offsets.append(gap)
            offsets += [
                (match.start() + start, match.start() + end) for start, end in grapheme_spans(match[0])
            ]
        return offsets


def _followed(counts: Mapping[str, int], rule: str) -> bool:
    """Whether the data divide words as a rule does; yes, if they say nothing."""
    alone, joined = (re.compile(pattern) for pattern in _EVIDENCE[rule])
    apart = sum(count for word, count in counts.items() if alone.fullmatch(word))
    together = sum(count for word, count in counts.items() if joined.fullmatch(word))
    return together <= (apart // _DASHES if rule == "hyphens" else apart)


def spans_in_text(spans: Iterable[Span], offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int, str]]:
    """Spans of words as start, end and type in the characters of the text.

    Args:
        spans: of words.
        offsets: start and end of each word in the text.
    """
    return [(offsets[start][0], offsets[end - 1][1], kind) for start, end, kind in spans]
