"""Figures of tags and spans against seqeval, loops over their definitions, and examples worked by hand."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.data.spans import Span, decode_spans
from unrolled.runtime.tag_metrics import SpanScorer, TagScorer

TAGS = ["O", "B-A", "I-A", "B-B", "I-B"]
_pair = st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), max_size=12)
corpora = st.lists(_pair, min_size=1, max_size=6)


def scored(corpus: list[list[tuple[str, str]]]) -> SpanScorer:
    scorer = SpanScorer()
    for sentence in corpus:
        truth, guess = [true for true, _ in sentence], [guessed for _, guessed in sentence]
        scorer.add(decode_spans(truth, "bio"), decode_spans(guess, "bio"), len(sentence))
    return scorer


def by_hand(truth: str, predicted: str) -> dict[str, int]:
    pairs = list(zip(truth.split(), predicted.split(), strict=True))
    return {kind: count for kind, count in scored([pairs]).report()["errors"].items() if count}


@pytest.mark.parametrize("seed", range(4))
def test_spans_against_seqeval(seed: int) -> None:
    """Broken sequences too: seqeval reads them as conlleval does."""
    seqeval = pytest.importorskip("seqeval.metrics")
    chance = random.Random(seed)
    truth = [chance.choices(TAGS, k=chance.randrange(12)) for _ in range(100)]
    guess = [[chance.choice([tag, tag, chance.choice(TAGS)]) for tag in tags] for tags in truth]
    report = scored([list(zip(*sides, strict=True)) for sides in zip(truth, guess, strict=True)]).report()
    assert report["precision"] == pytest.approx(seqeval.precision_score(truth, guess))
    assert report["recall"] == pytest.approx(seqeval.recall_score(truth, guess))
    assert report["f1"] == pytest.approx(seqeval.f1_score(truth, guess))
    assert 0 < report["f1"] < 1
    table = seqeval.classification_report(truth, guess, output_dict=True)
    for kind, scores in report["per_type"].items():
        assert scores["precision"] == pytest.approx(table[kind]["precision"])
        assert scores["recall"] == pytest.approx(table[kind]["recall"])
        assert scores["f1"] == pytest.approx(table[kind]["f1-score"])
        assert scores["support"] == table[kind]["support"]
    assert set(report["per_type"]) == {name for name in table if not name.endswith(" avg")}


@given(corpora)
def test_each_span_is_counted_once(corpus: list[list[tuple[str, str]]]) -> None:
    scorer = scored(corpus)
    report = scorer.report()
    errors = report["errors"]
    mixed = errors["wrong_type"] + errors["wrong_border"] + errors["wrong_type_and_border"]
    assert report["hits"] + mixed + errors["missed"] == report["support"]
    assert report["hits"] + mixed + errors["spurious"] == report["predicted"]
    assert report["support"] == sum(scores["support"] for scores in report["per_type"].values())
    assert report["words"] == sum(map(len, corpus)) and report["sentences"] == len(corpus)
    assert scorer.f1 == report["f1"]
    assert json.loads(json.dumps(report)) == report


@given(corpora)
def test_the_two_sides_mirror_each_other(corpus: list[list[tuple[str, str]]]) -> None:
    report = scored(corpus).report()
    mirror = scored([[(guess, true) for true, guess in sentence] for sentence in corpus]).report()
    assert report["precision"] == mirror["recall"] and report["f1"] == mirror["f1"]
    assert report["errors"]["wrong_type"] == mirror["errors"]["wrong_type"]


@pytest.mark.parametrize(
    ("truth", "predicted", "errors"),
    [
        ("B-A I-A O", "B-A I-A O", {}),
        ("B-A I-A O", "B-B I-B O", {"wrong_type": 1}),
        ("B-A I-A O", "B-A O O", {"wrong_border": 1}),
        ("B-A I-A O", "B-B O O", {"wrong_type_and_border": 1}),
        ("B-A I-A O", "O O B-A", {"missed": 1, "spurious": 1}),
        ("B-A I-A O", "O O O", {"missed": 1}),
        ("O O O", "B-A I-A O", {"spurious": 1}),
        ("B-A I-A I-A I-A", "B-A I-A O B-A", {"wrong_border": 1, "spurious": 1}),
        ("B-A O B-A O", "B-A I-A I-A O", {"wrong_border": 1, "missed": 1}),
        # the one of the same type is the partner, though the other shares more words
        ("B-A I-A I-A I-A", "B-B I-B I-B B-A", {"wrong_border": 1, "spurious": 1}),
        # one that is a hit is nobody's partner
        ("B-A B-B O", "B-A B-A O", {"wrong_type": 1}),
    ],
)
def test_kinds_of_errors(truth: str, predicted: str, errors: dict[str, int]) -> None:
    assert by_hand(truth, predicted) == errors


def test_spans_by_hand() -> None:
    scorer = SpanScorer()
    scorer.add([Span(0, 2, "PER"), Span(3, 4, "LOC")], [Span(0, 2, "PER"), Span(3, 4, "ORG")], 5)
    scorer.add([Span(0, 1, "LOC")], [], 2)
    scorer.add([], [Span(1, 2, "PER")], 3)
    report = scorer.report()
    assert (report["support"], report["predicted"], report["hits"]) == (3, 3, 1)
    assert report["precision"] == report["recall"] == pytest.approx(1 / 3)
    assert report["per_type"]["PER"] == {
        "precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1, "predicted": 2, "hits": 1,
    }  # fmt: skip
    assert report["per_type"]["LOC"]["recall"] == 0.0
    assert report["per_type"]["ORG"]["support"] == 0
    assert list(report["per_type"]) == ["LOC", "ORG", "PER"]
    assert (report["words"], report["sentences"]) == (10, 3)


def test_nothing_to_count() -> None:
    assert SpanScorer().report()["f1"] == 0.0
    report = TagScorer().report()
    assert report["accuracy"] == 0.0 and report["unknown_accuracy"] is None


_tagged = st.lists(
    st.lists(
        st.tuples(st.sampled_from("vwxyz"), st.sampled_from("NVA"), st.sampled_from("NVAB")), max_size=8
    ),
    min_size=1,
    max_size=6,
)


@given(_tagged)
def test_plain_tags_against_their_definitions(corpus: list[list[tuple[str, str, str]]]) -> None:
    known = {"v", "w", "x"}
    scorer = TagScorer(known)
    for sentence in corpus:
        words, truth, guess = ([row[side] for row in sentence] for side in range(3))
        scorer.add(words, truth, guess)
    report = scorer.report()
    flat = [row for sentence in corpus for row in sentence]
    right = [row for row in flat if row[1] == row[2]]
    new = [row for row in flat if row[0] not in known]
    assert report["words"] == len(flat)
    assert report["accuracy"] == pytest.approx(len(right) / len(flat) if flat else 0)
    assert report["unknown_words"] == len(new)
    if new:
        assert report["unknown_accuracy"] == pytest.approx(sum(row in right for row in new) / len(new))
    else:
        assert report["unknown_accuracy"] is None
    for tag, scores in report["per_tag"].items():
        hits = sum(row[1] == row[2] == tag for row in flat)
        said, was = sum(row[2] == tag for row in flat), sum(row[1] == tag for row in flat)
        assert scores["support"] == was
        assert scores["precision"] == pytest.approx(hits / said if said else 0)
        assert scores["recall"] == pytest.approx(hits / was if was else 0)
    wrong = [(row[1], row[2]) for row in flat if row[1] != row[2]]
    found = {(item["truth"], item["predicted"]): item["count"] for item in report["confusions"]}
    assert found == {pair: wrong.count(pair) for pair in wrong}
    counts = [item["count"] for item in report["confusions"]]
    assert counts == sorted(counts, reverse=True)
    assert json.loads(json.dumps(report)) == report


def test_plain_tags_by_hand() -> None:
    scorer = TagScorer({"the", "dog"})
    scorer.add(["the", "dog", "barks"], ["DET", "NOUN", "VERB"], ["DET", "NOUN", "NOUN"])
    scorer.add(["The", "dog"], ["DET", "NOUN"], ["DET", "VERB"])
    report = scorer.report()
    assert report["accuracy"] == pytest.approx(3 / 5)
    assert (report["unknown_words"], report["unknown_accuracy"]) == (2, 0.5)  # "barks" and "The", as written
    assert report["per_tag"]["NOUN"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert list(report["per_tag"]) == ["DET", "NOUN", "VERB"]
    assert report["confusions"] == [
        {"truth": "NOUN", "predicted": "VERB", "count": 1},
        {"truth": "VERB", "predicted": "NOUN", "count": 1},
    ]


def test_sides_of_unequal_length() -> None:
    with pytest.raises(ValueError, match="shorter"):
        TagScorer().add(["a", "b"], ["X", "Y"], ["X"])
