"""A model with a wide part against the definition, number by number; and refusal of what cannot be one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.errors import ModelFileError
from unrolled.runtime import Predictor, as_saved_model, load, save_model
from unrolled.runtime.wide import joined
from unrolled.text.ngrams import NgramHasher

TEXTS = [
    "the film was good",
    "",
    "영화가  정말 재미있다 The",
    "   ",
    "bad",
    "quite unseen",
    "the film was good",
]


def kept_of(texts: list[str]) -> list[int]:
    hasher = NgramHasher(1, 5, 2**21)
    return sorted(set(hasher.bags(texts).values.tolist()))[::2]


KEPT = kept_of(["the film was good", "영화가 정말 재미있다 the", "bad , really bad"])


def by_definition(
    network: list[float], text: str, weights: dict[str, np.ndarray], shares: tuple[float, float], task: str
) -> list[float]:
    """One text's probabilities, from the network's, in scalars."""
    kept = weights["wide.kept"].tolist()
    hasher = NgramHasher(1, 5, 2**21)
    buckets = set(hasher.bags([" ".join(text.lower().split())]).values.tolist())
    scores = []
    for label, p in enumerate(network):
        score = float(weights["wide.bias"][label])
        for row, bucket in enumerate(kept):
            if bucket in buckets:
                score += float(weights["wide.weight"][row, label])
        own = math.log(p) - (math.log(1 - p) if task == "multi" else 0.0)
        scores.append(shares[0] * own + shares[1] * score)
    if task == "multi":
        return [1 / (1 + math.exp(-score)) for score in scores]
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


@pytest.mark.parametrize("task", ["single", "multi"])
@pytest.mark.parametrize("storage", ["float32", "float16"])
@pytest.mark.parametrize("shares", [(0.6, 0.8), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_equals_the_definition(
    task: str, storage: str, shares: tuple[float, float], parts: Callable[..., Any]
) -> None:
    manifest, tokenizer, weights = parts(
        task=task, wide=KEPT, shares=shares, storage=storage, members=2, labels=("neg", "pos", "x")
    )
    model = as_saved_model(manifest, tokenizer, weights)
    assert model.weights["wide.weight"].dtype == np.dtype(storage)
    # The network alone is compared with its equations in test_predictor.py.
    alone = Predictor(
        as_saved_model(
            {**manifest, "options": {**manifest["options"], "wide": False}, "wide": None},
            tokenizer,
            {name: array for name, array in weights.items() if not name.startswith("wide.")},
        )
    )
    network = alone.probabilities(TEXTS).astype(np.float64).tolist()
    expected = [
        by_definition(p, text, model.weights, shares, task) for p, text in zip(network, TEXTS, strict=True)
    ]
    predictor = Predictor(model)
    found = predictor.probabilities(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-5, rtol=0)
    assert [list(answer.probabilities.values()) for answer in predictor.predict(TEXTS)] == found.tolist()
    for batch_size in (1, 64):
        streamed = predictor.predict_stream(TEXTS * 20, batch_size=batch_size)
        np.testing.assert_allclose(
            [list(answer.probabilities.values()) for answer in streamed], np.tile(found, (20, 1)), atol=1e-6
        )


def test_a_wide_part_without_ngrams_adds_its_bias(parts: Callable[..., Any]) -> None:
    manifest, tokenizer, weights = parts(wide=[], shares=(0.0, 1.0))
    found = Predictor(as_saved_model(manifest, tokenizer, weights)).probabilities(TEXTS)
    powers = np.exp(weights["wide.bias"])
    np.testing.assert_allclose(found, np.tile(powers / powers.sum(), (len(TEXTS), 1)), atol=1e-6)


def test_sure_networks_do_not_drown_the_wide_part(parts: Callable[..., Any]) -> None:
    """A logit of 25 is a probability that float32 cannot tell from 1."""
    manifest, tokenizer, weights = parts(task="multi", wide=[], shares=(0.1, 1.0))
    weights["members.0.output.weight"][:] = 0
    weights["members.0.output.bias"][:] = (25, -25, 18)
    weights["wide.bias"][:] = (-2.5, 2.5, -1)
    found = Predictor(as_saved_model(manifest, tokenizer, weights)).probabilities(["film"])[0]
    np.testing.assert_allclose(found, [0.5, 0.5, 1 / (1 + math.exp(-0.8))], atol=2e-4)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
    st.lists(st.floats(-80, 80), min_size=3, max_size=3),
    st.tuples(st.floats(0, 1000), st.floats(0, 1000)),
    st.sampled_from(["single", "multi"]),
)
def test_joined_probabilities_are_finite(
    network: list[float], wide: list[float], shares: tuple[float, float], task: str
) -> None:
    given_p = np.array([network], dtype=np.float64 if task == "multi" else np.float32)
    found = joined(given_p, np.array([wide], dtype=np.float32), shares, task)
    assert np.isfinite(found).all() and (found >= 0).all() and (found <= 1).all()
    if task == "single":
        assert found.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_saved_and_read(packed: bool, storage: str, tmp_path: Path, parts: Callable[..., Any]) -> None:
    place = tmp_path / ("m.zip" if packed else "m")
    save_model(place, *parts(wide=KEPT, storage=storage))
    expected = Predictor(as_saved_model(*parts(wide=KEPT, storage=storage))).probabilities(TEXTS)
    read = load(place)
    assert (read.probabilities(TEXTS) == expected).all()
    assert read.info()["wide"] == {"rows": len(KEPT), "network_share": 0.6, "wide_share": 0.8}
    weights = parts(wide=KEPT)[2]
    indices = {"wide.kept", "ngrams.kept"}
    assert read.info()["parameters"] == sum(a.size for name, a in weights.items() if name not in indices)
    assert load(tmp_path / "m.zip" if packed else place).info()["storage"] == storage


HOSTILE: list[tuple[str, Any]] = [
    ("rows", -1),
    ("rows", 2**21 + 1),
    ("rows", 10**30),
    ("rows", len(KEPT) + 1),
    ("rows", 1.0),
    ("rows", True),
    ("rows", None),
    ("rows", "many"),
    ("network_share", -0.1),
    ("network_share", 1001.0),
    ("network_share", True),
    ("network_share", "1"),
    ("network_share", None),
    ("wide_share", -1e-9),
    ("wide_share", 1e300),
    ("wide_share", [0.5]),
]


@pytest.mark.parametrize(("field", "value"), HOSTILE, ids=repr)
def test_hostile_fields(
    field: str, value: Any, tmp_path: Path, parts: Callable[..., Any], rewritten: Callable[..., None]
) -> None:
    save_model(tmp_path / "m", *parts(wide=KEPT))
    rewritten(tmp_path / "m", {}, lambda content: content["wide"].update({field: value}))
    with pytest.raises(ModelFileError):
        load(tmp_path / "m")
    rewritten(tmp_path / "m", {}, lambda content: content["wide"].pop(field))
    with pytest.raises(ModelFileError):
        load(tmp_path / "m")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["network_share", "wide_share"])
def test_shares_that_are_no_numbers(field: str, word: str, tmp_path: Path, parts: Callable[..., Any]) -> None:
    from unrolled.storage.strict_json import fingerprint

    save_model(tmp_path / "m", *parts(wide=KEPT))
    content = json.loads((tmp_path / "m" / "model.json").read_text(encoding="utf-8"))
    content["wide"][field] = float(word)
    content["checksum"] = fingerprint(content)
    written = json.dumps(content).replace("Infinity", word) if word == "1e999" else json.dumps(content)
    (tmp_path / "m" / "model.json").write_text(written, encoding="utf-8")
    with pytest.raises(ModelFileError):
        load(tmp_path / "m")


@pytest.mark.parametrize("entry", [None, [], "wide", 3, {}])
def test_an_entry_that_is_none(
    entry: Any, tmp_path: Path, parts: Callable[..., Any], rewritten: Callable[..., None]
) -> None:
    save_model(tmp_path / "m", *parts(wide=KEPT))
    rewritten(tmp_path / "m", {}, lambda content: content.update(wide=entry))
    with pytest.raises(ModelFileError, match=r"wide\.rows"):
        load(tmp_path / "m")


@pytest.mark.parametrize("changes", [{}, {"task": "regression"}])
def test_an_entry_that_the_options_exclude(
    changes: dict[str, Any], tmp_path: Path, parts: Callable[..., Any], rewritten: Callable[..., None]
) -> None:
    save_model(tmp_path / "m", *parts(**changes))

    def add(content: dict[str, Any]) -> None:
        content["wide"] = {"rows": 0, "network_share": 0.5, "wide_share": 0.5}

    rewritten(tmp_path / "m", {}, add)
    with pytest.raises(ModelFileError, match="options exclude"):
        load(tmp_path / "m")


@pytest.mark.parametrize("kept", [[5, 3], [3, 3], [-1, 3], [3, 2**21]])
def test_buckets_that_are_not_ascending(kept: list[int], tmp_path: Path, parts: Callable[..., Any]) -> None:
    with pytest.raises(ModelFileError, match="ascending"):
        Predictor(as_saved_model(*parts(wide=kept)))
    save_model(tmp_path / "m", *parts(wide=kept))
    with pytest.raises(ModelFileError, match="ascending"):
        load(tmp_path / "m")


@pytest.mark.parametrize("missing", ["wide.kept", "wide.weight", "wide.bias"])
def test_missing_weights(missing: str, parts: Callable[..., Any]) -> None:
    manifest, tokenizer, weights = parts(wide=KEPT)
    del weights[missing]
    with pytest.raises(ModelFileError, match=missing):
        as_saved_model(manifest, tokenizer, weights)
