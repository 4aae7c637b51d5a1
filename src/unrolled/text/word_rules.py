"""Rules that divide a run of characters without white space into words, as English treebanks do.

The rules are those of the Penn Treebank (https://catalog.ldc.upenn.edu/docs/LDC95T7/cl93.html) with the
changes of the English Web Treebank: punctuation stands alone, runs like ``...`` and ``--`` are one word;
contractions and the possessive are divided (``do n't``, ``it 's``, ``can not``, ``gon na``), and so are parts
joined by hyphens and slashes, if the first is no prefix such as ``non-``. Whole are numbers (``3.14``,
``5:00``, ``11/28/2000``), telephone numbers, addresses of web and mail, names of files, ``@mentions``,
``#hashtags``, abbreviations, emoticons and emoji. Texts of other traditions keep hyphens, contractions or
signs with their word: each is one field of :class:`WordRules`. A language without spaces is not divided at
all; it wants a tagger of characters.

The regular expressions see a skeleton of the text, of the same length: letters and digits beyond ASCII are
stand-ins, and whatever is not the first code point of its grapheme cluster is ``\\x01``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from unrolled.text.graphemes import grapheme_spans

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class WordRules:
    """What is divided, beside punctuation.

    Attributes:
        hyphens: ``well-known`` is three words.
        slashes: ``and/or`` is three words.
        possessives: ``John's`` and ``it's`` are two words.
        contractions: ``don't``, ``I'll``, ``cannot``, ``gonna`` are two words.
        units: ``$5``, ``5%`` and ``5pm`` are two words.
    """

    hyphens: bool = True
    slashes: bool = True
    possessives: bool = True
    contractions: bool = True
    units: bool = True


def divide(run: str, rules: WordRules) -> Spans:
    """Start and end of each word of a run without white space; together they are the whole run."""
    if run.isalpha() and run.lower() not in _FUSED:  # most words
        return ((0, len(run)),)
    shown = run if run.isascii() and run.isprintable() and "`" not in run else skeleton(run)
    spans: list[tuple[int, int]] = []
    for match in _pattern(rules).finditer(shown):
        if match.lastgroup == "word":
            spans += _parted(match.group(), match.start(), rules)
        else:
            spans.append(match.span())
    return tuple(spans)


def skeleton(run: str) -> str:
    """A text in ASCII of the same length, whose characters have the same role."""
    return "".join(_stand_in(run[start]) + "\x01" * (end - start - 1) for start, end in grapheme_spans(run))


@lru_cache(maxsize=65_536)
def _stand_in(character: str) -> str:
    if character in _SAME:
        return _SAME[character]
    if character.isascii():
        return character if character.isprintable() else _SIGN
    if character.isdigit():
        return "0"
    category = unicodedata.category(character)
    if category[0] in "PS":
        return "$" if category == "Sc" else _SIGN
    return "X" if character.isupper() else "x"


_SIGN = "\x02"
_ELLIPSIS = "\x03"
_SAME = {
    "`": "'", "’": "'", "ʼ": "'", "＇": "'", "‐": "-", "‑": "-", "“": '"', "”": '"', "„": '"', "…": _ELLIPSIS,
    "！": "!", "？": "?", "\x01": _SIGN,
}  # fmt: skip

_W = r"[A-Za-z0-9_\x01]"
_ALONE = rf"(?<!{_W})"  # what begins a word
_ENDS = rf"(?!{_W})"
# Country codes that are English words (it, in, at, no, ...) would join sentences that lack a space.
_SITES = (
    "com|org|net|edu|gov|mil|int|info|biz|tv|fm|eu|io|uk|ca|au|nz|de|fr|nl|se|dk|pl|ru|jp|kr|cn|hk|br|ch|ie|"
    "ly|gl|gd"
)
_FILES = "docx?|xlsx?|pptx?|pdf|txt|csv|html?|xml|jpe?g|png|gif|zip|gz|exe|mp3|mp4|avi|py|js|php"
_ABBREVIATIONS = (
    "Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Messrs|Rev|Gen|Lt|Col|Capt|Sgt|Maj|Adm|Gov|Sens?|Reps?|Hon|Pres|Inc|Corp|Co|"
    "Ltd|Bros|vs|etc|al|approx|[Dd]ept|Ft|Mt|Ave|Blvd|Rd|Jan|Feb|Aug|Sept?|Oct|Nov|Dec|Attn|Ph|cf|pp|Fig|Vol"
)
_PREFIXES = (
    "anti|co|counter|e|ex|inter|mid|mini|multi|neo|non|over|post|pre|pro|re|semi|sub|super|trans|ultra|un|"
    "vice"
)
_UNITS = (
    r"[ap]m|[AP]M|[ap]\.m\.?|[km]m|k?g|mg|cm|[kmbKMB]|bn|MM|[kmMG][bBW]|[kM]?Hz|mph|lbs?|oz|ft|hrs?|mins?|"
    r"yrs?"
)
_FUSED = {"cannot", "gonna", "wanna", "gotta", "gimme", "lemme"}  # all are divided after three letters


_MOST_CLITICS = 3  # should n't 've; with the bounds below this keeps the time linear in the text


@lru_cache(maxsize=64)
def _pattern(rules: WordRules) -> re.Pattern[str]:
    address = r"""[^\s<>"\x02\x03]*[A-Za-z0-9_\x01/=&#~%+-]"""
    label = "[A-Za-z0-9_-]{1,63}"
    number = r"[0-9][0-9\x01]*(?:[.,:/][0-9]+)*"
    if rules.units:
        number = rf"{number}(?=(?:{_UNITS}){_ENDS})|[0-9][0-9\x01]*(?:[.,:/][0-9]+)+{_W}*|\.[0-9]+"
    else:
        number = rf"[$]?{number}(?:%|{_W}*)|[$]?\.[0-9]+%?"
    inner = "['&" + ("" if rules.hyphens else "-") + ("" if rules.slashes else "/") + "]"
    prefix = rf"(?:{_ALONE}(?i:{_PREFIXES})-)?" if rules.hyphens else ""
    kinds = {
        "url": rf"{_ALONE}(?:(?:https?|ftp)://|www\.|mailto:){address}",
        "mail": rf"{_ALONE}[A-Za-z0-9_.+%-]{{1,64}}@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*",
        "site": rf"{_ALONE}{label}(?:\.{label}){{0,8}}\.(?i:{_SITES}){_ENDS}(?:/(?:{address})?)?",
        "file": rf"{_ALONE}[A-Za-z0-9_\x01][A-Za-z0-9_\x01.-]{{0,100}}\.(?i:{_FILES}){_ENDS}",
        "handle": rf"{_ALONE}(?:@{_W}+|\#{_W}*[A-Za-z]{_W}*)",
        "entity": r"&(?:[A-Za-z]+|\#[0-9A-Za-z]+);",
        "smile": rf"{_ALONE}[<>]?[:;=][-o*']?(?:[)(\]\[|/\\]+|[DPpOo3]{_ENDS})|[:;]-?[)(]+\Z|<3{_ENDS}",
        "face": r"\^_*\^|-_+-",
        "telephone": rf"{_ALONE}(?:[0-9]-)?(?:[0-9]{{3}}-)?[0-9]{{3}}-[0-9]{{4}}{_ENDS}",
        "letters": rf"{_ALONE}(?:(?:[A-Za-z]\.){{2,}}(?:[A-Za-z]{_ENDS})?|[A-Za-z][./][A-Za-z]{_ENDS})",
        "short": rf"{_ALONE}(?:{_ABBREVIATIONS}|[A-Z])\.(?!\.)",
        "year": rf"{_ALONE}'[0-9][0-9]s?{_ENDS}",
        "clitic": rf"{_ALONE}'(?i:s|re|ve|ll|d|m){_ENDS}",
        "language": rf"{_ALONE}[A-Za-z](?:\+\+|\#){_ENDS}",
        "country": rf"{_ALONE}\+[0-9]+{_ENDS}",
        "number": rf"{_ALONE}(?:{number})",
        "word": rf"{prefix}{_W}+(?:{inner}{_W}+)*",
        "stops": r"[.!?\x03]{2,}",
        "same": r"(?P<one>[-=*~+\#<>'|^$])(?P=one)+",
        "sign": r"(?s:.)\x01*",
    }
    # No word ends inside a grapheme cluster.
    return re.compile("|".join(rf"(?P<{kind}>(?:{pattern})(?!\x01))" for kind, pattern in kinds.items()))


@lru_cache(maxsize=4)
def _clitics(rules: WordRules) -> re.Pattern[str] | None:
    kinds = ["n't|'(?:re|ve|ll|d|m)"] * rules.contractions + ["'s"] * rules.possessives
    return re.compile(rf"(?i)(?<={_W})(?:{'|'.join(kinds)})$") if kinds else None


def _parted(word: str, start: int, rules: WordRules) -> list[tuple[int, int]]:
    """A word and its clitics."""
    if rules.contractions and word.lower() in _FUSED:
        return [(start, start + 3), (start + 3, start + len(word))]
    clitics = _clitics(rules)
    spans: list[tuple[int, int]] = []
    end = len(word)
    while clitics is not None and len(spans) < _MOST_CLITICS and (found := clitics.search(word, 0, end)):
        spans.append((start + found.start(), start + end))
        end = found.start()
    return [(start, start + end), *reversed(spans)]
