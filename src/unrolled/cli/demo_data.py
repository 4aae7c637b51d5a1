"""Utterances of the chatterbot-corpus package, labelled by topic, split so that the held-out part is new.

The corpus repeats itself: one question stands in many dialogues with different answers, and the turns of a
dialogue share their words. So dialogues of a topic that have an utterance in common are tied together into
one *family*, and a family lies wholly in one part. An utterance that occurs in several topics has no right
answer and is left out.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from unrolled.errors import DataError, MissingExtraError

LANGUAGES = {"en": "english", "ko": "korean"}
MIN_UTTERANCES = 40
MIN_FAMILIES = 15

#: Topics from which the demo prints utterances. The others hold jokes, insults and opinions.
PRINTABLE = ("ai", "computers", "literature", "movies", "science", "sports", "trivia")


@dataclass
class Split:
    """One language, ready for training.

    Attributes:
        train, dev, test: pairs ``(utterance, topic)``; no utterance and no family is in two parts.
        utterances: all turns in the corpus; ``distinct``: different ones among them.
        ambiguous: utterances left out because several topics hold them.
        dropped: topics left out because they are too small, with their number of utterances.
        families: number of families in the topics kept.
    """

    train: list[tuple[str, str]] = field(default_factory=list)
    dev: list[tuple[str, str]] = field(default_factory=list)
    test: list[tuple[str, str]] = field(default_factory=list)
    utterances: int = 0
    distinct: int = 0
    ambiguous: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    families: int = 0

    @property
    def topics(self) -> dict[str, int]:
        """Topics and their number of utterances, largest first."""
        return dict(
            Counter(topic for part in (self.train, self.dev, self.test) for _, topic in part).most_common()
        )


def load_split(language: str) -> Split:
    """The split of ``"en"`` or ``"ko"``; always the same one.

    Raises:
        MissingExtraError: the ``demo`` extra is not installed.
        DataError: the package does not hold what it should.
    """
    return split_dialogues(_read(LANGUAGES[language]))


def split_dialogues(
    topics: dict[str, list[list[str]]],
    *,
    min_utterances: int = MIN_UTTERANCES,
    min_families: int = MIN_FAMILIES,
) -> Split:
    """Split dialogues (lists of turns) by topic into about 65 % train, 15 % dev and 20 % test.

    Within a topic the families are ordered by a hash of their text, so the split depends on nothing but the
    data.
    """
    split = Split()
    owners: dict[str, set[str]] = defaultdict(set)
    for topic, dialogues in topics.items():
        for turn in (turn for dialogue in dialogues for turn in dialogue):
            split.utterances += 1
            owners[_key(turn)].add(topic)
    owners.pop("", None)
    split.distinct = len(owners)
    split.ambiguous = sum(len(names) > 1 for names in owners.values())
    for topic, dialogues in topics.items():
        families = [
            kept
            for family in _families(dialogues)
            if (kept := [turn for key, turn in family.items() if len(owners[key]) == 1])
        ]
        size = sum(map(len, families))
        if size < min_utterances or len(families) < min_families:
            split.dropped[topic] = size
            continue
        split.families += len(families)
        families.sort(key=lambda turns: hashlib.sha256(_key(turns[0]).encode()).digest())
        for turns in families:
            done = len([1 for _, name in split.test if name == topic])
            done_dev = len([1 for _, name in split.dev if name == topic])
            part = split.test if done < 0.2 * size else split.dev if done_dev < 0.15 * size else split.train
            # A family may be large: it goes to training rather than overfill a small part.
            room = {id(split.test): 0.25 * size - done, id(split.dev): 0.2 * size - done_dev}.get(id(part))
            if room is not None and len(turns) > room:
                part = split.train
            part.extend((turn, topic) for turn in turns)
    return split


def _families(dialogues: Iterable[list[str]]) -> list[dict[str, str]]:
    """Dialogues joined by equal turns: each family maps the key of a turn to its first spelling."""
    parent: dict[str, str] = {}
    spelling: dict[str, str] = {}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for dialogue in dialogues:
        keys = [key for turn in dialogue if (key := _key(turn))]
        for turn in dialogue:
            key = _key(turn)
            parent.setdefault(key, key)
            spelling.setdefault(key, " ".join(turn.split()))
        for key in keys[1:]:
            parent[root(key)] = root(keys[0])
    families: dict[str, dict[str, str]] = defaultdict(dict)
    for key, text in spelling.items():
        if key:
            families[root(key)][key] = text
    return list(families.values())


def _key(turn: str) -> str:
    """What makes two turns equal: their letters and digits, without case, spacing and punctuation."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", turn).casefold()))


def _read(folder: str) -> dict[str, list[list[str]]]:
    try:
        from chatterbot_corpus.corpus import DATA_DIRECTORY  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtraError("The demo", package="chatterbot-corpus", extra="demo") from None
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtraError("The demo", package="pyyaml", extra="demo") from None
    files = sorted((Path(DATA_DIRECTORY) / folder).glob("*.yml"))
    if not files:
        raise DataError("the package chatterbot-corpus holds no such language", source=folder)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    topics: dict[str, list[list[str]]] = {}
    for file in files:
        content = yaml.load(file.read_text(encoding="utf-8-sig"), Loader=loader)
        topics[file.stem] = [[str(turn) for turn in dialogue] for dialogue in content["conversations"]]
    return topics
