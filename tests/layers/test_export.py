"""The layers under ``torch.export``: any batch and length, saved and loaded."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export

from unrolled import engine
from unrolled.layers import GRU, LSTM, RNN
from unrolled.text.batch import SequenceBatch

BATCH, SEQ, TOTAL = Dim("batch"), Dim("seq"), Dim("total")
SHAPES = [(3, 6), (1, 4), (8, 2), (5, 30)]
every_layer = pytest.mark.parametrize("Layer", [RNN, LSTM, GRU])


class Padded(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        return self.layer(x, lengths=lengths)


class Ragged(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, batch: SequenceBatch) -> Any:
        return self.layer(batch)


def make(cls: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    return cls(5, 4, num_layers=2, bidirectional=True, batch_first=True, **options)


def reloaded(program: ExportedProgram) -> nn.Module:
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    module: nn.Module = torch.export.load(buffer).module()
    return module


def draw_lengths(batch: int, steps: int) -> Tensor:
    lengths = torch.arange(batch) % (steps + 1)
    lengths[-1] = steps
    return lengths


def assert_same(ours: Any, theirs: Any) -> None:
    for mine, other in zip(
        torch.utils._pytree.tree_leaves(ours), torch.utils._pytree.tree_leaves(theirs), strict=True
    ):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("strict", [False, True], ids=["", "strict"])
@every_layer
def test_padded(Layer: Any, strict: bool) -> None:
    model = Padded(make(Layer))
    example = (torch.randn(3, 6, 5), torch.tensor([6, 0, 1]))
    program = export(model, example, dynamic_shapes=({0: BATCH, 1: SEQ}, {0: BATCH}), strict=strict)
    loaded = reloaded(program)
    for batch, steps in SHAPES:
        given = torch.randn(batch, steps, 5), draw_lengths(batch, steps)
        assert_same(loaded(*given), model(*given))


@every_layer
def test_dense_with_states(Layer: Any) -> None:
    layer = make(Layer, dtype=torch.float64)

    def draw(batch: int, steps: int) -> Any:
        states = tuple(torch.randn(4, batch, 4, dtype=torch.float64) for _ in range(2))
        x = torch.randn(batch, steps, 5, dtype=torch.float64)
        return x, states if Layer is LSTM else states[0]

    states = ({1: BATCH}, {1: BATCH}) if Layer is LSTM else {1: BATCH}
    program = export(layer, draw(3, 6), dynamic_shapes=({0: BATCH, 1: SEQ}, states))
    loaded = reloaded(program)
    for batch, steps in SHAPES:
        given = draw(batch, steps)
        assert_same(loaded(*given), layer(*given))


@every_layer
def test_ragged(Layer: Any) -> None:
    model = Ragged(make(Layer))
    example = SequenceBatch(torch.randn(7, 5), torch.tensor([6, 0, 1]))
    program = export(model, (example,), dynamic_shapes=([{0: TOTAL}, {0: BATCH}],))
    loaded = reloaded(program)
    for batch, steps in SHAPES:
        lengths = draw_lengths(batch, steps)
        given = SequenceBatch(torch.randn(int(lengths.sum()), 5), lengths)
        out, finals = loaded(given)
        assert isinstance(out, SequenceBatch) and torch.equal(out.lengths, lengths)
        assert_same((out.values, finals), (model(given)[0].values, model(given)[1]))


def test_an_exported_layer_saves_nothing_and_can_be_trained() -> None:
    model = Padded(make(LSTM))
    given = (torch.randn(3, 6, 5), torch.tensor([6, 0, 1]))
    program = export(model, given, dynamic_shapes=({0: BATCH, 1: SEQ}, {0: BATCH}))
    calls = [node for node in program.graph.nodes if "unrolled" in str(node.target)]
    assert [node.args[-1] for node in calls] == [False, False]
    exported = program.module()
    for module in (exported, model):
        out, (h, c) = module(*given)
        (out.square().sum() + h.sum() + c.sum()).backward()
    expected = dict(model.named_parameters())
    for name, parameter in exported.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad)


def test_where_there_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Padded(make(GRU))
    given = (torch.randn(3, 6, 5), torch.tensor([6, 0, 1]))
    loaded = reloaded(export(model, given))
    expected = model(*given)
    monkeypatch.setattr(engine, "available", lambda: False)
    monkeypatch.setattr(engine, "notify_missing", lambda: None)
    found = loaded(*given)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_in_another_process(tmp_path: Path) -> None:
    model = Padded(make(LSTM))
    given = (torch.randn(3, 6, 5), torch.tensor([6, 0, 1]))
    program = export(model, given, dynamic_shapes=({0: BATCH, 1: SEQ}, {0: BATCH}))
    torch.export.save(program, tmp_path / "layer.pt2")
    other = (torch.randn(2, 9, 5), torch.tensor([9, 4]))
    torch.save(
        (other, [t.detach() for t in torch.utils._pytree.tree_leaves(model(*other))]), tmp_path / "io.pt"
    )
    code = """
import sys, torch, unrolled.layers
loaded = torch.export.load(sys.argv[1] + "/layer.pt2").module()
given, expected = torch.load(sys.argv[1] + "/io.pt")
found = torch.utils._pytree.tree_leaves(loaded(*given))
assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
