"""The CRF as a layer: gradients, masks, and what torch does around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from unrolled import engine
from unrolled.cells import log_partition, path_score
from unrolled.engine import library
from unrolled.errors import OptionError
from unrolled.layers.layout import Layout
from unrolled.nn import CRF

LENGTHS = [3, 0, 1, 5]
TARGETS = torch.tensor([0, 1, 1, 3, 2, 2, 0, 3, 1])


@pytest.fixture(params=["engine", "numpy"], autouse=True)
def tier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the extension and without."""
    if request.param == "numpy":
        monkeypatch.setattr(library, "_native", None)
    elif not engine.available():
        pytest.skip(f"no compiled engine: {engine.reason()}")
    return str(request.param)


def scores(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(9, 4, dtype=dtype, generator=torch.Generator().manual_seed(1)).requires_grad_()


def crf(dtype: torch.dtype = torch.float64, **masks: Any) -> CRF:
    torch.manual_seed(2)
    return CRF(4, dtype=dtype, **masks)


def no_way(*pairs: tuple[int, int]) -> Tensor:
    allowed = torch.ones(4, 4, dtype=torch.bool)
    for a, b in pairs:
        allowed[a, b] = False
    return allowed


def by_equation(layer: CRF, x: Tensor) -> Tensor:
    """The losses by the equations, which torch differentiates."""
    weights = (layer.transitions, layer.start, layer.end)
    losses = []
    for part, tags in zip(x.split(LENGTHS), TARGETS.split(LENGTHS), strict=True):
        if not len(part):
            losses.append(x.new_zeros(()))
            continue
        losses.append(log_partition(part, *weights) - path_score(part, *weights, tags.tolist()))
    return torch.stack(losses)


def test_loss_and_gradients_are_those_of_the_equations() -> None:
    layer, x = crf(), scores()
    upstream = torch.tensor([1.0, 3.0, -0.5, 0.25], dtype=torch.float64)
    inputs = [x, *layer.parameters()]
    for weights in (upstream, torch.ones_like(upstream), torch.full_like(upstream, 0.25)):
        found, wanted = layer(x, LENGTHS, TARGETS), by_equation(layer, x)
        torch.testing.assert_close(found, wanted)
        gradients = torch.autograd.grad(found, inputs, weights)
        torch.testing.assert_close(gradients, torch.autograd.grad(wanted, inputs, weights))


def test_finite_differences_of_all_inputs() -> None:
    layer = crf(allowed=no_way((1, 2), (3, 3)), allowed_start=torch.tensor([True, True, False, True]))

    def losses(x: Tensor, *weights: Tensor) -> Tensor:
        named = dict(zip(("transitions", "start", "end"), weights, strict=True))
        found: Tensor = torch.func.functional_call(
            layer, named, (x, LENGTHS, TARGETS - (TARGETS == 2).long())
        )
        return found

    layer.allowed[1, 1] = True  # type: ignore[index]
    assert torch.autograd.gradcheck(losses, (scores(), layer.transitions, layer.start, layer.end))


def test_lengths_in_every_form() -> None:
    layer, x = crf(), scores()
    expected = layer(x, LENGTHS, TARGETS)
    for lengths in (torch.tensor(LENGTHS), np.array(LENGTHS, np.int32), Layout(LENGTHS)):
        torch.testing.assert_close(layer(x, lengths, TARGETS), expected, rtol=0, atol=0)
    torch.testing.assert_close(layer(x, LENGTHS, TARGETS.int()), expected, rtol=0, atol=0)


def test_what_is_forbidden_never_happens() -> None:
    layer = crf(
        allowed=no_way((0, 1), (0, 2), (0, 3)),
        allowed_start=torch.tensor([True, False, False, False]),
        allowed_end=torch.tensor([True, True, True, False]),
    )
    with torch.no_grad():
        layer.transitions[0, 1] = layer.start[3] = 100.0
    x = scores()
    tags, best = layer.decode(x, LENGTHS)
    assert tags.tolist() == [0] * 9
    assert tags.dtype == torch.int64
    assert best.shape == (4,)
    marginals = layer.marginals(x, LENGTHS)
    torch.testing.assert_close(marginals[:, 0], torch.ones(9, dtype=torch.float64))
    assert not marginals[:, 1:].any()
    losses = layer(x, LENGTHS, tags)
    torch.testing.assert_close(losses, torch.zeros_like(losses))
    losses.sum().backward()
    for weight in (layer.transitions, layer.start):  # certain of the one path that there is
        torch.testing.assert_close(weight.grad, torch.zeros_like(weight))
    with pytest.raises(ValueError, match="sequence 0 go from tag 0 to tag 1 at word 1"):
        layer(x, LENGTHS, TARGETS)


def test_marginals_are_probabilities() -> None:
    layer, x = crf(torch.float32), scores(torch.float32)
    found = layer.marginals(x, LENGTHS)
    assert not found.requires_grad
    torch.testing.assert_close(found.sum(1), torch.ones(9))
    summed = torch.autograd.grad(by_equation(layer, x).sum(), x)[0]
    torch.testing.assert_close(found - torch.nn.functional.one_hot(TARGETS, 4), summed)


def test_half_precision_is_computed_in_float32() -> None:
    layer, x = crf(torch.float32), scores(torch.float32)
    rough = x.detach().bfloat16().requires_grad_()
    found = layer(rough, LENGTHS, TARGETS)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, layer(rough.float(), LENGTHS, TARGETS).bfloat16())
    found.sum().backward()
    assert rough.grad is not None and rough.grad.dtype == torch.bfloat16
    assert layer.end.grad is not None and layer.end.grad.dtype == torch.float32


def test_no_second_derivative() -> None:
    layer, x = crf(), scores()
    (gradient,) = torch.autograd.grad(layer(x, LENGTHS, TARGETS).sum(), x, create_graph=True)
    plain = torch.autograd.grad(layer(x, LENGTHS, TARGETS).sum(), x)[0]
    torch.testing.assert_close(gradient.detach(), plain, rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="cannot be differentiated twice"):
        gradient.square().sum().backward()


def test_no_sequences() -> None:
    layer, x = crf(), scores()[:0]
    found = layer(x, [], TARGETS[:0])
    assert found.shape == (0,)
    found.sum().backward()
    assert layer.transitions.grad is not None and not layer.transitions.grad.any()
    assert layer.decode(x, [])[0].shape == (0,)


def test_training_learns_the_transitions() -> None:
    """Tags that alternate, and scores that say nothing."""
    torch.manual_seed(0)
    layer = CRF(2)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    targets = torch.tensor([0, 1] * 10)
    for _ in range(60):
        optimizer.zero_grad()
        loss = layer(torch.zeros(20, 2), [8, 12], targets).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5
    assert layer.decode(torch.zeros(6, 2), [6])[0].tolist() == [0, 1, 0, 1, 0, 1]


def test_saved_weights_carry_the_masks() -> None:
    layer = crf(allowed=no_way((0, 1)).numpy())
    assert set(layer.state_dict()) == {"transitions", "start", "end", "allowed"}
    other = crf(allowed=no_way())
    other.load_state_dict(layer.state_dict())
    assert other.allowed is not None and not bool(other.allowed[0, 1])
    assert str(layer) == "CRF(4)"


def test_a_compiled_caller(tier: str) -> None:
    layer, x = crf(), scores()
    run = torch.compile(lambda v: layer(v * 2, LENGTHS, TARGETS).sum() * 3, backend="eager")
    torch.testing.assert_close(run(x), layer(x * 2, LENGTHS, TARGETS).sum() * 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tags": 0}, "0 tags"),
        ({"tags": 3, "allowed": torch.ones(3, 2, dtype=torch.bool)}, r"allowed has shape \(3, 2\)"),
        ({"tags": 3, "allowed": torch.ones(3, 3)}, r"torch\.float32; give \(3, 3\) of torch\.bool"),
        ({"tags": 3, "allowed_end": torch.ones(2, dtype=torch.bool)}, "allowed_end has shape"),
    ],
)
def test_options_that_cannot_be(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        CRF(**arguments)


@pytest.mark.parametrize(
    ("shape", "lengths", "words"),
    [
        ((9, 3), LENGTHS, "transitions has shape"),
        ((9, 4), [3, 5], "add up to 8"),
        ((9, 4), [10, -1], "negative"),
    ],
)
def test_shapes_that_do_not_fit(shape: tuple[int, int], lengths: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        crf()(torch.zeros(shape, dtype=torch.float64), lengths, TARGETS)
