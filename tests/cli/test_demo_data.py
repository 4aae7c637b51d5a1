"""The demo's split: nothing held out was seen in training; and its comparisons are proper ones."""

from __future__ import annotations

import importlib
import random
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.cli.demo_baselines import bag_of_words, majority
from unrolled.cli.demo_data import LANGUAGES, MIN_FAMILIES, MIN_UTTERANCES, load_split, split_dialogues
from unrolled.errors import MissingExtraError

DIALOGUES = st.dictionaries(
    st.sampled_from("abcd"),
    st.lists(st.lists(st.sampled_from("stuvwxyz"), min_size=1, max_size=3), max_size=12),
)


def plain(text: str) -> str:
    return "".join(re.findall(r"\w", text.lower()))


@given(DIALOGUES)
def test_no_dialogue_lies_in_two_parts(topics: dict[str, list[list[str]]]) -> None:
    split = split_dialogues(topics, min_utterances=1, min_families=1)
    parts = [set(part) for part in (split.train, split.dev, split.test)]
    assert len(set().union(*parts)) == sum(map(len, (split.train, split.dev, split.test)))
    owner = {pair: number for number, part in enumerate(parts) for pair in part}
    for topic, dialogues in topics.items():
        for dialogue in dialogues:
            assert len({owner[turn, topic] for turn in dialogue if (turn, topic) in owner}) <= 1


@given(DIALOGUES)
def test_utterances_of_several_topics_are_left_out_and_counted(topics: dict[str, list[list[str]]]) -> None:
    split = split_dialogues(topics, min_utterances=1, min_families=1)
    owners: dict[str, set[str]] = {}
    for topic, dialogues in topics.items():
        for turn in (turn for dialogue in dialogues for turn in dialogue):
            owners.setdefault(turn, set()).add(topic)
    kept = {text for part in (split.train, split.dev, split.test) for text, _ in part}
    assert kept == {turn for turn, names in owners.items() if len(names) == 1}
    assert split.ambiguous == sum(len(names) > 1 for names in owners.values())
    assert split.distinct == len(owners)


def test_spelling_variants_are_one_utterance() -> None:
    split = split_dialogues(
        {"t": [["What is  AI?"], ["what is ai"], ["Ｗhat is AI!!"]]}, min_utterances=1, min_families=1
    )
    assert sum(map(len, (split.train, split.dev, split.test))) == split.distinct == 1


def test_small_topics_are_dropped_and_named() -> None:
    many = [[f"question {number}"] for number in range(60)]
    split = split_dialogues(
        {"large": many, "small": [["only one"]], "one family": [["x", str(n)] for n in range(99)]}
    )
    assert split.dropped == {"small": 1, "one family": 100}
    assert split.topics == {"large": 60}
    assert len(split.test) == 12
    assert len(split.dev) == 9


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_package_gives_a_clean_split(language: str) -> None:
    pytest.importorskip("chatterbot_corpus")
    split = load_split(language)
    keys = [{plain(text) for text, _ in part} for part in (split.train, split.dev, split.test)]
    assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]
    assert all(count >= MIN_UTTERANCES for count in split.topics.values())
    assert split.families >= MIN_FAMILIES * len(split.topics)
    total = sum(split.topics.values())
    assert 0.15 < len(split.test) / total < 0.25
    assert {topic for _, topic in split.train} == {topic for _, topic in split.test} == set(split.topics)
    assert all(
        text and "\n" not in text and "\t" not in text
        for part in (split.train, split.test)
        for text, _ in part
    )
    assert load_split(language) == split


def test_a_missing_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chatterbot_corpus.corpus", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'unrolled\[demo\]'"):
        load_split("en")


def test_majority_is_the_share_of_the_commonest_label_of_training() -> None:
    train = [("", "b"), ("", "a"), ("", "b")]
    found = majority(train, [("", "a")], [("", "b"), ("", "a"), ("", "a"), ("", "b")])
    assert (found.setting, found.dev, found.test) == ("b", 0.0, 0.5)


def test_bag_of_words_learns_words_but_not_their_order() -> None:
    rng = random.Random(0)
    words = {"x": ["red", "green", "blue"], "y": ["one", "two", "three"]}

    def rows(count: int) -> list[tuple[str, str]]:
        return [
            (" ".join(rng.choices(words[label] + ["and"], k=4)), label)
            for label in rng.choices("xy", k=count)
        ]

    clear = [pair for pair in rows(200) if pair[0] != "and and and and"]
    found = bag_of_words(clear[:120], clear[120:150], clear[150:], str.split)
    assert found.test == 1.0
    ordered = [("dog bites man", "x"), ("man bites dog", "y")] * 30
    assert bag_of_words(ordered, ordered, ordered, str.split).test == 0.5


def test_bag_of_words_reaches_the_optimum_of_its_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("unrolled.cli.demo_baselines")
    monkeypatch.setattr(module, "_STEPS", 3000)
    rng = np.random.default_rng(0)
    x = rng.random((40, 6)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x[:, -1] = 1
    y = rng.integers(0, 3, 40)
    penalty = 0.01
    weights = module._fit(x, y, 3, penalty).astype(np.float64)

    def objective(w: np.ndarray) -> float:
        scores = x @ w
        log_sum = np.log(np.exp(scores).sum(1))
        return float((log_sum - scores[np.arange(40), y]).mean() + penalty / 2 * (w[:-1] ** 2).sum())

    step = 1e-4
    for index in np.ndindex(weights.shape):
        change = np.zeros_like(weights)
        change[index] = step
        slope = (objective(weights + change) - objective(weights - change)) / (2 * step)
        assert abs(slope) < 1e-4
