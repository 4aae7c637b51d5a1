"""Every tier of every recurrent layer against ``torch.nn``: outputs, final states and all gradients.

torch refuses sequences of length 0 and, padded, gets the reverse direction wrong. So the reference runs torch
on one sequence at a time, which has neither padding nor an order. A sequence without steps keeps its states.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from unrolled import engine
from unrolled.layers import GRU, LSTM, RNN, RecurrentLayer
from unrolled.layers.layout import Layout
from unrolled.layers.library import library_stack
from unrolled.layers.scan import Tier, recurrent_scan
from unrolled.text.batch import SequenceBatch

FASTER: tuple[Tier, ...] = ("loop", "torch", *(("engine",) if engine.available() else ()))  # type: ignore[assignment]
RUNNABLE: tuple[Tier, ...] = ("equation", *FASTER)
KINDS = ("rnn_tanh", "rnn_relu", "lstm", "gru")
LENGTHS = ([3, 0, 1, 5, 5, 2], [4, 4, 4], [1], [0, 0], [9, 1, 1, 0, 1, 1])


def pair(kind: str, *sizes: int, tier: Tier = "auto", **options: Any) -> tuple[RecurrentLayer, nn.RNNBase]:
    """Our layer and torch's, made from the same seed."""
    seed = int(torch.randint(1 << 30, ()))
    made: list[Any] = []
    for ours in (True, False):
        torch.manual_seed(seed)
        extra = {"tier": tier} if ours else {}
        if kind == "lstm":
            made.append((LSTM if ours else nn.LSTM)(*sizes, **options, **extra))
        elif kind == "gru":
            made.append((GRU if ours else nn.GRU)(*sizes, **options, **extra))
        else:
            nonlinearity = kind.removeprefix("rnn_")
            made.append((RNN if ours else nn.RNN)(*sizes, nonlinearity=nonlinearity, **options, **extra))
    return made[0], made[1]


def draw_states(layer: nn.RNNBase, batch: int) -> list[Tensor]:
    shape = (layer.num_layers * (2 if layer.bidirectional else 1), batch, layer.hidden_size)
    dtype = layer.weight_ih_l0.dtype
    count = 2 if isinstance(layer, nn.LSTM | LSTM) else 1
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(count)]


def as_hx(states: list[Tensor]) -> Any:
    return states[0] if len(states) == 1 else (states[0], states[1])


def as_list(result: Any) -> list[Tensor]:
    return list(result) if isinstance(result, tuple) else [result]


def reference(theirs: nn.RNNBase, x: Tensor, lengths: list[int], states: list[Tensor]) -> list[Tensor]:
    """torch on each sequence alone: ragged output and final states."""
    outputs: list[Tensor] = []
    finals: list[list[Tensor]] = []
    for b, sequence in enumerate(torch.split(x, lengths)):
        alone = [state[:, b].contiguous() for state in states]
        if len(sequence):
            out, last = theirs(sequence, as_hx(alone))
            outputs.append(out)
            alone = as_list(last)
        finals.append(alone)
    width = theirs.hidden_size * (2 if theirs.bidirectional else 1)
    out = torch.cat(outputs) if outputs else x.new_zeros(0, width)
    return [out, *(torch.stack(parts, dim=1) for parts in zip(*finals, strict=True))]


def gradients(results: list[Tensor], upstream: list[Tensor], inputs: list[Tensor]) -> list[Tensor]:
    used = [(r, u) for r, u in zip(results, upstream, strict=True) if r.requires_grad]
    found = torch.autograd.grad([r for r, _ in used], inputs, [u for _, u in used], allow_unused=True)
    return [torch.zeros_like(i) if g is None else g for g, i in zip(found, inputs, strict=True)]


def assert_same(
    ours: list[Tensor],
    theirs: list[Tensor],
    our_inputs: list[Tensor],
    their_inputs: list[Tensor],
    tolerance: float = 1e-5,
) -> None:
    upstream = [torch.randn_like(result) for result in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=tolerance, rtol=tolerance)
    mine_all, others = gradients(ours, upstream, our_inputs), gradients(theirs, upstream, their_inputs)
    for mine, other in zip(mine_all, others, strict=True):
        # Gradients of weights are sums over all tokens: the scale of the largest is their unit.
        scale = max(1.0, float(other.abs().max())) if other.numel() else 1.0
        torch.testing.assert_close(mine / scale, other / scale, atol=tolerance, rtol=tolerance)


def check(ours: RecurrentLayer, theirs: nn.RNNBase, lengths: list[int], tolerance: float = 1e-5) -> None:
    x = torch.randn(sum(lengths), ours.input_size, dtype=ours.weight_ih_l0.dtype, requires_grad=True)
    states = draw_states(theirs, len(lengths))
    out, finals = ours(SequenceBatch(x, torch.tensor(lengths, dtype=torch.int64)), as_hx(states))
    assert out.lengths.tolist() == lengths
    assert_same(
        [out.values, *as_list(finals)],
        reference(theirs, x, lengths, states),
        [x, *states, *ours.parameters()],
        [x, *states, *theirs.parameters()],
        tolerance,
    )


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("tier", RUNNABLE)
@pytest.mark.parametrize("kind", KINDS)
def test_ragged(kind: str, tier: Tier, layers: int, bidirectional: bool, lengths: list[int]) -> None:
    torch.manual_seed(0)
    check(*pair(kind, 5, 6, num_layers=layers, bidirectional=bidirectional, tier=tier), lengths)


@pytest.mark.parametrize("tier", RUNNABLE)
@pytest.mark.parametrize("kind", KINDS)
def test_without_bias(kind: str, tier: Tier) -> None:
    torch.manual_seed(1)
    check(*pair(kind, 3, 4, num_layers=2, bias=False, bidirectional=True, tier=tier), [2, 0, 7, 1])


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_shape(data: st.DataObject) -> None:
    kind, tier = data.draw(st.sampled_from(KINDS)), data.draw(st.sampled_from(RUNNABLE))
    small = st.integers(1, 9)
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    ours, theirs = pair(
        kind,
        data.draw(small),
        data.draw(small),
        num_layers=data.draw(st.integers(1, 3)),
        bias=data.draw(st.booleans()),
        bidirectional=data.draw(st.booleans()),
        tier=tier,
    )
    check(ours, theirs, data.draw(st.lists(st.integers(0, 12), min_size=1, max_size=6)))


@pytest.mark.parametrize("tier", RUNNABLE)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "lengths", [[150, 1, 20, 0], [150, 1, 120]], ids=["mostly padding", "little padding"]
)
def test_long_sequences_beside_short_ones(kind: str, tier: Tier, lengths: list[int]) -> None:
    torch.manual_seed(2)
    check(*pair(kind, 4, 8, bidirectional=True, dtype=torch.float64, tier=tier), lengths, 1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_without_sequences(kind: str) -> None:
    for tier in RUNNABLE:
        ours, _ = pair(kind, 3, 4, num_layers=2, bidirectional=True, tier=tier)
        out, finals = ours(SequenceBatch(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)))
        assert out.values.shape == (0, 8)
        assert all(final.shape == (4, 0, 4) for final in as_list(finals))


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_all_layers_in_one_call(kind: str, bias: bool, bidirectional: bool) -> None:
    """The path of a GPU, run here on the processor."""
    torch.manual_seed(3)
    _, theirs = pair(kind, 5, 6, num_layers=2, bias=bias, bidirectional=bidirectional)
    for lengths in LENGTHS:
        x = torch.randn(sum(lengths), 5, requires_grad=True)
        states = draw_states(theirs, len(lengths))
        results = library_stack(
            kind,  # type: ignore[arg-type]
            x,
            Layout(lengths),
            states[0],
            states[1] if kind == "lstm" else None,
            list(theirs.parameters()),
            bias=bias,
            layers=2,
            bidirectional=bidirectional,
            dropout=0.0,
            training=True,
        )
        inputs = [x, *states, *theirs.parameters()]
        ours = [result for result in results if result is not None]
        assert_same(ours, reference(theirs, x, lengths, states), inputs, inputs)


@pytest.mark.parametrize("tier", RUNNABLE)
@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm", "gru"])
def test_gradcheck(kind: str, tier: Tier) -> None:
    torch.manual_seed(4)
    ours, _ = pair(kind, 2, 3, num_layers=2, bidirectional=True, dtype=torch.float64, tier=tier)
    lengths = torch.tensor([2, 0, 3, 1])
    names = [name for name, _ in ours.named_parameters()]
    x = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    states = draw_states(ours, 4)

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        hx = as_hx(list(rest[: len(states)]))
        weights = dict(zip(names, rest[len(states) :], strict=True))
        out, finals = torch.func.functional_call(ours, weights, (SequenceBatch(x, lengths), hx))
        return (out.values, *as_list(finals))

    assert torch.autograd.gradcheck(run, (x, *states, *ours.parameters()), fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mask_value", [0.0, 2.0])
def test_recurrent_dropout_scales_the_recurrent_product(kind: str, mask_value: float) -> None:
    """A constant mask is the same as recurrent weights scaled by it: an equal that torch can compute."""
    torch.manual_seed(5)
    ours, theirs = pair(kind, 4, 3, bidirectional=True)
    lengths = [3, 0, 5, 1]
    x = torch.randn(9, 4)
    states = [state.detach() for state in draw_states(theirs, 4)]
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "weight_hh" in name:
                parameter.mul_(mask_value)
        expected = reference(theirs, x, lengths, states)
        for tier in RUNNABLE:
            results = recurrent_scan(
                ours.kind,
                x,
                Layout(lengths),
                states[0],
                states[1] if kind == "lstm" else None,
                [ours.weights(0, 0), ours.weights(0, 1)],
                mask=torch.full_like(states[0], mask_value),
                tier=tier,
            )
            for mine, other in zip([r for r in results if r is not None], expected, strict=True):
                torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tier", FASTER)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_with_recurrent_dropout(kind: str, tier: Tier) -> None:
    """The mask of each tier and its gradients, against the equation."""
    torch.manual_seed(6)
    layer, theirs = pair(kind, 4, 3, bidirectional=True)
    x = torch.randn(9, 4, requires_grad=True)
    states = draw_states(theirs, 4)
    mask = torch.empty_like(states[0]).bernoulli_(0.6).div_(0.6)
    inputs = [x, *states, *layer.parameters()]

    def run(tier: Tier) -> list[Tensor]:
        c0 = states[1] if kind == "lstm" else None
        weights = [layer.weights(0, 0), layer.weights(0, 1)]
        results = recurrent_scan(
            layer.kind, x, Layout([3, 0, 5, 1]), states[0], c0, weights, mask=mask, tier=tier
        )
        return [result for result in results if result is not None]

    assert_same(run(tier), run("equation"), inputs, inputs)


@pytest.mark.parametrize("tier", RUNNABLE)
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_one_result_alone(kind: str, tier: Tier) -> None:
    torch.manual_seed(7)
    ours, theirs = pair(kind, 4, 3, bidirectional=True, tier=tier)
    x = torch.randn(9, 4)
    lengths = [3, 1, 5]
    for position in range(3 if kind == "lstm" else 2):
        states = [state.detach() for state in draw_states(theirs, 3)]
        out, finals = ours(SequenceBatch(x, torch.tensor(lengths)), as_hx(states))
        mine = [out.values, *as_list(finals)][position]
        other = reference(theirs, x, lengths, states)[position]
        assert_same([mine], [other], list(ours.parameters()), list(theirs.parameters()))


@pytest.mark.parametrize("tier", RUNNABLE)
def test_frozen_weights_still_pass_a_gradient_to_the_input(tier: Tier) -> None:
    torch.manual_seed(8)
    ours, theirs = pair("lstm", 4, 3, tier=tier)
    ours.requires_grad_(False)
    theirs.requires_grad_(False)
    x = torch.randn(9, 4, requires_grad=True)
    states = [state.detach() for state in draw_states(theirs, 3)]
    out, _ = ours(SequenceBatch(x, torch.tensor([3, 1, 5])), as_hx(states))
    assert_same([out.values], reference(theirs, x, [3, 1, 5], states)[:1], [x], [x])
