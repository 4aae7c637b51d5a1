"""The wide part of a training: its optimum, its ratios, its shares, and its figures in the saved model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from toy_training import order_pairs, records, small

from unrolled.runtime import Predictor, load, load_model
from unrolled.runtime.wide import joined
from unrolled.text.batch import SequenceBatch
from unrolled.text.store import TokenStore, TokenStoreWriter
from unrolled.train import fit
from unrolled.train import wide as wide_module
from unrolled.train.calibration import EQUAL_SHARES, fit_shares
from unrolled.train.objective import Objective
from unrolled.train.targets import Targets
from unrolled.train.wide import WidePart, fit_wide

ROWS, TEXTS = 9, 60
PENALTY = 15.0


def dense_inputs(seed: int = 0) -> np.ndarray:
    """Which of the n-grams a text holds ``(TEXTS, ROWS)``; two texts hold none."""
    held = np.random.default_rng(seed).random((TEXTS, ROWS)) < 0.4
    held[3] = held[17] = False
    return held


def store_of(held: np.ndarray, folder: Path) -> TokenStore:
    with TokenStoreWriter(folder / "store") as writer:
        for part in np.array_split(held, 3):
            writer.append(SequenceBatch.from_lists([np.flatnonzero(row).tolist() for row in part]))
    return TokenStore(folder / "store")


def targets_of(held: np.ndarray, task: str, labels: int) -> Targets:
    random = np.random.default_rng(1)
    scores = held @ random.standard_normal((ROWS, labels)) + random.standard_normal((len(held), labels))
    if task == "multi":
        return Targets(scores > 0.8, np.zeros(len(held), dtype=np.int64))
    return Targets(scores.argmax(axis=1), None)


def ratios_by_counting(held: np.ndarray, has_label: np.ndarray) -> np.ndarray:
    """Wang and Manning's ratios of one label ``(ROWS,)``, n-gram by n-gram."""
    p, q = [1] * ROWS, [1] * ROWS
    for text, label in zip(held, has_label, strict=True):
        for ngram in range(ROWS):
            if text[ngram]:
                (p if label else q)[ngram] += 1
    return np.array([np.log((p[n] / sum(p)) / (q[n] / sum(q))) for n in range(ROWS)])


def one_problem(
    held: np.ndarray, truth: np.ndarray, weights: tuple[float, float] = (1.0, 1.0)
) -> tuple[np.ndarray, float]:
    """Weights and bias of penalised logistic regression on the ratios, in dense float64 to the end."""
    ratios = torch.from_numpy(ratios_by_counting(held, truth))
    inputs, answer = torch.from_numpy(held.astype(np.float64)), torch.from_numpy(truth.astype(np.float64))
    each = torch.where(answer > 0, weights[1], weights[0])

    def loss(share: Tensor, bias: Tensor) -> Tensor:
        scores = inputs @ (share * ratios) + bias
        losses = F.binary_cross_entropy_with_logits(scores, answer, weight=each, reduction="sum")
        return losses + 0.5 * PENALTY * share.square().sum()

    share, bias = minimum(loss, torch.zeros(ROWS), torch.zeros(()))
    return (share * ratios).numpy(), float(bias)


def minimum(loss: Any, *start: Tensor) -> list[Tensor]:
    variables = [tensor.double().requires_grad_() for tensor in start]
    optimizer = torch.optim.LBFGS(
        variables, max_iter=2000, tolerance_grad=1e-12, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value: Tensor = loss(*variables)
        value.backward()
        return value

    optimizer.step(closure)
    return [tensor.detach() for tensor in variables]


def fitted(
    held: np.ndarray,
    targets: Targets,
    folder: Path,
    labels: int,
    texts: np.ndarray | None = None,
    **options: Any,
) -> WidePart:
    texts = np.arange(len(held)) if texts is None else texts
    targets = targets.select(texts)
    objective = Objective(small(**options), targets, labels)
    return fit_wide(np.arange(ROWS, dtype=np.int32), store_of(held, folder), texts, targets, objective)


@pytest.fixture(autouse=True, params=[0, 4], ids=["one-product", "by-column"])
def to_the_end(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """More iterations than a training takes, and chunks smaller than the data."""
    monkeypatch.setattr(wide_module, "_ITERATIONS", 300)
    monkeypatch.setattr(wide_module, "_CHUNK_NGRAMS", 130)
    monkeypatch.setattr(wide_module, "_FEW_COLUMNS", request.param)
    assert wide_module._PENALTY == PENALTY


def test_two_labels_are_one_problem(tmp_path: Path) -> None:
    held = dense_inputs()
    targets = targets_of(held, "single", 2)
    part = fitted(held, targets, tmp_path, 2)
    weight, bias = one_problem(held, targets.values == 1)
    # Half for one label and half against the other: their difference is the score.
    np.testing.assert_allclose(part.weight, np.stack([-weight, weight], axis=1) / 2, atol=2e-4, rtol=2e-3)
    np.testing.assert_allclose(part.bias, [-bias / 2, bias / 2], atol=2e-4)
    assert np.abs(weight).max() > 0.05


def test_labels_of_several_are_independent_problems(tmp_path: Path) -> None:
    held = dense_inputs()
    targets = targets_of(held, "multi", 4)
    part = fitted(held, targets, tmp_path, 4, task="multi")
    for label in range(4):
        weight, bias = one_problem(held, targets.values[:, label])
        np.testing.assert_allclose(part.weight[:, label], weight, atol=4e-4, rtol=2e-3)
        assert part.bias[label] == pytest.approx(bias, abs=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_several_labels_at_the_optimum(tmp_path: Path, class_weights: str, smoothing: float) -> None:
    """The gradient of the penalised softmax loss is zero there, and another optimiser ends there too."""
    held = dense_inputs()
    targets = targets_of(held, "single", 3)
    part = fitted(held, targets, tmp_path, 3, class_weights=class_weights, label_smoothing=smoothing)
    ratios = np.stack([ratios_by_counting(held, targets.values == label) for label in range(3)], axis=1)
    counts = np.bincount(targets.values, minlength=3)
    weigh = TEXTS / (3 * counts) if class_weights == "balanced" else np.ones(3)
    inputs, answer = torch.from_numpy(held.astype(np.float64)), torch.from_numpy(targets.values)

    def loss(share: Tensor, bias: Tensor) -> Tensor:
        scores = inputs @ (share * torch.from_numpy(ratios)) + bias
        losses = F.cross_entropy(scores, answer, torch.from_numpy(weigh), reduction="sum")
        return losses + 0.5 * PENALTY * share.square().sum()

    share = torch.from_numpy(part.weight.astype(np.float64) / ratios).requires_grad_()
    bias = torch.from_numpy(part.bias.astype(np.float64)).requires_grad_()
    slopes = torch.autograd.grad(loss(share, bias), (share, bias))
    at_zero = torch.zeros(ROWS, 3, dtype=torch.float64).requires_grad_()
    (begin,) = torch.autograd.grad(loss(at_zero, torch.zeros(3, dtype=torch.float64)), (at_zero,))
    assert max(float(slope.abs().max()) for slope in slopes) < 5e-3 * float(begin.abs().max())
    best, _ = minimum(loss, torch.zeros(ROWS, 3), torch.zeros(3))
    np.testing.assert_allclose(part.weight, best.numpy() * ratios, atol=4e-4, rtol=2e-3)


def test_class_weights_act_on_two_labels(tmp_path: Path) -> None:
    held = dense_inputs()
    targets = targets_of(held, "single", 2)
    part = fitted(held, targets, tmp_path, 2, class_weights="balanced")
    counts = np.bincount(targets.values, minlength=2)
    assert counts[0] != counts[1]
    weigh = TEXTS / (2 * counts)
    weight, bias = one_problem(held, targets.values == 1, (weigh[0], weigh[1]))
    np.testing.assert_allclose(part.weight[:, 1] - part.weight[:, 0], weight, atol=4e-4, rtol=2e-3)
    assert part.bias[1] - part.bias[0] == pytest.approx(bias, abs=1e-3)


def test_class_weights_act_on_labels_of_several(tmp_path: Path) -> None:
    held = dense_inputs()
    targets = targets_of(held, "multi", 2)
    part = fitted(held, targets, tmp_path, 2, task="multi", class_weights="balanced")
    for label in range(2):
        has = targets.values[:, label]
        weight, bias = one_problem(held, has, (1.0, (TEXTS - has.sum()) / has.sum()))
        np.testing.assert_allclose(part.weight[:, label], weight, atol=4e-4, rtol=2e-3)
        assert part.bias[label] == pytest.approx(bias, abs=1e-3)


def test_only_the_given_texts_count(tmp_path: Path) -> None:
    held = dense_inputs()
    targets = targets_of(held, "single", 2)
    texts = np.array([40, 2, 7, 9, 8, 30, 31, 33, 50, 51, 52, 53, 17])
    some = fitted(held, targets, tmp_path, 2, texts)
    weight, _ = one_problem(held[texts], targets.values[texts] == 1)
    np.testing.assert_allclose(some.weight[:, 1] - some.weight[:, 0], weight, atol=2e-4, rtol=2e-3)


def test_scores_are_sums_of_stored_weights(tmp_path: Path) -> None:
    held = dense_inputs()
    part = fitted(held, targets_of(held, "single", 3), tmp_path, 3)
    assert (part.weight.astype(np.float16).astype(np.float32) == part.weight).all()
    chosen = np.array([5, 17, 5, 59])
    scores = part.scores(store_of(held, tmp_path), chosen)
    np.testing.assert_allclose(scores, held[chosen] @ part.weight + part.bias, atol=1e-6)
    assert part.scores(store_of(held, tmp_path), chosen[:0]).shape == (0, 3)


def test_data_without_a_frequent_ngram(tmp_path: Path) -> None:
    held = np.zeros((20, 0), dtype=np.bool_)
    targets = Targets(np.arange(20) % 4 // 3, None)
    objective = Objective(small(), targets, 2)
    part = fit_wide(np.zeros(0, dtype=np.int32), store_of(held, tmp_path), np.arange(20), targets, objective)
    assert part.weight.shape == (0, 2)
    assert part.bias[1] - part.bias[0] == pytest.approx(np.log(5 / 15), abs=1e-3)  # the odds of the labels


# --- shares ------------------------------------------------------------------------------------


def cost(
    given_p: np.ndarray, wide: np.ndarray, targets: Targets, task: str, shares: tuple[float, float]
) -> float:
    p = joined(given_p, wide, shares, task)
    known = targets.values >= 0 if task == "single" else slice(None)
    if task == "multi":
        right = np.where(targets.values, p, 1 - p)
    else:
        right = p[known][np.arange(int(np.sum(known))), targets.values[known]]
    distance = sum((share - centre) ** 2 for share, centre in zip(shares, EQUAL_SHARES, strict=True))
    return float(-np.log(np.maximum(right, 1e-300)).sum()) + distance


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from(["single", "multi"]),
    st.sampled_from([-1.5, 0.0, 0.6, 3.0]),
    st.sampled_from([-1.5, 0.0, 0.6, 3.0]),
    st.sampled_from([2, 30, 200]),
)
def test_shares_against_a_grid(seed: int, task: str, network: float, other: float, rows: int) -> None:
    """Either source may help, be noise, or mislead; the shares are those of a grid search."""
    random = np.random.default_rng(seed)
    logits, wide = random.standard_normal((2, rows, 3))
    noisy = network * logits + other * wide + random.gumbel(size=(rows, 3))
    if task == "multi":
        given_p = 1 / (1 + np.exp(-2 * logits))
        targets = Targets(noisy > 0, np.zeros(rows, dtype=np.int64))
    else:
        powers = np.exp(2 * logits)
        given_p = powers / powers.sum(axis=1, keepdims=True)
        values = noisy.argmax(axis=1)
        values[0] = -1  # a label that training never saw
        targets = Targets(values, None)
    shares = fit_shares(given_p, wide, targets, task)
    assert all(0 <= share <= 10 for share in shares)
    found = cost(given_p, wide, targets, task, shares)
    coarse = [0.0, *np.geomspace(0.02, 10, 40)]
    around = [
        [max(0.0, min(10.0, share + step)) for step in (-0.03, -0.003, 0, 0.003, 0.03)] for share in shares
    ]
    grid = [(s, w) for s in coarse for w in coarse] + [(s, w) for s in around[0] for w in around[1]]
    best = min(cost(given_p, wide, targets, task, pair) for pair in grid)
    assert found <= best + 1e-6 * max(1.0, best)


def test_few_texts_leave_the_shares_near_one_half() -> None:
    given_p = np.array([[0.6, 0.4], [0.3, 0.7]])
    wide = np.array([[0.5, -0.5], [-0.2, 0.2]])
    shares = fit_shares(given_p, wide, Targets(np.array([0, 1]), None), "single")
    assert all(0.5 < share < 1 for share in shares)
    unseen = fit_shares(given_p, wide, Targets(np.array([-1, -1]), None), "single")
    assert unseen == pytest.approx(EQUAL_SHARES)


def test_a_misleading_part_gets_nothing() -> None:
    random = np.random.default_rng(0)
    values = random.integers(0, 2, 400)
    right = np.stack([1 - values, values], axis=1) * 1.5 + random.standard_normal((400, 2))
    powers = np.exp(right)
    given_p = powers / powers.sum(axis=1, keepdims=True)
    shares = fit_shares(given_p, -right, Targets(values, None), "single")
    assert shares[1] == 0 and shares[0] > 0.5
    shares = fit_shares(
        powers[:, ::-1] / powers.sum(axis=1, keepdims=True), right, Targets(values, None), "single"
    )
    assert shares[0] == 0 and shares[1] > 0.5


# --- in a training -----------------------------------------------------------------------------


def topics(rows: int, seed: int, task: str) -> list[tuple[str, Any]]:
    """Words that tell the label, some of them of the other label."""
    random = np.random.default_rng(seed)
    words = {"a": ["apple", "apricot", "avocado"], "b": ["beet", "bean", "broccoli"], "c": ["cumin", "curry"]}
    pairs: list[tuple[str, Any]] = []
    for _ in range(rows):
        label = str(random.choice(list(words)))
        noise = str(random.choice(list(words)))
        chosen = [*random.choice(words[label], 2), *random.choice(words[noise], 1)]
        random.shuffle(chosen)
        pairs.append((" ".join(map(str, chosen)), label if task == "single" else sorted({label, noise})))
    return pairs


@pytest.mark.parametrize("task", ["single", "multi"])
@pytest.mark.parametrize("held_out", [False, True])
def test_the_figures_are_those_of_the_saved_model(tmp_path: Path, task: str, held_out: bool) -> None:
    train, dev = topics(200, 1, task), topics(70, 2, task)
    dev[0] = (dev[0][0], "unseen" if task == "single" else ["a", "unseen"])
    out = tmp_path / "m"
    fit(small(task=task, epochs=2), records(train), None if held_out else records(dev), out=out)
    content = json.loads((out / "model.json").read_text(encoding="utf-8"))
    figures, wide = content["metrics"]["dev"], content["wide"]
    name = "accuracy" if task == "single" else "micro_f1"
    assert 0 <= figures["network_alone"] <= 1 and 0.5 < figures["wide_alone"] <= 1
    assert wide["rows"] == len(load_model(out).weights["wide.kept"]) > 20
    assert 0 <= wide["network_share"] <= 10 and 0 < wide["wide_share"] <= 10
    assert wide["wide_share"] != EQUAL_SHARES[1]
    assert content["temperature"] == 1.0
    if held_out:
        assert figures["n"] == 20
        return
    evaluated = load(out).evaluate(dev)
    assert figures["n"] == evaluated["n"] == 70
    for figure in (name, "macro_f1"):
        assert figures[figure] == pytest.approx(evaluated[figure], abs=1e-12), figure
    if task == "single":
        assert figures["calibration_error"] == pytest.approx(evaluated["calibration_error"], abs=1e-5)
    for alone, shares in (("network_alone", (1.0, 0.0)), ("wide_alone", (0.0, 1.0))):
        model = load_model(out)
        object.__setattr__(model.manifest, "shares", shares)
        assert Predictor(model).evaluate(dev)[name] == pytest.approx(figures[alone], abs=1e-12), alone


@pytest.mark.parametrize("changes", [{"wide": False}, {"task": "regression"}])
def test_models_without_a_wide_part(tmp_path: Path, changes: dict[str, Any]) -> None:
    pairs: list[tuple[str, Any]] = order_pairs(60, 1)
    if changes.get("task") == "regression":
        pairs = [(text, float(len(text))) for text, _ in pairs]
    fit(small(epochs=1, **changes), records(pairs), out=tmp_path / "m")
    model = load_model(tmp_path / "m")
    assert not [name for name in model.weights if name.startswith("wide.")]
    assert model.manifest.raw["wide"] is None
    assert "network_alone" not in str(model.manifest.raw["metrics"])


def test_scores_on_training_texts_do_not_set_the_shares(tmp_path: Path) -> None:
    fit(small(epochs=1), records(order_pairs(12, 1)), out=tmp_path / "m")  # too few rows to hold any out
    raw = load_model(tmp_path / "m").manifest.raw
    assert (raw["wide"]["network_share"], raw["wide"]["wide_share"]) == EQUAL_SHARES
    assert "network_alone" in raw["metrics"]["train"]
    fit(small(epochs=1, calibrate=False), records(order_pairs(60, 1)), out=tmp_path / "n")
    raw = load_model(tmp_path / "n").manifest.raw
    assert (raw["wide"]["network_share"], raw["wide"]["wide_share"]) == EQUAL_SHARES


def test_empty_texts_among_the_training_texts(tmp_path: Path) -> None:
    pairs = topics(60, 1, "single") + [("", "a"), (" ", "b"), ("", "a")] * 5
    model = fit(small(epochs=1), records(pairs), records([*topics(20, 2, "single"), ("", "a")]))
    assert np.isfinite(model.probabilities(["", "  ", "apple", "other"])).all()
    assert model.info()["wide"]["rows"] > 0
