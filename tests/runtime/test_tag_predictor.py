"""A saved tagger answers as the trained one, with and without the engine, and refuses what was changed."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import unrolled
from unrolled import engine
from unrolled.data.spans import allowed_transitions
from unrolled.data.tagged import open_tagged
from unrolled.errors import DataError, ModelFileError, OptionError
from unrolled.options import TaggerOptions
from unrolled.runtime import Predictor, TagPredictor, load_model, save_model
from unrolled.runtime.tag_network import TagNetwork
from unrolled.runtime.word_memory import WordMemory
from unrolled.text.batch import SequenceBatch
from unrolled.train import fit_tagger
from unrolled.train.tag_objective import TagObjective
from unrolled.train.tagged_corpus import build_tagged_corpus

SMALL: dict[str, Any] = {
    "hidden": 10,
    "embed_dim": 8,
    "char_dim": 5,
    "char_hidden": 6,
    "ngram_buckets": 300,
    "ngram_min_freq": 1,
    "epochs": 3,
    "learning_rate": 0.02,
    "batch_size": 8,
    "average": 0.9,
}


@dataclass(frozen=True)
class Sentence:
    words: tuple[str, ...]
    tags: tuple[str, ...]


DATA = [
    Sentence(("Kim", "works", "in", "New", "York", "."), ("B-per", "O", "O", "B-loc", "I-loc", "O")),
    Sentence(("김철수", "서울", "간다"), ("B-per", "B-loc", "O")),
    Sentence(("hello", "!"), ("O", "O")),
    Sentence(("Lee", "left", "Busan"), ("B-per", "O", "B-loc")),
] * 10
SENTENCES = [["Kim", "left", "Seoul"], [], ["?"], ["서울", "Kim", "unseen", "New", "York"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tagger") / "names"
    fit_tagger(TaggerOptions.of("fast", **SMALL, members=2), DATA, DATA, out=out)
    return out


def scores(predictor: TagPredictor, sentences: list[list[str]]) -> np.ndarray:
    words = [word for sentence in sentences for word in sentence]
    places, tables = predictor._memory.find(words, len(words))
    lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
    return predictor._scores(tables, SequenceBatch(places, lengths))


@pytest.mark.parametrize(
    "changes", [{}, {"model": "gru"}, {"model": "rnn", "layers": 1}, {"characters": "none"}]
)
def test_numpy_twin_gives_the_scores_of_the_torch_model(changes: dict[str, Any]) -> None:
    plain = {k: v for k, v in SMALL.items() if not (changes.get("characters") and k.startswith("char_"))}
    options = TaggerOptions.of("fast", **plain | changes).for_task(spans=True)
    corpus = build_tagged_corpus(options, DATA, None)
    torch.manual_seed(1)
    model = TagObjective(options, corpus).model(options, corpus).eval()
    batch = corpus.train.input(np.arange(6))
    expected = model(batch.encoded(batch.rows)).detach().numpy()
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    network = TagNetwork(options, weights)
    words = [word for number in corpus.train.chosen[:6] for word in DATA[number].words]
    vectors = network.word_vectors(corpus.features.encode(words))
    order = np.arange(len(words), dtype=np.int32)
    found = network.scores(vectors, SequenceBatch(order, corpus.train.lengths[:6]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_without_the_engine_the_answers_are_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = TagPredictor(load_model(folder))
    whole = scores(expected, SENTENCES)
    answers = expected.predict(SENTENCES)
    monkeypatch.setattr(engine.library, "available", lambda: False)
    monkeypatch.setattr(engine, "available", lambda: False)
    without = TagPredictor(load_model(folder))
    np.testing.assert_allclose(scores(without, SENTENCES), whole, atol=1e-4)
    assert [answer.tags for answer in without.predict(SENTENCES)] == [answer.tags for answer in answers]


def test_load_gives_a_tagger_and_a_classifier_is_none(folder: Path) -> None:
    model = unrolled.load(folder)
    assert isinstance(model, TagPredictor)
    assert model.labels == ["loc", "per"]
    assert model.info()["scheme"] == "bio"
    with pytest.raises(ModelFileError, match="not a classifier"):
        Predictor(load_model(folder))


def test_answers_do_not_depend_on_neighbours_nor_on_what_was_asked_before(folder: Path) -> None:
    together = unrolled.load(folder).predict(SENTENCES * 3)
    for number, sentence in enumerate(SENTENCES):
        (alone,) = unrolled.load(folder).predict([sentence])
        assert together[number].tags == together[number + len(SENTENCES)].tags == alone.tags
        np.testing.assert_allclose(together[number].probabilities, alone.probabilities, atol=1e-5)
    assert [answer.tags for answer in together[: len(SENTENCES)]] == unrolled.load(folder).tag_words(
        SENTENCES
    )


def test_spans_of_a_string_stand_in_the_string(folder: Path) -> None:
    model = unrolled.load(folder)
    text = "  Kim  works in New York."
    (answer,) = model.predict([text])
    assert answer.offsets is not None
    assert [text[start:end] for start, end in answer.offsets] == answer.words
    for span in answer.spans:
        assert text[span.start_char : span.end_char] == span.text
    assert {span.label for span in answer.spans} == {"per", "loc"}


def test_zip_and_copy_answer_the_same(folder: Path, tmp_path: Path) -> None:
    model = unrolled.load(folder)
    model.save(tmp_path / "names.zip")
    model.save(tmp_path / "copy")
    for path in (tmp_path / "names.zip", tmp_path / "copy"):
        assert unrolled.load(path).predict(SENTENCES) == model.predict(SENTENCES)


def test_tags_obey_the_scheme(folder: Path) -> None:
    generator = np.random.default_rng(0)
    words = [word for sentence in DATA[:4] for word in sentence.words]
    sentences = [list(generator.choice(words, generator.integers(1, 9))) for _ in range(50)]
    model = unrolled.load(folder)
    allowed, start, end = allowed_transitions(model._tags, "bioes")
    flat, place = model._tag(sentences)[0].tolist(), 0
    for sentence in sentences:
        own = flat[place : place + len(sentence)]
        place += len(sentence)
        assert start[own[0]]
        assert end[own[-1]]
        assert all(allowed[a, b] for a, b in itertools.pairwise(own))


def test_evaluate_counts_spans_and_refuses_plain_tags(folder: Path) -> None:
    model = unrolled.load(folder)
    figures = model.evaluate(open_tagged([(list(s.words), list(s.tags)) for s in DATA]))
    assert figures["task"] == "tag"
    assert figures["f1"] == pytest.approx(model.info()["metrics"]["dev"]["span_f1"])
    with pytest.raises(DataError, match="the model gives spans"):
        model.evaluate(open_tagged([(["a", "b"], ["N", "V"])]))


def test_unknown_words_are_those_that_training_did_not_have(tmp_path: Path) -> None:
    plain = [Sentence(s.words, tuple("N" if w[0].isupper() else "x" for w in s.words)) for s in DATA]
    model = fit_tagger(TaggerOptions.of("fast", **SMALL), plain, plain, out=tmp_path / "m")
    figures = model.evaluate([Sentence(("Kim", "kim", "??"), ("N", "N", "x"))])
    assert figures["unknown_words"] == 2


def test_fixed_vectors_are_part_of_the_model(tmp_path: Path) -> None:
    vectors = {"kim": [1, 0, 0], "Seoul": [0, 1, 0], "busan": [0, 2, 0]}
    lines = [f"{word} {' '.join(map(str, vector))}" for word, vector in vectors.items()]
    (tmp_path / "v.txt").write_text("\n".join([f"{len(vectors)} 3", *lines]) + "\n")
    options = TaggerOptions.of("fast", **SMALL, vectors=str(tmp_path / "v.txt"))
    model = fit_tagger(options, DATA, DATA, out=tmp_path / "m")
    (tmp_path / "v.txt").unlink()
    again = unrolled.load(tmp_path / "m")
    assert again.predict(SENTENCES) == model.predict(SENTENCES)
    places, (table, _) = again._memory.find(["Seoul", "Busan", "nothing"], 3)
    assert table[places, -3:].tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]


def change(name: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    def apply(content: dict[str, Any]) -> None:
        target = content[name] if name else content
        for key, value in values.items():
            target[key] = value

    return apply


@pytest.mark.parametrize(
    "damage",
    [
        change("", scheme="biox"),
        change("", crf="yes"),
        change("", by_character=1),
        change("", characters=2),
        change("", outside=float(10**6)),
        change("", labels=["O"]),
        change("", labels=["O", "O"]),
        change("", fixed={"words": -1, "dim": 3}),
        change("", fixed={"words": 4, "dim": 0}),
        change("", table_rows=5),
        change("", ngram_rows=10**9),
        change("", task="seq2seq"),
        change("options", hidden=0),
        change("options", nothing=1),
        change("storage", embedding="int4"),
    ],
)
def test_a_manifest_that_was_changed_is_refused(
    folder: Path, tmp_path: Path, damage: Callable[[dict[str, Any]], None]
) -> None:
    model = load_model(folder)
    content = json.loads(json.dumps(model.manifest.raw))
    damage(content)
    with pytest.raises(ModelFileError):
        save_model(tmp_path / "m", content, model.tokenizer_json, model.weights)
    assert not (tmp_path / "m").exists()


def test_words_of_another_model_are_refused(folder: Path) -> None:
    model = load_model(folder)
    content = json.loads(model.tokenizer_json)
    content["lower"].append("one more")
    with pytest.raises(ModelFileError, match="do not belong together"):
        TagPredictor(replace(model, tokenizer_json=json.dumps(content)))
    content["lower"][-1] = content["lower"][0]
    with pytest.raises(ModelFileError, match="comes twice"):
        TagPredictor(replace(model, tokenizer_json=json.dumps(content)))


def test_damaged_files_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "weights.safetensors"):
        place = tmp_path / name.partition(".")[0]
        shutil.copytree(folder, place)
        raw = bytearray((place / name).read_bytes())
        raw[len(raw) // 2] ^= 1
        (place / name).write_bytes(raw)
        with pytest.raises(ModelFileError, match="checksum"):
            unrolled.load(place)


def test_files_hold_half_precision_and_no_pickle(folder: Path) -> None:
    assert {entry.name for entry in folder.iterdir()} >= {
        "model.json",
        "tokenizer.json",
        "weights.safetensors",
    }
    weights = load_file(folder / "weights.safetensors")
    assert weights["members.0.encoder.weight_ih_l0"].dtype == np.float16
    assert weights["members.0.crf.transitions"].dtype == np.float32


def test_wrong_calls(folder: Path) -> None:
    model = unrolled.load(folder)
    with pytest.raises(TypeError, match="put it into a list"):
        model.predict("Kim works")
    with pytest.raises(TypeError, match="holds 3"):
        model.predict([["a", 3]])
    with pytest.raises(OptionError, match="batch_size"):
        list(model.predict_stream([], batch_size=0))
    assert model.predict([]) == []
    assert model.predict([""])[0].tags == []


def test_a_memory_that_is_full_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unrolled.runtime.word_memory.REMEMBERED", 3)
    calls: list[list[str]] = []

    def encode(words: Any) -> list[np.ndarray]:
        calls.append(list(words))
        return [np.array([[len(word)] for word in words], dtype=np.float32)]

    memory = WordMemory(encode)
    for words in (["a", "bb", "a"], ["ccc", "dddd"], ["a", "eeeee"], ["bb"]):
        places, (table,) = memory.find(words, len(words))
        assert table[places, 0].tolist() == [len(word) for word in words]
    assert calls == [["a", "bb"], ["ccc", "dddd"], ["a", "eeeee"], ["bb"]]
