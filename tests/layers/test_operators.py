"""The operators of the layers as torch wants operators; and torch's other ways to look inside a function."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

from unrolled import engine
from unrolled.errors import OptionError
from unrolled.layers import GRU, LSTM, RNN
from unrolled.layers.operators import layer as layer_operator
from unrolled.layers.operators import layer_backward

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}
FORMS = {"ragged": ((7, 5), [4, 0, 3]), "padded": ((3, 6, 5), [4, 0, 3]), "dense": ((3, 6, 5), None)}


@pytest.mark.parametrize(
    ("kind", "tier", "form", "masked"),
    [
        ("lstm", "auto", "padded", False),
        ("lstm", "auto", "dense", False),
        ("lstm", "torch", "ragged", False),
        ("gru", "auto", "ragged", True),
        ("rnn_tanh", "loop", "padded", True),
        ("rnn_relu", "auto", "ragged", False),
    ],
)
def test_torch_accepts_the_operators(kind: str, tier: str, form: str, masked: bool) -> None:
    torch.manual_seed(0)
    shape, sizes = FORMS[form]
    lengths = None if sizes is None else torch.tensor(sizes)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, requires_grad=True)

    x, h0 = draw(*shape), draw(2, 3, 4)
    c0 = draw(2, 3, 4) if kind == "lstm" else None
    mask = torch.empty(2, 3, 4).bernoulli_(0.5).mul_(2) if masked else None
    rows = GATES[kind] * 4
    weights = [draw(*s) for _ in range(2) for s in ((rows, 5), (rows, 4), (rows,), (rows,))]
    given = (x, lengths, h0, c0, mask, weights, kind, tier, not masked)
    torch.library.opcheck(layer_operator, given)
    results = [result.detach() for result in layer_operator(*given)]  # type: ignore[arg-type]
    count = 2 if c0 is None else 3
    upstream = [*(torch.randn_like(result) for result in results[:count]), None][:3]
    plain = [None if t is None else t.detach() for t in (x, lengths, h0, c0, mask)]
    torch.library.opcheck(
        layer_backward,
        (*upstream, *plain, [w.detach() for w in weights], results[0], results[count:], kind, tier, masked),
    )


@pytest.fixture(params=[RNN, LSTM, GRU])
def layer(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return request.param(5, 4, batch_first=True, bidirectional=True, dtype=torch.float64)


def draw() -> Tensor:
    return torch.randn(3, 6, 5, dtype=torch.float64)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_vmap(layer: Any) -> None:
    x = torch.stack([draw(), draw()])
    found = torch.func.vmap(lambda each: layer(each)[0])(x)
    torch.testing.assert_close(found, torch.stack([layer(each)[0] for each in x]))


def test_functional_gradient(layer: Any) -> None:
    x, parameters = draw(), dict(layer.named_parameters())
    found = torch.func.grad(lambda p: torch.func.functional_call(layer, p, (x,))[0].square().sum())(
        parameters
    )
    expected = torch.autograd.grad(layer(x)[0].square().sum(), list(parameters.values()))
    for mine, other in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("frozen", [False, True], ids=["trained", "frozen"])
def test_forward_mode(layer: Any, frozen: bool) -> None:
    layer.requires_grad_(not frozen)
    x, direction = draw(), draw()
    with forward_ad.dual_level():
        out = forward_ad.unpack_dual(layer(forward_ad.make_dual(x, direction))[0])
    step = 1e-6
    difference = (layer(x + step * direction)[0] - layer(x - step * direction)[0]) / (2 * step)
    torch.testing.assert_close(out.tangent, difference, atol=1e-7, rtol=1e-6)


@pytest.mark.skipif(not engine.available(), reason="needs the engine")
def test_the_engine_refuses_transformations() -> None:
    demanded = LSTM(5, 4, tier="engine", dtype=torch.float64)
    with pytest.raises(OptionError, match=r"torch\.func"):
        torch.func.vmap(lambda each: demanded(each)[0])(torch.stack([draw(), draw()]))


def test_shapes_without_numbers(layer: Any) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        out, _ = layer(torch.empty(2, 9, 5, dtype=torch.float64))
    assert out.shape == (2, 9, 8)


def test_a_recorded_graph_is_no_constant(layer: Any) -> None:
    graph = make_fx(lambda x, lengths: layer(x, lengths=lengths)[0])(draw(), torch.tensor([2, 0, 6]))
    x, lengths = draw(), torch.tensor([5, 1, 3])
    torch.testing.assert_close(graph(x, lengths), layer(x, lengths=lengths)[0])
