"""The layers as modules: drop-in for ``torch.nn``, input forms, initial weights, dropout, mistakes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import unrolled.nn
from unrolled import engine
from unrolled.errors import MissingExtraError, OptionError
from unrolled.layers import GRU, LSTM, RNN, scan
from unrolled.layers.library import library_scan
from unrolled.text.batch import SequenceBatch

PAIRS = [(RNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)]
both = pytest.mark.parametrize(("Ours", "Theirs"), PAIRS, ids=["RNN", "LSTM", "GRU"])
CONFIGURATIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 3, "bidirectional": True},
    {"num_layers": 2, "bias": False, "batch_first": True},
    {"batch_first": True, "bidirectional": True, "dtype": torch.float64},
]


def make(cls: Any, seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    return cls(5, 4, **options)


def flat(result: Any) -> list[Tensor]:
    """The tensors of any output of a layer, in order."""
    if isinstance(result, PackedSequence):
        return [result.data]
    if isinstance(result, SequenceBatch):
        return [result.values]
    return [result] if isinstance(result, Tensor) else [tensor for part in result for tensor in flat(part)]


def assert_equal_results(ours: Any, theirs: Any) -> None:
    for mine, other in zip(flat(ours), flat(theirs), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


def draw_hx(layer: nn.RNNBase, *batch: int) -> Any:
    shape = (layer.num_layers * (2 if layer.bidirectional else 1), *batch, layer.hidden_size)
    states = tuple(torch.randn(shape, dtype=layer.weight_ih_l0.dtype) for _ in range(2))
    return states if isinstance(layer, nn.LSTM | LSTM) else states[0]


@both
@pytest.mark.parametrize("options", CONFIGURATIONS, ids=str)
def test_same_seed_same_weights(Ours: Any, Theirs: Any, options: dict[str, Any]) -> None:
    ours = make(Ours, 7, **options)
    after_ours = torch.rand(3)
    theirs = make(Theirs, 7, **options)
    assert torch.equal(torch.rand(3), after_ours), "another number of random draws"
    mine, other = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(other)
    assert all(torch.equal(mine[name], other[name]) for name in mine)


@both
def test_state_dict_goes_both_ways(Ours: Any, Theirs: Any) -> None:
    x = torch.randn(6, 2, 5)
    for source, target in ((Ours, Theirs), (Theirs, Ours)):
        first, second = make(source, 1, num_layers=2), make(target, 2, num_layers=2)
        second.load_state_dict(first.state_dict(), strict=True)
        assert_equal_results(first(x), second(x))


@both
@pytest.mark.parametrize("options", CONFIGURATIONS, ids=str)
def test_dense_batches_and_single_sequences(Ours: Any, Theirs: Any, options: dict[str, Any]) -> None:
    ours, theirs = make(Ours, **options), make(Theirs, **options)
    dtype = options.get("dtype", torch.float32)
    x = torch.randn(3, 6, 5, dtype=dtype)
    batch = 3 if options.get("batch_first") else 6
    assert_equal_results(ours(x), theirs(x))
    hx = draw_hx(theirs, batch)
    assert_equal_results(ours(x, hx), theirs(x, hx))
    one = torch.randn(7, 5, dtype=dtype)
    hx = draw_hx(theirs)
    result = ours(one, hx)
    assert [t.shape for t in flat(result)] == [t.shape for t in flat(theirs(one, hx))]
    assert_equal_results(result, theirs(one, hx))
    assert_equal_results(ours(one), theirs(one))


def test_positional_arguments_as_in_torch() -> None:
    for cls, other, arguments in (
        (RNN, nn.RNN, (5, 4, 2, "relu", False, True, 0.1, True)),
        (LSTM, nn.LSTM, (5, 4, 2, False, True, 0.1, True)),
        (GRU, nn.GRU, (5, 4, 2, False, True, 0.1, True)),
    ):
        ours, theirs = cls(*arguments), other(*arguments)  # type: ignore[operator]
        assert repr(ours) == repr(theirs)
        names = ("mode", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size")
        assert [getattr(ours, n) for n in names] == [getattr(theirs, n) for n in names]


@both
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [[5, 3, 1], [2, 6, 6, 1]], ids=["sorted", "unsorted"])
def test_packed(Ours: Any, Theirs: Any, batch_first: bool, lengths: list[int]) -> None:
    ours, theirs = (
        make(cls, num_layers=2, bidirectional=True, batch_first=batch_first) for cls in (Ours, Theirs)
    )
    x = torch.randn(len(lengths), max(lengths), 5)
    x = x if batch_first else x.transpose(0, 1)
    hx = draw_hx(theirs, len(lengths))
    ordered = lengths == sorted(lengths, reverse=True)
    for enforce_sorted in (False, True) if ordered else (False,):
        packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first, enforce_sorted)
        result, expected = ours(packed, hx), theirs(packed, hx)
        assert isinstance(result[0], PackedSequence)
        assert torch.equal(result[0].batch_sizes, expected[0].batch_sizes)
        for name in ("sorted_indices", "unsorted_indices"):
            mine, other = getattr(result[0], name), getattr(expected[0], name)
            assert (mine is None and other is None) or torch.equal(mine, other)
        assert_equal_results(result, expected)
        # The output must be unpackable in the user's order.
        assert_equal_results(
            pad_packed_sequence(result[0], batch_first)[0], pad_packed_sequence(expected[0], batch_first)[0]
        )


@both
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind_of_lengths", [list, np.array, torch.tensor], ids=["list", "numpy", "torch"])
def test_padded_with_lengths(Ours: Any, Theirs: Any, batch_first: bool, kind_of_lengths: Any) -> None:
    ours, theirs = (
        make(cls, num_layers=2, bidirectional=True, batch_first=batch_first) for cls in (Ours, Theirs)
    )
    lengths = [2, 6, 0, 1]
    padded = torch.full((4, 8, 5), torch.nan)
    for row, length in zip(padded, lengths, strict=True):
        row[:length] = torch.randn(length, 5)
    hx = draw_hx(theirs, 4)
    out, finals = ours(
        padded if batch_first else padded.transpose(0, 1), hx, lengths=kind_of_lengths(lengths)
    )
    out = out if batch_first else out.transpose(0, 1)
    assert out.shape == (4, 8, 8)
    for b, length in enumerate(lengths):
        assert torch.equal(out[b, length:], torch.zeros(8 - length, 8)), "not zero after the end"
        alone = tuple(s[:, b] for s in hx) if Ours is LSTM else hx[:, b]
        mine = [final[:, b] for final in flat(finals)]
        if length:
            expected, last = theirs(padded[b, :length], alone)
            torch.testing.assert_close(out[b, :length], expected, atol=1e-5, rtol=1e-5)
            assert_equal_results(mine, flat(last))
        else:
            assert_equal_results(mine, flat(alone))


@both
def test_all_forms_of_a_batch_agree(Ours: Any, Theirs: Any) -> None:
    layer = make(Ours, bidirectional=True, batch_first=True)
    lengths = torch.tensor([3, 1, 4])
    padded = torch.randn(3, 4, 5)
    mask = torch.arange(4) < lengths[:, None]
    out, finals = layer(SequenceBatch(padded[mask], lengths))
    assert isinstance(out, SequenceBatch) and torch.equal(out.lengths, lengths)
    padded_out, padded_finals = layer(padded, lengths=lengths)
    assert torch.equal(padded_out[mask], out.values)
    assert_equal_results(padded_finals, finals)
    packed_out, packed_finals = layer(pack_padded_sequence(padded, lengths, True, False))
    torch.testing.assert_close(pad_packed_sequence(packed_out, True)[0], padded_out)
    assert_equal_results(packed_finals, finals)


@both
def test_dropout_between_layers(Ours: Any, Theirs: Any) -> None:
    layer = make(Ours, num_layers=2, dropout=1.0)
    x = torch.randn(6, 2, 5)
    # All of the first layer dropped: the second sees zeros, whatever the input is.
    assert torch.equal(layer(x)[0], layer(torch.randn(6, 2, 5))[0])
    assert_equal_results(layer.eval()(x), make(Theirs, num_layers=2).eval()(x))
    layer = make(Ours, num_layers=2, dropout=0.5)
    assert not torch.equal(layer(x)[0], layer(x)[0])


@both
def test_recurrent_dropout(Ours: Any, Theirs: Any) -> None:
    layer = make(Ours, num_layers=2, bidirectional=True, recurrent_dropout=0.5)
    x = torch.randn(6, 2, 5)
    assert not torch.equal(layer(x)[0], layer(x)[0]), "no dropout in training"
    torch.manual_seed(1)
    first = layer(x)[0]
    torch.manual_seed(1)
    assert torch.equal(layer(x)[0], first)
    first.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())
    assert_equal_results(layer.eval()(x), make(Theirs, num_layers=2, bidirectional=True)(x))


def test_recurrent_dropout_draws_one_mask_a_sequence_and_keeps_the_mean() -> None:
    layer = RNN(1, 64, bias=False, recurrent_dropout=0.25)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.weight_hh_l0.copy_(torch.eye(64))
    h0 = torch.full((1, 400, 64), 1e-3)  # small, so that tanh is the identity
    out, _ = layer(torch.zeros(3, 400, 1), h0)
    factor = out / 1e-3
    kept = factor[0] != 0
    for step in range(3):  # the same features survive at every step, scaled by 4/3 each time
        torch.testing.assert_close(factor[step], kept * (4 / 3) ** (step + 1), atol=1e-3, rtol=1e-3)
    assert abs(float(kept.float().mean()) - 0.75) < 0.02
    assert kept.unique(dim=0).shape[0] > 300, "sequences must not share a mask"


@both
def test_copies_and_pickles(Ours: Any, Theirs: Any) -> None:
    layer = make(Ours, num_layers=2, recurrent_dropout=0.1, tier="loop").eval()
    x = torch.randn(3, 2, 5)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_equal_results(twin(x), layer(x))
        assert repr(twin) == repr(layer)
    assert "recurrent_dropout=0.1, tier=loop" in repr(layer)


@both
def test_no_gradient_asked_none_kept(Ours: Any, Theirs: Any) -> None:
    layer = make(Ours)
    with torch.inference_mode():
        out, _ = layer(torch.randn(3, 2, 5), lengths=[3, 1])
    assert not out.requires_grad


@both
def test_wrong_shapes_name_the_expected_one(Ours: Any, Theirs: Any) -> None:
    layer = make(Ours, num_layers=2)
    batch_first = make(Ours, batch_first=True)
    x = torch.randn(3, 2, 5)
    wrong = torch.randn(3, 2, 6)
    with pytest.raises(ValueError, match=r"\(seq, batch, 5\).*\(seq, 5\), got \(3, 2, 6\)"):
        layer(wrong)
    with pytest.raises(ValueError, match=r"\(batch, seq, 5\).*got \(5,\)"):
        batch_first(torch.randn(5))
    with pytest.raises(ValueError, match=r"data of shape \(total, 5\), got \(6, 6\)"):
        layer(pack_padded_sequence(wrong, torch.tensor([3, 3])))
    with pytest.raises(ValueError, match=r"values of shape \(total, 5\), got \(4, 6\)"):
        layer(SequenceBatch(torch.randn(4, 6), torch.tensor([3, 1])))
    with pytest.raises(ValueError, match="add up to 5, but there are 4"):
        layer(SequenceBatch(torch.randn(4, 5), torch.tensor([3, 2])))
    with pytest.raises(
        ValueError, match=r"lengths of shape \(2,\), each between 0 and 3.*longest length of 4"
    ):
        layer(x, lengths=[1, 4])
    with pytest.raises(ValueError, match=r"lengths of shape \(2,\).*got shape \(3,\)"):
        layer(x, lengths=[1, 1, 1])
    with pytest.raises(ValueError, match="no padding"):
        layer(x[:, 0], lengths=[3])
    with pytest.raises(ValueError, match="carries its own"):
        layer(SequenceBatch(torch.randn(4, 5), torch.tensor([3, 1])), lengths=[3, 1])
    with pytest.raises(TypeError, match="torch tensors"):
        layer(SequenceBatch(np.zeros((2, 5), np.float32), np.array([2])))
    with pytest.raises(TypeError, match="got ndarray"):
        layer(np.zeros((3, 2, 5)))
    with pytest.raises(ValueError, match=r"torch.float32.*got torch.float64"):
        layer(x.double())
    short = torch.zeros(1, 2, 4)
    with pytest.raises(ValueError, match=r"h0 of shape \(2, 2, 4\).*got \(1, 2, 4\)"):
        layer(x, (short, short) if Ours is LSTM else short)
    with pytest.raises(ValueError, match=r"h0 of shape \(2, 4\)"):
        layer(x[:, 0], (short, short) if Ours is LSTM else short)


def test_wrong_kinds_of_initial_states() -> None:
    x, h = torch.randn(3, 2, 5), torch.zeros(1, 2, 4)
    with pytest.raises(ValueError, match="pair"):
        LSTM(5, 4)(x, h)
    with pytest.raises(TypeError, match="h0 as a tensor"):
        GRU(5, 4)(x, (h, h))
    with pytest.raises(ValueError, match=r"c0 of shape \(1, 2, 4\)"):
        LSTM(5, 4)(x, (h, h[:, :1]))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"hidden_size": 0}, "hidden_size"),
        ({"input_size": 2.5}, "input_size"),
        ({"num_layers": 0}, "num_layers"),
        ({"dropout": 1.5}, "dropout"),
        ({"recurrent_dropout": 1.0}, "recurrent_dropout"),
        ({"tier": "fast"}, "tier"),
        ({"nonlinearity": "sin"}, "nonlinearity"),
        ({"proj_size": 2}, "proj_size"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], name: str) -> None:
    cls = LSTM if name == "proj_size" else RNN
    with pytest.raises(OptionError, match=name):
        cls(**{"input_size": 5, "hidden_size": 4, **options})


def test_the_facade() -> None:
    for name in unrolled.nn.__all__:
        assert getattr(unrolled.nn, name).__name__ == name
    assert unrolled.nn.LSTM is LSTM
    assert dir(unrolled.nn) == unrolled.nn.__all__
    with pytest.raises(AttributeError, match="Linear"):
        unrolled.nn.Linear  # noqa: B018


def test_the_facade_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith("unrolled.layers")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        MissingExtraError, match=r"unrolled\.nn\.LSTM needs the package 'torch'.*unrolled\[train\]"
    ):
        unrolled.nn.LSTM  # noqa: B018
    assert unrolled.nn.lstm_step.__name__ == "lstm_step"


def test_auto_uses_the_engine_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(scan, "engine_scan", lambda *a, **k: calls.append("engine") or equation(*a, **k))
    monkeypatch.setattr(scan, "library_scan", lambda *a, **k: calls.append("torch") or library_scan(*a, **k))
    monkeypatch.setattr(engine, "available", lambda: True)
    x = torch.randn(3, 2, 5)
    LSTM(5, 4)(x)
    LSTM(5, 4, recurrent_dropout=0.5)(x)
    LSTM(5, 4, tier="torch")(x)
    LSTM(5, 4, dtype=torch.bfloat16)(x.bfloat16())
    assert calls == ["engine", "engine", "torch", "torch"]


def equation(
    kind: Any, x: Tensor, layout: Any, h0: Tensor, c0: Any, weights: Any, *, mask: Any = None
) -> Any:
    return scan.recurrent_scan(kind, x, layout, h0, c0, weights, mask=mask, tier="equation")


def test_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    notices: list[int] = []
    monkeypatch.setattr(engine, "available", lambda: False)
    monkeypatch.setattr(engine, "reason", lambda: "no compiler")
    monkeypatch.setattr(engine, "notify_missing", lambda: notices.append(1))
    x = torch.randn(3, 2, 5)
    ours, theirs = make(GRU), make(nn.GRU)
    assert_equal_results(ours(x), theirs(x))
    assert notices
    with pytest.raises(OptionError, match=r"tier='engine'.*no compiler"):
        GRU(5, 4, tier="engine")(x)


def test_the_engine_says_what_it_cannot_compute() -> None:
    with pytest.raises(OptionError, match=r"float32 or float64 on the CPU, got torch.bfloat16"):
        GRU(5, 4, tier="engine", dtype=torch.bfloat16)(torch.randn(3, 2, 5).bfloat16())
