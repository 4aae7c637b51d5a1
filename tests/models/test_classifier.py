"""The many-to-one model against its definition, text by text."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unrolled.models import EncodedBatch, TextClassifier
from unrolled.options import ClassifierOptions
from unrolled.runtime.shapes import member_shapes
from unrolled.text.batch import SequenceBatch
from unrolled.text.pipeline import TextBatch

WORDS, BUCKETS, DIM, HIDDEN, OUTPUTS = 7, 11, 6, 5, 3
MODELS = ("lstm", "gru", "rnn", "cnn", "mlp")
POOLINGS = ("last", "mean", "max", "mean+max", "attention")


def options_of(**changes: object) -> ClassifierOptions:
    return ClassifierOptions.from_dict({"embed_dim": DIM, "hidden": HIDDEN, **changes})


def texts(lengths: list[int], seed: int = 0) -> TextBatch:
    """Random texts: word ids, and up to three n-grams a token."""
    random = np.random.default_rng(seed)
    total = sum(lengths)
    words = SequenceBatch(random.integers(0, WORDS, total, dtype=np.int32), np.array(lengths))
    sizes = random.integers(0, 4, total)
    bags = SequenceBatch(random.integers(WORDS, WORDS + BUCKETS, sizes.sum(), dtype=np.int32), sizes)
    return TextBatch(words, bags)


def model_of(**changes: object) -> TextClassifier:
    torch.manual_seed(1)
    model = TextClassifier(options_of(**changes), WORDS + BUCKETS, OUTPUTS).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.5)
    return model


def vectors_of(batch: TextBatch, table: Tensor) -> list[Tensor]:
    """Each text's token vectors ``(length, dim)``, summed row by row."""
    rows = [table[torch.as_tensor(np.asarray(bag), dtype=torch.int64)].sum(0) for bag in batch.rows]
    split = np.split(np.arange(len(rows)), np.cumsum(batch.tokens.lengths)[:-1])
    return [torch.stack([rows[k] for k in part]) if len(part) else torch.zeros(0, DIM) for part in split]


def states_of(model: TextClassifier, x: Tensor) -> Tensor:
    """One text through the encoder, by torch's own modules: ``(length, width)``."""
    options = model.options
    if options.model == "cnn":
        outputs = []
        for layer in model.encoder.convolutions:  # type: ignore[union-attr]
            width = layer.kernel_size[0]
            outputs.append(layer(F.pad(x.T, (width // 2, (width - 1) // 2))[None])[0].T)
        return torch.relu(torch.cat(outputs, 1))
    kinds = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
    reference = kinds[options.model](DIM, HIDDEN, options.layers, bidirectional=options.bidirectional)
    reference.load_state_dict(model.encoder.state_dict())
    states: Tensor = reference(x)[0]
    return states


def scores_of(model: TextClassifier, x: Tensor) -> Tensor:
    """One text's scores, straight from the definition."""
    pooling = model.options.pooling
    if model.options.model == "mlp":
        mean = x.mean(0) if len(x) else torch.zeros(DIM)
        pooled = torch.relu(model.encoder(mean))
    elif len(x) == 0:
        pooled = torch.zeros(model.output.in_features)
    else:
        y = states_of(model, x)
        if pooling == "last":
            two = model.options.bidirectional and model.options.model != "cnn"
            pooled = torch.cat([y[-1, :HIDDEN], y[0, HIDDEN:]]) if two else y[-1]
        elif pooling == "attention":
            pooled = torch.softmax(model.pooling(y.tanh())[:, 0], 0) @ y
        else:
            parts = {"mean": [y.mean(0)], "max": [y.amax(0)], "mean+max": [y.mean(0), y.amax(0)]}
            pooled = torch.cat(parts[pooling])
    scores: Tensor = model.output(pooled)
    return scores


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kind", MODELS)
def test_equals_the_definition(kind: str, pooling: str) -> None:
    model = model_of(model=kind, pooling=pooling)
    batch = texts([3, 0, 1, 6, 2])
    with torch.no_grad():
        expected = torch.stack([scores_of(model, x) for x in vectors_of(batch, model.embedding.weight)])
        torch.testing.assert_close(model(EncodedBatch.of(batch)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_layers_and_directions(bidirectional: bool) -> None:
    model = model_of(layers=2, bidirectional=bidirectional, pooling="last")
    batch = texts([4, 1, 0, 3])
    with torch.no_grad():
        expected = torch.stack([scores_of(model, x) for x in vectors_of(batch, model.embedding.weight)])
        torch.testing.assert_close(model(EncodedBatch.of(batch)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kind", MODELS)
def test_only_empty_texts(kind: str, pooling: str) -> None:
    model = model_of(model=kind, pooling=pooling)
    scores = model(EncodedBatch.of(texts([0, 0])))
    expected = scores_of(model, torch.zeros(0, DIM))
    torch.testing.assert_close(scores, expected.expand(2, -1))


def test_touched_rows_in_place_of_the_table() -> None:
    model = model_of()
    batch = EncodedBatch.of(texts([3, 2]))
    local, touched = batch.localised()
    rows = model.embedding.weight.detach()[touched].requires_grad_()
    model(local, rows=rows).square().sum().backward()
    model(batch).square().sum().backward()
    torch.testing.assert_close(model(local, rows=rows), model(batch))
    assert model.embedding.weight.grad is not None
    torch.testing.assert_close(rows.grad, model.embedding.weight.grad[touched])
    untouched = torch.ones(WORDS + BUCKETS, dtype=torch.bool)
    untouched[touched] = False
    assert not model.embedding.weight.grad[untouched].any()


def swapped(batch: TextBatch) -> TextBatch:
    """The first two tokens of the only text, the other way round."""
    tokens = SequenceBatch(batch.tokens.values[[1, 0, *range(2, batch.tokens.total)]], batch.tokens.lengths)
    assert batch.bags is not None
    return TextBatch(tokens, batch.bags.select([1, 0, *range(2, len(batch.bags))]))


def test_the_mlp_is_blind_to_order_and_the_others_are_not() -> None:
    batch = texts([4], seed=3)
    for kind in MODELS:
        model = model_of(model=kind, pooling="mean" if kind == "mlp" else "last")
        here, there = model(EncodedBatch.of(batch)), model(EncodedBatch.of(swapped(batch)))
        assert torch.allclose(here, there, atol=1e-6) is (kind == "mlp"), kind


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kind", MODELS)
def test_weights_are_those_that_the_saved_model_holds(kind: str, pooling: str) -> None:
    model = model_of(model=kind, pooling=pooling, layers=1 if kind in ("cnn", "mlp") else 2)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert shapes == member_shapes(model.options, WORDS + BUCKETS, OUTPUTS)


def test_ngram_dropout_spares_the_token_itself() -> None:
    quiet = {"word_dropout": 0.0, "embed_dropout": 0.0, "dropout": 0.0}
    model = model_of(model="mlp", ngram_dropout=0.95, **quiet)
    with torch.no_grad():
        model.embedding.weight[WORDS:] = 1000.0  # a surviving n-gram would be seen
        model.embedding.weight[:WORDS] = 1.0
    batch = EncodedBatch.of(texts([200]))
    weights = model.train()._ngram_weights(batch)
    assert weights is not None
    assert weights[batch.starts].eq(1).all()
    ngrams = torch.ones(len(weights), dtype=torch.bool)
    ngrams[batch.starts] = False
    assert 0.85 < weights[ngrams].eq(0).float().mean() < 1
    assert model.eval()._ngram_weights(batch) is None


@pytest.mark.parametrize("name", ["word_dropout", "embed_dropout", "dropout", "ngram_dropout"])
def test_dropouts_act_in_training_only(name: str) -> None:
    every = {"word_dropout": 0.0, "embed_dropout": 0.0, "dropout": 0.0, "ngram_dropout": 0.0}
    model = model_of(**{**every, name: 0.5})
    batch = EncodedBatch.of(texts([5, 5, 5]))
    assert torch.equal(model(batch), model(batch))
    model.train()
    torch.manual_seed(2)
    assert not torch.allclose(model(batch), model(batch))


def test_embedding_dropout_is_one_mask_a_text() -> None:
    model = model_of(embed_dropout=0.5, word_dropout=0.0).train()
    layout = EncodedBatch.of(texts([4, 3])).layout
    dropped = model._drop(torch.ones(7, DIM), layout)
    first, second = dropped[:4], dropped[4:]
    assert (first == first[0]).all()
    assert (second == second[0]).all()
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
