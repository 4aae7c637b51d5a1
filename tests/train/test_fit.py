"""Training from records to a model that answers: tasks, choices, notes, files, reproducibility."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_training import order_pairs, records, small

from unrolled.data import Record
from unrolled.errors import DataError, TrainingError
from unrolled.runtime import load, load_model
from unrolled.train import Epoch, fit


class Listener:
    """Keeps what a training tells."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.rows: list[Epoch] = []
        self.calls: list[str] = []
        self.losses: list[float] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def start(self, steps: int, done: int) -> None:
        self.calls.append(f"start {steps} {done}")

    def step(self, loss: float, tokens: int) -> None:
        self.losses.append(loss)

    def epoch(self, row: Epoch, score: str) -> None:
        self.rows.append(row)

    def stop(self) -> None:
        self.calls.append("stop")


def test_order_is_learned_and_the_model_folder_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "model"
    dev = order_pairs(120, 2)
    listener = Listener()
    predictor = fit(
        small(epochs=6, average=0.9), records(order_pairs(500, 1)), records(dev), out=out, progress=listener
    )
    # Who sees only which words there are scores a half.
    accuracy = predictor.evaluate(dev)["accuracy"]
    assert accuracy > 0.95
    again = load(out)
    texts = [text for text, _ in dev]
    np.testing.assert_array_equal(again.probabilities(texts), predictor.probabilities(texts))
    info = again.info()
    assert info["metrics"]["dev"]["accuracy"] == pytest.approx(accuracy)
    assert info["training"]["data"]["train"]["rows"] == 500
    assert info["training"]["label_counts"].keys() == {"sunny", "wet"}
    assert sum(info["training"]["label_counts"].values()) == 500
    assert not (out / "checkpoint").exists()
    with (out / "training" / "log.csv").open() as file:
        table = list(csv.DictReader(file))
    logged = json.loads((out / "training" / "log.json").read_text())
    assert [int(row["epoch"]) for row in table] == [1, 2, 3, 4, 5, 6]
    assert [row["dev_score"] for row in logged["epochs"]] == [float(row["dev_score"]) for row in table]
    assert logged["score"] == "accuracy"
    assert (out / "training" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    steps = len(listener.losses)
    assert listener.calls[0] == f"start {steps} 0" and "stop" in listener.calls
    assert [row.epoch for row in listener.rows] == [1, 2, 3, 4, 5, 6]
    assert {entry.name for entry in out.iterdir()} == {
        "model.json",
        "tokenizer.json",
        "weights.safetensors",
        "training",
    }


def test_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    def weights(seed: int) -> dict[str, np.ndarray]:
        pairs = order_pairs(150, 1)
        state = torch.get_rng_state()
        predictor = fit(small(seed=seed, members=2, epochs=2), records(pairs), records(pairs[:30]))
        assert torch.equal(torch.get_rng_state(), state)  # the caller's random numbers are left alone
        return predictor._model.weights

    one, two, other = weights(1), weights(1), weights(2)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
        # The n-grams and the wide part follow from the texts alone.
        by_chance = name.startswith("members.")
        assert np.array_equal(one[name], other[name]) is not by_chance
    assert not np.array_equal(one["members.0.output.weight"], one["members.1.output.weight"])


@pytest.mark.parametrize("model", ["gru", "rnn", "cnn", "mlp"])
def test_every_model_trains(model: str) -> None:
    pairs = [
        ("good " + text, "1") if label == "sunny" else ("bad " + text, "0")
        for text, label in order_pairs(150, 4)
    ]
    predictor = fit(small(model=model, epochs=4), records(pairs), records(pairs[:50]))
    assert predictor.evaluate(pairs)["accuracy"] > 0.9


def test_several_labels_a_text() -> None:
    generator = random.Random(0)

    def rows(count: int) -> list[tuple[str, list[str]]]:
        words = ["red", "green", "blue"]
        chosen = [[word for word in words if generator.random() < 0.4] for _ in range(count)]
        return [(" ".join([*some, generator.choice(["x", "y", "z"])]), some) for some in chosen]

    train, dev = rows(300), rows(80)
    dev[0] = (dev[0][0], ["purple"])
    listener = Listener()
    options = small(task="multi", epochs=8, class_weights="balanced", label_smoothing=0.02)
    predictor = fit(options, records(train), records(dev), progress=listener)
    assert predictor.labels == ["blue", "green", "red"]
    assert sorted(predictor.predict(["red blue x"])[0].label) == ["blue", "red"]
    figures = predictor.evaluate(dev)
    assert figures["micro_f1"] > 0.9
    saved = predictor.info()["metrics"]["dev"]
    assert saved["micro_f1"] == pytest.approx(figures["micro_f1"])
    assert saved["macro_f1"] == pytest.approx(figures["macro_f1"])
    assert saved["exact_match"] == pytest.approx(figures["exact_match"])
    assert any("purple" in note for note in listener.messages)


def test_regression_in_the_units_of_the_data() -> None:
    generator = random.Random(0)
    counts = [generator.randint(0, 6) for _ in range(400)]
    rows: list[tuple[str, Any]] = [
        (" ".join(["up"] * count + ["end"]), 1000.0 + 50 * count) for count in counts
    ]
    predictor = fit(small(task="regression", epochs=15), records(rows[:300]), records(rows[300:]))
    figures = predictor.evaluate(rows[300:])
    assert figures["rmse"] < 30  # the spread of the data is 100
    assert predictor.info()["metrics"]["dev"]["rmse"] == pytest.approx(figures["rmse"], rel=1e-3)
    assert predictor.labels == []


def test_without_dev_data_a_tenth_is_held_out() -> None:
    listener = Listener()
    pairs = order_pairs(200, 1)
    predictor = fit(small(epochs=1), records(pairs), progress=listener)
    assert any("20 of 200 training rows are held out" in message for message in listener.messages)
    data = predictor.info()["training"]["data"]
    assert data["dev"]["rows"] == 20 and data["train"]["rows"] == 200
    assert sum(predictor.info()["training"]["label_counts"].values()) == 180


def test_too_few_rows_for_a_dev_part_are_said() -> None:
    listener = Listener()
    predictor = fit(small(epochs=1), records(order_pairs(12, 1)), progress=listener)
    assert any("say nothing about new texts" in message for message in listener.messages)
    assert "train" in predictor.info()["metrics"] and "dev" not in predictor.info()["metrics"]
    assert predictor.info()["temperature"] == 1.0


def test_dev_texts_that_were_trained_on_and_unseen_labels_are_said() -> None:
    pairs = order_pairs(60, 1)
    dev = [*pairs[:5], ("something else", "foggy"), ("sun then rain", "sunny")]
    listener = Listener()
    predictor = fit(small(epochs=1), records(pairs), records(dev), progress=listener)
    assert any("5 of 7 dev texts also stand" in message for message in listener.messages)
    assert any("1 of 7 dev rows" in m and "foggy" in m and "count as wrong" in m for m in listener.messages)
    figures = predictor.evaluate(dev)
    assert predictor.info()["metrics"]["dev"]["accuracy"] == pytest.approx(figures["accuracy"])
    assert predictor.info()["metrics"]["dev"]["macro_f1"] == pytest.approx(figures["macro_f1"])


@pytest.mark.parametrize(
    ("task", "rows", "words"),
    [
        ("single", [("a", "x"), ("b", "x")], "every row has the label 'x'"),
        ("multi", [("a", ["x"]), ("b", ["x"])], "every row has the same labels"),
        ("multi", [("a", []), ("b", [])], "every row has the same labels"),
        ("regression", [("a", 2.5), ("b", 2.5)], "every row has the value 2.5"),
    ],
)
def test_nothing_to_learn(task: str, rows: list[tuple[str, Any]], words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        fit(small(task=task), records(rows), names=("file.tsv", ""))


def test_nothing_to_learn_in_what_the_held_out_rows_leave() -> None:
    numbers = [2.0] * 29 + [3.0]
    messages = set()
    for seed in range(40):  # in some of them the one row that differs is held out
        pairs = [(f"text {row}", number) for row, number in enumerate(numbers)]
        try:
            fit(small(task="regression", seed=seed, epochs=1), records(pairs), names=("file.tsv", ""))
        except TrainingError as error:
            messages.add(str(error))
            break
    assert len(messages) == 1
    message = messages.pop()
    assert message.startswith("file.tsv without the rows held out for dev: every row has the value 2")
    assert "give dev data of its own" in message


def test_no_rows_and_no_labels() -> None:
    with pytest.raises(DataError, match=r"file\.tsv: there are no rows"):
        fit(small(), [], names=("file.tsv", "dev"))
    with pytest.raises(DataError, match=r"file\.tsv:2: a label is needed"):
        fit(small(), records([("a", "x"), ("b", None)]), names=("file.tsv", "dev"))


def test_training_stops_when_the_dev_score_stands_still(tmp_path: Path) -> None:
    generator = random.Random(1)
    noise = [(text, generator.choice("01")) for text, _ in order_pairs(60, 1)]
    listener = Listener()
    out = tmp_path / "m"
    fit(small(epochs=40, patience=2), records(noise[:40]), records(noise[40:]), out=out, progress=listener)
    rows = listener.rows
    assert len(rows) < 40
    best = max(row.epoch for row in rows if row.best)
    assert len(rows) == best + 2
    assert load(out).info()["training"]["best_epoch"] == [best]
    # The weights are those of the best epoch, not of the last one.
    assert load(out).info()["metrics"]["dev"]["network_alone"] == pytest.approx(rows[best - 1].dev_score)


def test_a_loss_that_is_not_a_number_stops_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unrolled.train.objective import Objective

    steps = [0]
    plain = Objective.total

    def poisoned(self: Objective, logits: Any, numbers: Any, *, smoothing: bool = True) -> Any:
        steps[0] += smoothing
        return plain(self, logits, numbers, smoothing=smoothing) * (float("nan") if steps[0] == 15 else 1.0)

    monkeypatch.setattr(Objective, "total", poisoned)
    with pytest.raises(
        TrainingError, match=r"At step 15 the loss .* lower learning_rate \(now 0\.02; try 0\.005\)"
    ):
        fit(small(), records(order_pairs(150, 1)), records(order_pairs(20, 2)), out=tmp_path / "m")
    # Ten steps an epoch: the checkpoint of the first epoch is still there, and whole.
    index = json.loads((tmp_path / "m" / "checkpoint" / "checkpoint.json").read_text())
    assert index["content"]["steps"] == 10
    assert all((tmp_path / "m" / "checkpoint" / name).is_file() for name in [index["state"], *index["kept"]])
    assert not (tmp_path / "m" / "checkpoint" / "corpus").exists()


def test_a_training_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Record]:
        yield from records(order_pairs(30, 1))
        raise DataError("bad row", source="x.csv", line=31)

    mine = tmp_path / "mine"
    mine.mkdir()
    for out in (tmp_path / "m", mine):
        with pytest.raises(DataError, match="bad row"):
            fit(small(), broken(), out=out)
    monkeypatch.setattr("unrolled.train.loop.learning_rate", lambda *_: float("nan"))
    with pytest.raises(TrainingError, match="At step 2"):
        fit(small(), records(order_pairs(60, 1)), out=tmp_path / "m")
    assert sorted(tmp_path.rglob("*")) == [mine]


def test_a_model_in_the_way_is_never_lost(tmp_path: Path) -> None:
    out = tmp_path / "m"
    pairs = records(order_pairs(40, 1))
    fit(small(epochs=1), pairs, pairs, out=out)
    before = (out / "weights.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="holds a model already"):
        fit(small(epochs=1, seed=5), pairs, pairs, out=out)
    with pytest.raises(TrainingError, match="finished, there is nothing to resume"):
        fit(small(epochs=1), pairs, pairs, out=out, resume=True)
    with pytest.raises(DataError):
        fit(small(epochs=1, seed=5), [], None, out=out, overwrite=True)
    assert (out / "weights.safetensors").read_bytes() == before
    fit(small(epochs=1, seed=5), pairs, pairs, out=out, overwrite=True)
    assert (out / "weights.safetensors").read_bytes() != before
    assert load_model(out).manifest.options.seed == 5
    assert not (out / "checkpoint").exists()


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(TrainingError, match=r"other files \('thesis\.txt'\)"):
        fit(small(), records(order_pairs(40, 1)), out=tmp_path, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(TrainingError, match="needs a folder"):
        fit(small(), records(order_pairs(40, 1)), out=tmp_path / "model.zip")


def test_word_vectors_start_the_table_and_can_be_frozen(tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    numbers = {"sun": np.linspace(-1, 1, 12), "rain": np.linspace(1, 0, 12)}
    file.write_text(
        "3 12\n"
        + "".join(f"{w} {' '.join(map(str, v))}\n" for w, v in [*numbers.items(), ("quark", numbers["sun"])])
    )
    pairs = records(order_pairs(60, 1))
    listener = Listener()
    frozen = fit(small(vectors=str(file), freeze_vectors=True), pairs, pairs, progress=listener)
    tuned = fit(small(vectors=str(file)), pairs, pairs)
    assert any(message.startswith("2 of ") for message in listener.messages)
    for word, vector in numbers.items():
        index = frozen.tokenizer.token_to_id(word)
        name = "members.0.embedding.weight"
        np.testing.assert_allclose(frozen._model.weights[name][index], vector, atol=1e-3)
        assert np.abs(tuned._model.weights[name][index] - vector).max() > 5e-3
    with pytest.raises(
        DataError, match=r"vectors\.txt: its vectors have 12 numbers, but embed_dim is 8: set"
    ):
        fit(small(vectors=str(file), embed_dim=8), pairs, pairs)


def test_a_damaged_or_missing_file_of_vectors(tmp_path: Path) -> None:
    pairs = records(order_pairs(30, 1))
    damaged = tmp_path / "vectors.gz"
    packed = bytearray(gzip.compress(b"sun " + b"1 " * 400))
    packed[10:20] = b"\xff" * 10
    damaged.write_bytes(packed)
    with pytest.raises(DataError, match=r"vectors\.gz: corrupt gzip data"):
        fit(small(vectors=str(damaged)), pairs, pairs)

    def unread() -> Iterator[Record]:
        raise AssertionError("the data was read first")
        yield

    with pytest.raises(DataError, match=r"none\.vec: there is no such file"):
        fit(small(vectors=str(tmp_path / "none.vec")), unread(), out=tmp_path / "m")
    with pytest.raises(DataError, match="is a folder without word vectors"):
        fit(small(vectors=str(tmp_path)), unread())
    assert not (tmp_path / "m").exists()
