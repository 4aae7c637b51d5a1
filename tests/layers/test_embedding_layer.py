"""The embedding layer: against one-hot products, torch's embedding, and for its ways to start."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unrolled.errors import OptionError
from unrolled.layers import Embedding, one_hot
from unrolled.text.batch import SequenceBatch

IDS = torch.tensor([[0, 3, 3], [4, 0, 1]])


def test_equals_one_hot_product_with_its_gradient() -> None:
    layer = Embedding(5, 3)
    vectors = layer(IDS)
    assert vectors.shape == (2, 3, 3)
    upstream = torch.arange(18.0).view(2, 3, 3)
    vectors.backward(upstream)
    weight = layer.weight.detach().clone().requires_grad_()
    product = one_hot(IDS, 5) @ weight
    product.backward(upstream)
    assert torch.equal(product, vectors)
    assert torch.equal(layer.weight.grad, weight.grad)


def test_one_hot_by_hand() -> None:
    assert one_hot(torch.tensor([[1], [0]]), 3).tolist() == [[[0, 1, 0]], [[1, 0, 0]]]
    assert one_hot(torch.zeros(0, dtype=torch.int32), 3).shape == (0, 3)
    assert one_hot(torch.tensor(2), 3, dtype=torch.float64).dtype == torch.float64


@pytest.mark.parametrize("padding_idx", [None, 0, -1])
def test_same_seed_same_table_as_torch(padding_idx: int | None) -> None:
    torch.manual_seed(3)
    theirs = torch.nn.Embedding(5, 3, padding_idx)
    after = torch.rand(1)
    torch.manual_seed(3)
    ours = Embedding(5, 3, padding_idx)
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(torch.rand(1), after)
    fresh = Embedding(5, 3, padding_idx)
    fresh.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(fresh(IDS), theirs(IDS))


@pytest.mark.parametrize("sparse", [False, True])
def test_padding_gets_no_gradient(sparse: bool) -> None:
    layer = Embedding(5, 3, padding_idx=0, sparse=sparse)
    assert torch.equal(layer(IDS)[0, 0], torch.zeros(3))
    layer(IDS).sum().backward()
    gradient = layer.weight.grad
    assert gradient.is_sparse == sparse
    assert gradient.to_dense().sum(1).tolist() == [0, 3, 0, 6, 3]


@pytest.mark.parametrize("make", [torch.tensor, np.array])
def test_ragged_batches(make: object) -> None:
    layer = Embedding(5, 3)
    out = layer(SequenceBatch(make([1, 2, 4]), make([2, 0, 1])))  # type: ignore[operator]
    assert torch.equal(out.values, layer.weight[[1, 2, 4]])
    assert out.lengths.tolist() == [2, 0, 1] and isinstance(out.lengths, torch.Tensor)
    assert layer(SequenceBatch.from_lists([[], []])).values.shape == (0, 3)


@pytest.mark.parametrize("wrong", [5, -1])
def test_an_id_out_of_range_is_named(wrong: int) -> None:
    layer = Embedding(5, 3)
    for call in (
        layer,
        lambda ids: one_hot(ids, 5),
        lambda ids: layer(SequenceBatch(ids[0], torch.tensor([2]))),
    ):
        with pytest.raises(IndexError, match=rf"id {wrong} .* table of 5 rows"):
            call(torch.tensor([[0, wrong]]))
    with pytest.raises(TypeError, match="float32"):
        layer(torch.tensor([0.5]))


def test_from_a_table() -> None:
    table = np.arange(6.0).reshape(3, 2)
    tuned = Embedding.from_vectors(table)
    assert tuned.weight.tolist() == table.tolist() and tuned.weight.dtype == torch.float32
    assert tuned.weight.requires_grad
    frozen = Embedding.from_vectors(torch.tensor(table), freeze=True, padding_idx=1)
    assert not frozen.weight.requires_grad and frozen.weight.dtype == torch.float64
    assert frozen(torch.tensor([1])).tolist() == [[2, 3]]
    assert (frozen.num_embeddings, frozen.embedding_dim, frozen.padding_idx) == (3, 2, 1)
    with torch.no_grad():
        tuned.weight[0] = 7
    assert table[0].tolist() == [0, 1], "the given table must not change"


def test_frozen_vectors_stay_and_tuned_ones_move() -> None:
    for freeze in (True, False):
        layer = Embedding.from_vectors(np.ones((3, 2)), freeze=freeze)
        head = torch.nn.Linear(2, 1)
        parameters = [p for p in (*layer.parameters(), *head.parameters()) if p.requires_grad]
        optimiser = torch.optim.SGD(parameters, lr=0.1)
        head(layer(torch.tensor([0, 1]))).sum().backward()
        optimiser.step()
        assert torch.equal(layer.weight, torch.ones(3, 2)) == freeze


class Tokens:
    def get_itos(self) -> list[str]:
        return ["<pad>", "<unk>", "cat"]


@pytest.mark.parametrize("vocab", [Tokens(), Tokens().get_itos()])
def test_from_vectors_by_token(vocab: Tokens | list[str]) -> None:
    layer = Embedding.from_vectors({"cat": [1.0, 2.0], "dog": [3.0, 4.0]}, vocab, padding_idx=0)
    assert layer.weight[2].tolist() == [1, 2]
    assert layer.weight[0].tolist() == [0, 0]
    assert layer.weight.shape == (3, 2)


def test_mistakes() -> None:
    with pytest.raises(OptionError, match="vocab="):
        Embedding.from_vectors({"a": [1.0]})
    with pytest.raises(OptionError, match="vocab="):
        Embedding.from_vectors(np.ones((2, 2)), ["a", "b"])
    with pytest.raises(ValueError, match=r"\(size, dim\), got \(3,\)"):
        Embedding.from_vectors([1.0, 2.0, 3.0])
    with pytest.raises(OptionError, match="padding_idx 5"):
        Embedding(5, 3, padding_idx=5)
    with pytest.raises(OptionError, match="num_embeddings"):
        Embedding(0, 3)


def test_repr_says_what_matters() -> None:
    assert (
        repr(Embedding.from_vectors(np.ones((3, 2)), freeze=True, padding_idx=0))
        == "Embedding(3, 2, padding_idx=0, frozen)"
    )
    assert repr(Embedding(3, 2, sparse=True)) == "Embedding(3, 2, sparse=True)"
