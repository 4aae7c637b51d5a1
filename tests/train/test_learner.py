"""One learning step against plain torch: the same loss, the same weights after it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from toy_training import order_pairs, records, small

from unrolled.layers.layout import Layout
from unrolled.models import EncodedBatch, TextClassifier
from unrolled.options import ClassifierOptions
from unrolled.train.corpus import Corpus, build_corpus
from unrolled.train.distributed import Ranks
from unrolled.train.learner import TABLE, Learner
from unrolled.train.objective import Objective
from unrolled.train.parameters import FlatParameters

NO_DROPOUT = {"embed_dropout": 0.0, "word_dropout": 0.0, "ngram_dropout": 0.0, "dropout": 0.0}


def learner_of(options: ClassifierOptions, corpus: Corpus, seed: int) -> Learner:
    def build() -> TextClassifier:
        return TextClassifier(options, corpus.table_rows, 2)

    return Learner(options, build, Objective(options, corpus.train.targets, 2), seed=seed, ranks=Ranks())


@pytest.mark.parametrize("clip", [0.05, 0.0])
def test_steps_equal_plain_torch_with_sparse_adam_and_adamw(tmp_path: Path, clip: float) -> None:
    options = small(**NO_DROPOUT, clip_norm=clip, weight_decay=0.1)
    corpus = build_corpus(options, records(order_pairs(60, 1)), None, tmp_path)
    learner = learner_of(options, corpus, seed=3)
    plain = TextClassifier(options, corpus.table_rows, 2)
    plain.load_state_dict(learner.weights())
    dense = [parameter for name, parameter in plain.named_parameters() if name != TABLE]
    adamw = torch.optim.AdamW(dense, lr=0.01, weight_decay=0.1, foreach=False)
    sparse = torch.optim.SparseAdam([plain.embedding.weight], lr=0.01)
    rng = np.random.default_rng(0)
    for number in range(6):
        indices = rng.choice(len(corpus.train), size=12, replace=False)
        rate = 0.01 / (number + 1)
        step = learner.step(corpus.train, indices, rate)
        rows, counts, lengths = corpus.train.batch(indices)
        starts = torch.from_numpy(np.cumsum(counts) - counts)
        batch = EncodedBatch(torch.from_numpy(rows.astype(np.int64)), starts, Layout(lengths))
        loss = F.cross_entropy(plain(batch), torch.from_numpy(corpus.train.targets.values[indices]))
        plain.zero_grad()
        loss.backward()
        assert step.loss / step.weight == pytest.approx(loss.item(), rel=1e-5)
        norm = torch.nn.utils.clip_grad_norm_(list(plain.parameters()), clip or float("inf"))
        assert step.norm == pytest.approx(float(norm), rel=1e-4)
        plain.embedding.weight.grad = plain.embedding.weight.grad.to_sparse(1).coalesce()
        touched = plain.embedding.weight.grad.indices().flatten()
        assert set(touched.tolist()) <= set(rows.tolist())
        for optimiser in (adamw, sparse):
            optimiser.param_groups[0]["lr"] = rate
            optimiser.step()
    found = learner.weights()
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(found[name], parameter.detach(), rtol=2e-4, atol=2e-5, msg=name)


def test_flat_parameters_are_the_model() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Linear(5, 2))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    flat = FlatParameters(dict(model.named_parameters()))
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.data_ptr() % 64 == flat.values.data_ptr() % 64
    model(torch.ones(4, 3)).square().sum().backward()
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    for name, view in flat.named(flat.gradient).items():
        assert torch.equal(view, gradients[name]) and view.abs().sum() > 0
    with torch.no_grad():
        flat.values.mul_(2)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, 2 * before[name])


def test_scores_do_not_depend_on_how_texts_are_batched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = small()
    corpus = build_corpus(options, records([*order_pairs(50, 1), ("", "wet")]), None, tmp_path)
    learner = learner_of(options, corpus, seed=1)
    whole = learner.logits(learner.weights(), corpus.train)
    monkeypatch.setattr("unrolled.train.learner._EVALUATION_TOKENS", 7)
    np.testing.assert_allclose(learner.logits(learner.weights(), corpus.train), whole, atol=1e-5)
    assert np.abs(whole).min() > 0
