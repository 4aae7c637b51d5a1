"""Training a tagger: it learns what needs order, repeats bit for bit, and goes on after a stop."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unrolled.errors import DataError, OptionError, TrainingError
from unrolled.interrupt import TrainingInterrupted
from unrolled.models.tagger import WordTagger
from unrolled.options import TaggerOptions
from unrolled.runtime import SavedModel, load_model
from unrolled.train import Silent, fit_tagger
from unrolled.train.tag_joint import fit_outside
from unrolled.train.tag_objective import TagObjective
from unrolled.train.tagged_corpus import UNSEEN, TagTargets, build_tagged_corpus

SMALL: dict[str, Any] = {
    "hidden": 12,
    "embed_dim": 12,
    "char_dim": 6,
    "char_hidden": 6,
    "ngram_max": 2,
    "ngram_buckets": 500,
    "ngram_min_freq": 2,
    "layers": 1,
    "batch_size": 16,
    "epochs": 12,
    "learning_rate": 0.02,
    "average": 0.9,
}


@dataclass(frozen=True)
class Sentence:
    words: tuple[str, ...]
    tags: tuple[str, ...]


def sentences(count: int, seed: int) -> list[Sentence]:
    """After "in" a capitalised word is a place, after "says" a person: only the order tells which."""
    generator = random.Random(seed)
    made = []
    for _ in range(count):
        words: list[str] = []
        tags: list[str] = []
        for _ in range(generator.randint(1, 3)):
            words += [generator.choice("abcdefgh") * 3, generator.choice(["in", "says"])]
            kind = "place" if words[-1] == "in" else "person"
            tags += ["O", "O"]
            names = [generator.choice("KLMNPR") + generator.choice("aeiou") * 2 for _ in range(2)]
            size = generator.randint(1, 2)
            words += names[:size]
            tags += [f"B-{kind}", f"I-{kind}"][:size]
        made.append(Sentence(tuple(words), tuple(tags)))
    return made


def small(**changes: Any) -> TaggerOptions:
    return TaggerOptions.of("fast", **SMALL | changes)


def same(one: SavedModel, other: SavedModel) -> bool:
    return one.weights.keys() == other.weights.keys() and all(
        np.array_equal(one.weights[name], other.weights[name]) for name in one.weights
    )


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_it_learns_what_needs_order(output: str) -> None:
    model = fit_tagger(small(output=output), sentences(200, 1), sentences(60, 2))
    assert model.info()["metrics"]["dev"]["span_f1"] > 0.9
    words = ["bbb", "in", "Kaa", "Loo", "ccc", "says", "Kaa"]
    (found,) = model.predict([words])
    assert [(span.start, span.end, span.label) for span in found.spans] == [(2, 4, "place"), (6, 7, "person")]
    assert found.tags == ["O", "O", "B-place", "I-place", "O", "O", "B-person"]
    assert all(0 < p <= 1 for p in found.probabilities)


def test_plain_tags_take_softmax_and_spans_a_crf() -> None:
    plain = [
        Sentence(s.words, tuple("N" if w[0].isupper() else "x" for w in s.words)) for s in sentences(60, 1)
    ]
    model = fit_tagger(small(epochs=6), plain, plain)
    assert not model.info()["crf"]
    assert model.predict([["Kaa", "bbb"]])[0].tags == ["N", "x"]
    assert model.labels == ["N", "x"]
    assert fit_tagger(small(epochs=1), sentences(60, 1)).info()["crf"]


@pytest.mark.parametrize("scheme", ["bio", "iob1", "bioes"])
def test_tags_come_back_in_the_scheme_of_the_data(scheme: str) -> None:
    from unrolled.data.spans import decode_spans, encode_spans

    data = [
        Sentence(s.words, tuple(encode_spans(decode_spans(s.tags, "bio"), len(s.words), scheme)))
        for s in sentences(100, 1)
    ]
    model = fit_tagger(small(), data, data, scheme=scheme)
    assert model.tag_words([data[0].words, (), data[1].words]) == [list(data[0].tags), [], list(data[1].tags)]


def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path: Path) -> None:
    models = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        fit_tagger(small(epochs=2, seed=seed), sentences(60, 1), out=tmp_path / name)
        models.append(load_model(tmp_path / name))
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


class StopAfter(Silent):
    """Asks for a stop, as Ctrl-C does, after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, loss: float, tokens: int) -> None:
        import os
        import signal

        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("steps", [2, 6, 13])
def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path, steps: int) -> None:
    options = small(epochs=2, members=2)
    train, dev = sentences(60, 1), sentences(20, 2)
    fit_tagger(options, train, dev, out=tmp_path / "whole")
    with pytest.raises(TrainingInterrupted):
        fit_tagger(options, train, dev, out=tmp_path / "parts", progress=StopAfter(steps))
    assert not (tmp_path / "parts" / "model.json").exists()
    with pytest.raises(TrainingError, match="other data or options"):
        fit_tagger(options, train[:-1], dev, out=tmp_path / "parts", resume=True)
    fit_tagger(options, train, dev, out=tmp_path / "parts", resume=True)
    assert same(load_model(tmp_path / "whole"), load_model(tmp_path / "parts"))
    assert not (tmp_path / "parts" / "checkpoint").exists()


def test_word_dropout_makes_a_known_word_an_unknown_one() -> None:
    options = small(word_dropout=0.95, ngram_dropout=0.0, embed_dropout=0.0, dropout=0.0)
    corpus = build_tagged_corpus(options, sentences(60, 1), None)
    model: WordTagger = TagObjective(options, corpus).model(options, corpus)
    batch = corpus.train.input(np.arange(4))
    encoded = batch.encoded(batch.rows)
    torch.manual_seed(0)
    weights = model._row_weights(encoded, encoded.counts.cumsum(0) - encoded.counts, model.embedding.weight)
    assert weights is not None
    starts = np.cumsum(batch.counts) - batch.counts
    for start, count, own in zip(starts, batch.counts, batch.own, strict=True):
        first, rest = weights[start : start + own], weights[start + own : start + count]
        assert first.unique().numel() <= 1  # all of its own rows or none
        assert (rest == 1).all()
    assert 0 < float((weights == 0).sum()) < len(weights)


def test_what_cannot_be_learned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sentence"):
        fit_tagger(small(), [], out=tmp_path / "m")
    with pytest.raises(TrainingError, match="nothing to tell apart"):
        fit_tagger(small(), [Sentence(("a", "b"), ("x", "x"))] * 30, out=tmp_path / "m")
    with pytest.raises(DataError, match="dev: its tags are plain tags, but those of the training data"):
        fit_tagger(small(), sentences(30, 1), [Sentence(("a",), ("N",))], out=tmp_path / "m")
    with pytest.raises(OptionError, match="Did you mean 'hidden'"):
        TaggerOptions.of("fast", hiden=3)
    with pytest.raises(OptionError, match="no effect with characters 'none'"):
        TaggerOptions.of("fast", characters="none", char_dim=3)
    with pytest.raises(OptionError, match="-1 for the usual one"):
        TaggerOptions.of("accurate", dropout=-0.5)
    assert not (tmp_path / "m").exists()


def test_usual_dropouts_depend_on_the_kind_of_tags() -> None:
    assert TaggerOptions.of("accurate").for_task(spans=True).word_dropout == 0.5
    assert TaggerOptions.of("accurate").for_task(spans=False).word_dropout == 0.2
    assert TaggerOptions.of("accurate", word_dropout=0.1, dropout=0.0).for_task(spans=True).dropout == 0.0


def test_dev_tags_that_training_does_not_know_count_as_wrong() -> None:
    plain = [Sentence(("Kaa", "bbb"), ("N", "x"))] * 40
    model = fit_tagger(small(epochs=8), plain, [*plain, Sentence(("Kaa", "bbb"), ("N", "new"))])
    assert model.info()["metrics"]["dev"]["accuracy"] == pytest.approx(81 / 82)


def test_corpus_numbers() -> None:
    corpus = build_tagged_corpus(small(), sentences(40, 1), [Sentence(("Kaa",), ("B-other",))])
    assert corpus.labels == sorted(corpus.labels)
    assert {"O", "S-place", "B-person", "E-person"} <= set(corpus.labels)
    assert corpus.dev.targets.values.tolist() == [UNSEEN]
    part = corpus.train
    chosen = np.array([5, 0, 7])
    assert part.targets.select(chosen).values.tolist() == part.targets.values[part.places(chosen)].tolist()
    assert part.input(chosen).lengths.tolist() == part.lengths[chosen].tolist()


def test_a_wide_part_that_does_not_count_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unrolled.train.tag_joint.SHARES", (0.0,))
    trained = fit_tagger(small(epochs=2), sentences(60, 1), sentences(20, 2), out=tmp_path / "m")
    saved = load_model(tmp_path / "m")
    assert saved.weights["wide.weight"].shape[0] == 0
    assert trained.info()["wide"] == {"rows": 0, "network_share": 1.0, "wide_share": 0.0}
    figures = trained.info()["metrics"]["dev"]
    assert trained.evaluate(sentences(20, 2))["f1"] == pytest.approx(figures["span_f1"])


def test_outside_is_fitted_for_f1() -> None:
    labels = ["O", "S-x"]
    targets = TagTargets(np.array([1, 1, 0, 0]), np.array([4]))
    timid = np.array([[1.0, 0.0], [0.6, 0.0], [2.0, 0.0], [3.0, 0.0]], dtype=np.float32)
    assert fit_outside(labels, timid, targets, None) == pytest.approx(-1.1)
    sure = np.array([[0.0, 1.0], [0.0, 2.0], [2.0, 0.0], [3.0, 0.0]], dtype=np.float32)
    assert fit_outside(labels, sure, targets, None) == 0.0
