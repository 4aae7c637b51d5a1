"""A whole reader of ragged texts, from ids to an answer, compiled and exported: one graph for every batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export

import unrolled.nn
from unrolled.text.batch import SequenceBatch

POOLS = ("first", "last", "segment_max", "segment_mean", "segment_sum", "segment_softmax", "reverse")


class Reader(nn.Module):
    def __init__(self, pool: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = unrolled.nn.Embedding(20, 5)
        self.layer = unrolled.nn.LSTM(5, 4, bidirectional=True)
        self.outer = nn.Linear(8, 2)
        self.pool = getattr(unrolled.nn, pool)

    def forward(self, batch: SequenceBatch) -> Tensor:
        out, _ = self.layer(self.embedding(batch))
        answer: Tensor = self.outer(self.pool(out.values, out.lengths))
        return answer


def ids(*lengths: int) -> SequenceBatch:
    return SequenceBatch(torch.randint(20, (sum(lengths),)), torch.tensor(lengths))


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("pool", POOLS)
def test_compiled(pool: str) -> None:
    model = Reader(pool)
    run: Any = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=True)
    for batch in (ids(3, 0, 2), ids(5, 1, 1, 1), ids(7, 2)):
        answers = [each(batch) for each in (run, model)]
        torch.testing.assert_close(*answers)
        found = [torch.autograd.grad(a.square().sum(), list(model.parameters())) for a in answers]
        for mine, other in zip(*found, strict=True):
            torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("pool", POOLS)
def test_exported(pool: str) -> None:
    model = Reader(pool)
    shapes = ([{0: Dim("total")}, {0: Dim("batch")}],)
    module = export(model, (ids(3, 0, 2),), dynamic_shapes=shapes).module()
    for batch in (ids(6, 1, 2, 2), ids(1, 9)):
        torch.testing.assert_close(module(batch), model(batch))


def test_mistakes_are_found_when_the_graph_runs() -> None:
    run = torch.compile(Reader("last"), fullgraph=True, backend="aot_eager", dynamic=True)
    run(ids(2, 2))
    with pytest.raises(IndexError, match="out of range"):
        run(SequenceBatch(torch.tensor([1, 25, 3, 4]), torch.tensor([2, 2])))
    with pytest.raises(ValueError, match="add up to 3, but there are 4"):
        run(SequenceBatch(torch.tensor([1, 5, 3, 4]), torch.tensor([2, 1])))


def test_pooling_alone_checks_its_lengths() -> None:
    run = torch.compile(unrolled.nn.segment_sum, fullgraph=True, backend="aot_eager")
    with pytest.raises(RuntimeError):
        run(torch.randn(4, 2), torch.tensor([2, 1]))
