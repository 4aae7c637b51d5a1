"""The predictor against loops over the equations, token by token and text by text, and against torch."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import engine
from unrolled.data.records import Record
from unrolled.errors import DataError, ModelFileError, OptionError
from unrolled.options import ClassifierOptions
from unrolled.runtime import Prediction, Predictor, as_saved_model, embedding_bag, load, network
from unrolled.runtime import predictor as predictor_module
from unrolled.text.ngrams import NgramHasher
from unrolled.text.tokenizer import tokenizer_from_json

TEXTS = [
    "the film was good",
    "",
    "영화가 정말 재미있다 unseen words 그리고 more",
    "bad",
    "   ",
    "the film was bad , really bad and the film was long , very long , too long",
    "good good",
]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def run_direction(kind: str, xs: list[np.ndarray], w: list[np.ndarray]) -> list[np.ndarray]:
    w_ih, w_hh, b_ih, b_hh = w
    size = w_hh.shape[1]
    h = np.zeros(size)
    c = np.zeros(size)
    states = []
    for x in xs:
        a, b = w_ih @ x + b_ih, w_hh @ h + b_hh
        if kind == "rnn":
            h = np.tanh(a + b)
        elif kind == "lstm":
            i, f, g, o = np.split(a + b, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            r = sigmoid(a[:size] + b[:size])
            z = sigmoid(a[size : 2 * size] + b[size : 2 * size])
            n = np.tanh(a[2 * size :] + r * b[2 * size :])
            h = (1 - z) * n + z * h
        states.append(h)
    return states


def reference_scores(
    options: ClassifierOptions,
    tokenizer_json: str,
    weights: dict[str, np.ndarray],
    kept: list[int] | None,
    text: str,
) -> np.ndarray:
    """Scores of one text by one member, in float64."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    tokenizer = tokenizer_from_json(tokenizer_json)
    hasher = (
        NgramHasher(options.ngram_min, options.ngram_max, options.ngram_buckets)
        if options.ngram_max
        else None
    )
    xs = []
    for token in tokenizer.tokens(text)[: options.max_length]:
        x = w["embedding.weight"][tokenizer.token_to_id(token)].copy()
        if hasher is not None:
            for bucket in hasher.bags([token]).values:
                if kept is None:
                    x += w["embedding.weight"][len(tokenizer) + bucket]
                elif bucket in kept:
                    x += w["embedding.weight"][len(tokenizer) + kept.index(bucket)]
        xs.append(x)
    if options.model == "mlp":
        mean = np.mean(xs, axis=0) if xs else np.zeros(options.embed_dim)
        hidden = np.maximum(w["encoder.weight"] @ mean + w["encoder.bias"], 0)
        return w["output.weight"] @ hidden + w["output.bias"]
    if options.model == "cnn":
        states = []
        for t in range(len(xs)):
            parts = []
            for index, width in enumerate((3, 4, 5)):
                total = w[f"encoder.convolutions.{index}.bias"].copy()
                for k in range(width):
                    at = t + k - width // 2
                    if 0 <= at < len(xs):
                        total += w[f"encoder.convolutions.{index}.weight"][:, :, k] @ xs[at]
                parts.append(np.maximum(total, 0))
            states.append(np.concatenate(parts))
    else:
        states = xs
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        for layer in range(options.layers):
            out = run_direction(options.model, states, [w[f"encoder.{n}_l{layer}"] for n in names])
            if options.bidirectional:
                back = run_direction(
                    options.model, states[::-1], [w[f"encoder.{n}_l{layer}_reverse"] for n in names]
                )
                out = [np.concatenate(pair) for pair in zip(out, back[::-1], strict=True)]
            states = out
    pooled = reference_pool(options, w, states)
    return w["output.weight"] @ pooled + w["output.bias"]


def reference_pool(
    options: ClassifierOptions, w: dict[str, np.ndarray], states: list[np.ndarray]
) -> np.ndarray:
    if not states:
        return np.zeros(w["output.weight"].shape[1])
    y = np.array(states)
    if options.pooling == "attention":
        scores = np.tanh(y) @ w["pooling.weight"][0] + w["pooling.bias"][0]
        share = np.exp(scores - scores.max())
        return (share / share.sum()) @ y
    if options.pooling == "last":
        if options.bidirectional and options.model != "cnn":
            return np.concatenate([y[-1, : options.hidden], y[0, options.hidden :]])
        return y[-1]
    return {
        "mean": y.mean(axis=0),
        "max": y.max(axis=0),
        "mean+max": np.concatenate([y.mean(axis=0), y.max(axis=0)]),
    }[options.pooling]


def reference(
    manifest: dict[str, Any], tokenizer_json: str, weights: dict[str, np.ndarray], texts: list[str]
) -> np.ndarray:
    options = ClassifierOptions.from_dict(manifest["options"])
    rows = []
    for text in texts:
        outputs = []
        for k in range(options.members):
            prefix = f"members.{k}."
            member = {n.removeprefix(prefix): a for n, a in weights.items() if n.startswith(prefix)}
            kept = weights["ngrams.kept"].tolist() if "ngrams.kept" in weights else None
            scores = reference_scores(options, tokenizer_json, member, kept, text)
            if options.task == "regression":
                outputs.append(scores * manifest["target"]["std"] + manifest["target"]["mean"])
            elif options.task == "multi":
                outputs.append(sigmoid(scores / manifest["temperature"]))
            else:
                share = np.exp((scores - scores.max()) / manifest["temperature"])
                outputs.append(share / share.sum())
        rows.append(np.mean(outputs, axis=0))
    return np.array(rows)


def outputs_of(predictor: Predictor, texts: list[str]) -> np.ndarray:
    if predictor.options.task == "regression":
        return predictor.values(texts)[:, None]
    return predictor.probabilities(texts)


VARIANTS: list[dict[str, Any]] = [
    *(
        {"model": model, "pooling": pooling, "bidirectional": both}
        for model in ("lstm", "gru", "rnn")
        for pooling in ("last", "mean", "max", "mean+max", "attention")
        for both in (True, False)
    ),
    *({"model": "cnn", "pooling": pooling} for pooling in ("last", "mean", "max", "mean+max", "attention")),
    {"model": "mlp"},
    {"model": "lstm", "layers": 3},
    {"model": "gru", "layers": 2, "bidirectional": False, "pooling": "last"},
    {"model": "rnn", "layers": 2, "pooling": "last"},
    {"ngram_max": 0},
    {"ngram_min": 2, "ngram_max": 3, "max_length": 3},
    {"members": 3},
    {"kept": [0, 3, 4, 11, 12, 30, 39]},
    {"kept": []},
    {"task": "multi", "members": 2},
    {"task": "regression", "members": 2, "model": "gru"},
]


@pytest.fixture(params=["numpy", "engine"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "numpy":
        monkeypatch.setattr(engine, "available", lambda: False)
    elif not engine.available():
        pytest.skip(f"no engine: {engine.reason()}")
    return str(request.param)


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda changes: "-".join(map(str, changes.values())))
def test_equals_the_equations(changes: dict[str, Any], backend: str, parts: Callable[..., Any]) -> None:
    manifest, tokenizer, weights = parts(**changes)
    manifest["temperature"] = 1.7
    expected = reference(manifest, tokenizer, weights, TEXTS)
    found = outputs_of(Predictor(as_saved_model(manifest, tokenizer, weights)), TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda changes: "-".join(map(str, changes.values())))
def test_equals_the_torch_side(changes: dict[str, Any], backend: str, parts: Callable[..., Any]) -> None:
    torch = pytest.importorskip("torch")
    from unrolled.models import EncodedBatch, TextClassifier
    from unrolled.text.pipeline import TextPipeline

    manifest, tokenizer_json, weights = parts(**{**changes, "members": 1})
    options = ClassifierOptions.from_dict(manifest["options"])
    torch.manual_seed(0)
    outputs = 1 if options.task == "regression" else 3
    model = TextClassifier(options, manifest["table_rows"], outputs)
    kept = weights.pop("ngrams.kept", None)
    model.load_state_dict({n.removeprefix("members.0."): torch.from_numpy(a) for n, a in weights.items()})
    model.eval()
    tokenizer = tokenizer_from_json(tokenizer_json)
    hasher = None
    if options.ngram_max:
        hasher = NgramHasher(options.ngram_min, options.ngram_max, options.ngram_buckets, kept)
    batch = TextPipeline(tokenizer, hasher, options.max_length).encode(TEXTS)
    with torch.no_grad():
        scores = model(EncodedBatch.of(batch))
        if options.task == "regression":
            expected = scores * manifest["target"]["std"] + manifest["target"]["mean"]
        else:
            expected = scores.sigmoid() if options.task == "multi" else scores.softmax(dim=1)
    if kept is not None:
        weights["ngrams.kept"] = kept
    found = outputs_of(Predictor(as_saved_model(manifest, tokenizer_json, weights)), TEXTS)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5, rtol=0)


texts_strategy = st.lists(
    st.lists(st.sampled_from(["the", "film", "bad", "영화가", "새로운", "x" * 30]), max_size=9).map(" ".join),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(
    texts_strategy,
    st.sampled_from(["lstm", "gru", "rnn", "cnn", "mlp"]),
    st.sampled_from(["mean", "attention", "last"]),
    st.integers(1, 6),
    st.integers(1, 2000),
    st.booleans(),
)
def test_neighbours_and_groups_do_not_matter(
    parts: Callable[..., Any], texts: list[str], model: str, pooling: str, most: int, values: int, half: bool
) -> None:
    saved = as_saved_model(*parts(model=model, pooling=pooling, storage="float16" if half else "float32"))
    alone = [Predictor(saved).probabilities([text])[0] for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "_GROUP_TEXTS", most)
        patch.setattr(network, "_GROUP_VALUES", values)
        patch.setattr(embedding_bag, "_BLOCK_ROWS", values)
        patch.setattr(predictor_module, "_CHUNK_CHARACTERS", values)
        together = Predictor(saved).probabilities(texts)
    assert together.shape == (len(texts), 3)
    np.testing.assert_allclose(together, np.array(alone).reshape(-1, 3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("batch_size", [1, 3, 64, 100])
def test_stream_gives_the_same_answers_in_order(batch_size: int, parts: Callable[..., Any]) -> None:
    predictor = Predictor(as_saved_model(*parts()))
    texts = [f"film {i} was {'good' if i % 3 else 'bad'}" for i in range(230)]
    streamed = list(predictor.predict_stream(iter(texts), batch_size=batch_size))
    assert [answer.label for answer in streamed] == [answer.label for answer in predictor.predict(texts)]
    np.testing.assert_allclose(
        [list(answer.probabilities.values()) for answer in streamed],
        predictor.probabilities(texts),
        atol=1e-6,
    )


def test_small_batches_are_answered_before_more_is_read(parts: Callable[..., Any]) -> None:
    read: list[int] = []

    def source() -> Iterator[str]:
        for number in range(5):
            read.append(number)
            yield "film"

    answers = Predictor(as_saved_model(*parts())).predict_stream(source(), batch_size=1)
    next(answers)
    assert read == [0]


def test_a_stream_is_read_in_constant_memory(parts: Callable[..., Any]) -> None:
    endless = Predictor(as_saved_model(*parts())).predict_stream(itertools.repeat("the film"), batch_size=64)
    assert len(list(itertools.islice(endless, 200))) == 200


def test_errors_of_the_source_come_through(parts: Callable[..., Any]) -> None:
    def source() -> Iterator[str]:
        yield from ["film"] * 150
        raise DataError("row 151 is bad")

    answers = Predictor(as_saved_model(*parts())).predict_stream(source(), batch_size=64)
    with pytest.raises(DataError, match="row 151"):
        list(answers)


def test_predictions(parts: Callable[..., Any]) -> None:
    predictor = Predictor(as_saved_model(*parts()))
    for answer, row in zip(predictor.predict(TEXTS), predictor.probabilities(TEXTS), strict=True):
        assert answer.label == predictor.labels[int(row.argmax())]
        assert answer.probability == max(answer.probabilities.values()) == pytest.approx(float(row.max()))
        assert list(answer.probabilities) == ["neg", "pos", "없음"]
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert predictor.predict([]) == []
    assert predictor.probabilities([]).shape == (0, 3)


def test_several_labels(parts: Callable[..., Any]) -> None:
    predictor = Predictor(as_saved_model(*parts(task="multi", seed=3)))
    for answer in predictor.predict(TEXTS):
        assert isinstance(answer.label, list)
        assert isinstance(answer.probability, list)
        assert set(answer.label) == {name for name, p in answer.probabilities.items() if p >= 0.5}
        assert answer.probability == sorted(answer.probability, reverse=True)
        assert answer.probability == [answer.probabilities[name] for name in answer.label]


def test_regression(parts: Callable[..., Any]) -> None:
    predictor = Predictor(as_saved_model(*parts(task="regression")))
    answers = predictor.predict(TEXTS)
    assert answers[0] == Prediction(float(predictor.values(TEXTS)[0]), None, {})
    with pytest.raises(OptionError, match="values"):
        predictor.probabilities(TEXTS)
    with pytest.raises(OptionError, match="probabilities"):
        Predictor(as_saved_model(*parts())).values(TEXTS)


def test_extreme_scores_give_probabilities_without_warnings(parts: Callable[..., Any]) -> None:
    for task in ("single", "multi"):
        manifest, tokenizer, weights = parts(task=task)
        weights["members.0.output.bias"] = np.array([1e30, -1e30, 0], dtype=np.float32)
        with np.errstate(all="raise", under="ignore"):
            row = Predictor(as_saved_model(manifest, tokenizer, weights)).probabilities(["film"])[0]
        assert row[:2].tolist() == [1.0, 0.0]


def test_misuse(parts: Callable[..., Any]) -> None:
    predictor = Predictor(as_saved_model(*parts()))
    for call in (predictor.predict, predictor.probabilities, lambda x: list(predictor.predict_stream(x))):
        with pytest.raises(TypeError, match=r"\[text\]"):
            call("one text")
    with pytest.raises(TypeError, match="text 1 is int"):
        predictor.predict(["a", 3])
    with pytest.raises(OptionError, match="batch_size"):
        list(predictor.predict_stream(["a"], batch_size=0))


def test_tokenizer_and_table_must_fit(parts: Callable[..., Any]) -> None:
    manifest, tokenizer, weights = parts()
    saved = as_saved_model(manifest, tokenizer.replace('"good"', '"good", "more"'), weights)
    with pytest.raises(ModelFileError, match="do not belong together"):
        Predictor(saved)


def test_half_precision_table(parts: Callable[..., Any], tmp_path: Path) -> None:
    manifest, tokenizer, weights = parts(storage="float16")
    full = Predictor(as_saved_model({**manifest, "storage": {"embedding": "float32"}}, tokenizer, weights))
    half = Predictor(as_saved_model(manifest, tokenizer, weights))
    assert half.info()["bytes"] < full.info()["bytes"]
    one = half.probabilities(TEXTS[:1])
    many = half.probabilities(TEXTS * 20)
    np.testing.assert_allclose(many, full.probabilities(TEXTS * 20), atol=5e-3)
    np.testing.assert_allclose(one[0], many[0], atol=1e-6)
    half.save(tmp_path / "half")
    assert (load(tmp_path / "half").probabilities(TEXTS) == half.probabilities(TEXTS)).all()


def test_threads(parts: Callable[..., Any]) -> None:
    predictor = Predictor(as_saved_model(*parts()))
    expected = predictor.probabilities(TEXTS)
    different: list[float] = []

    def work() -> None:
        for _ in range(20):
            different.append(float(np.abs(predictor.probabilities(TEXTS) - expected).max()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(different) == 80
    assert max(different) < 1e-6


def test_evaluate_single_with_labels_unseen_in_training(parts: Callable[..., Any]) -> None:
    predictor = Predictor(as_saved_model(*parts()))
    guesses = [str(answer.label) for answer in predictor.predict(TEXTS)]
    records = [Record(text, label, None) for text, label in zip(TEXTS, guesses, strict=True)]
    assert predictor.evaluate(records)["accuracy"] == 1.0
    records[0] = Record(TEXTS[0], "new", 1)
    records[1] = Record(TEXTS[1], "new", 2)
    records[2] = Record(TEXTS[2], "other", 3)
    result = predictor.evaluate(records)
    assert result["task"] == "single"
    assert result["n"] == 7
    assert result["accuracy"] == pytest.approx(4 / 7)
    assert result["unseen_labels"] == {"new": 2, "other": 1}
    assert result["per_class"]["new"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 2}
    assert result["confusion"]["labels"] == ["neg", "pos", "없음", "new", "other"]
    matrix = np.array(result["confusion"]["matrix"])
    assert matrix.sum() == 7
    assert np.trace(matrix) == 4
    assert matrix[:, 3:].sum() == 0
    f1 = [v["f1"] for name, v in result["per_class"].items() if v["support"] or name in guesses]
    assert result["macro_f1"] == pytest.approx(np.mean(f1))


def test_evaluate_multi_and_regression(parts: Callable[..., Any]) -> None:
    multi = Predictor(as_saved_model(*parts(task="multi", seed=3)))
    pairs = [(text, list(answer.label)) for text, answer in zip(TEXTS, multi.predict(TEXTS), strict=True)]
    perfect = multi.evaluate(pairs)
    assert (perfect["exact_match"], perfect["micro_f1"]) == (1.0, 1.0)
    pairs[0][1].append("new")
    worse = multi.evaluate(pairs)
    assert worse["exact_match"] == pytest.approx(6 / 7)
    assert worse["unseen_labels"] == {"new": 1}
    assert worse["micro_f1"] < 1
    assert worse["per_class"]["new"]["recall"] == 0.0

    number = Predictor(as_saved_model(*parts(task="regression")))
    truth = number.values(TEXTS) + np.array([1, -1] * 3 + [0])
    result = number.evaluate(zip(TEXTS, truth.tolist(), strict=True))
    assert result["mae"] == pytest.approx(6 / 7, abs=1e-5)
    assert result["n"] == 7


@pytest.mark.parametrize(
    ("task", "label"),
    [("single", ["a"]), ("single", 1.0), ("multi", "a"), ("regression", "1"), ("regression", float("nan"))],
)
def test_evaluate_refuses_labels_of_another_kind(task: str, label: object, parts: Callable[..., Any]) -> None:
    predictor = Predictor(as_saved_model(*parts(task=task)))
    with pytest.raises(DataError, match="record 1"):
        predictor.evaluate([("film", label)])
    with pytest.raises(DataError, match="nothing to evaluate"):
        predictor.evaluate([])


@pytest.mark.parametrize("kept", [[3, 3], [4, 2], [-1, 2], [1, 40]])
def test_buckets_with_a_row_must_be_ascending(kept: list[int], parts: Callable[..., Any]) -> None:
    with pytest.raises(ModelFileError, match="ascending"):
        Predictor(as_saved_model(*parts(kept=kept)))


def test_info(parts: Callable[..., Any], tmp_path: Path) -> None:
    manifest, tokenizer, weights = parts(members=2)
    predictor = Predictor(as_saved_model(manifest, tokenizer, weights))
    assert predictor.info()["parameters"] == sum(array.size for array in weights.values())
    assert predictor.info()["path"] is None
    predictor.save(tmp_path / "m")
    assert load(tmp_path / "m").info() == {**predictor.info(), "path": str(tmp_path / "m")}
