"""The layers under ``torch.compile``: no break of the graph, numbers as in eager code and ``torch.nn``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch._inductor import config as inductor_config
from torch.nn.utils.rnn import pack_padded_sequence

from unrolled import engine
from unrolled.layers import GRU, LSTM, RNN
from unrolled.text.batch import SequenceBatch

PAIRS = [(RNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)]
every_layer = pytest.mark.parametrize(("Ours", "Theirs"), PAIRS, ids=["RNN", "LSTM", "GRU"])
LENGTHS = [6, 0, 1]


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compiled(function: Any, **options: Any) -> Any:
    return torch.compile(function, fullgraph=True, backend="aot_eager", **options)


def make(cls: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    return cls(5, 4, **{"num_layers": 2, "bidirectional": True, **options})


def draw_hx(layer: nn.RNNBase, *batch: int) -> Any:
    shape = (layer.num_layers * (2 if layer.bidirectional else 1), *batch, layer.hidden_size)
    dtype = layer.weight_ih_l0.dtype
    states = tuple(torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(2))
    return states if isinstance(layer, nn.LSTM | LSTM) else states[0]


def flat(result: Any) -> list[Tensor]:
    """The tensors of any input or output of a layer, in order."""
    if isinstance(result, SequenceBatch):
        return [result.values]
    return [result] if isinstance(result, Tensor) else [tensor for part in result for tensor in flat(part)]


def results_and_gradients(
    run: Callable[..., Any], data: Any, hx: Any, parameters: Iterator[Tensor], **options: Any
) -> list[Tensor]:
    """All outputs, then the gradients of a loss over them for input, states and parameters."""
    inputs = [*flat(data), *([] if hx is None else flat(hx)), *parameters]
    results = flat(run(data, hx, **options))
    loss = sum((result * (result + 0.5).cos()).sum() for result in results)
    gradients = torch.autograd.grad(loss, inputs)  # type: ignore[arg-type]
    return [tensor.detach() for tensor in (*results, *gradients)]


def assert_same(ours: list[Tensor], others: list[Tensor], tolerance: float = 1e-5) -> None:
    for mine, other in zip(ours, others, strict=True):
        torch.testing.assert_close(mine, other, atol=tolerance, rtol=tolerance)


def inputs_of(form: str, layer: nn.RNNBase) -> tuple[Any, Any, dict[str, Any]]:
    """Input, initial states and further arguments in one of the input forms."""
    dtype = layer.weight_ih_l0.dtype
    if form == "one sequence":
        return torch.randn(6, 5, dtype=dtype, requires_grad=True), draw_hx(layer), {}
    if form == "ragged":
        values = torch.randn(sum(LENGTHS), 5, dtype=dtype, requires_grad=True)
        return SequenceBatch(values, torch.tensor(LENGTHS)), draw_hx(layer, 3), {}
    shape = (3, 8, 5) if layer.batch_first else (8, 3, 5)
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    if form == "dense":
        return x, draw_hx(layer, 3), {}
    return x, draw_hx(layer, 3), {"lengths": torch.tensor(LENGTHS) if form == "padded" else LENGTHS}


@every_layer
@pytest.mark.parametrize("form", ["dense", "one sequence"])
def test_as_torch(Ours: Any, Theirs: Any, form: str) -> None:
    ours, theirs = make(Ours), make(Theirs)
    data, hx, _ = inputs_of(form, ours)
    for states in (hx, None):
        assert_same(
            results_and_gradients(compiled(ours), data, states, ours.parameters()),
            results_and_gradients(theirs, data, states, theirs.parameters()),
        )


@every_layer
@pytest.mark.parametrize(
    ("form", "batch_first"),
    [("dense", True), ("padded", True), ("padded", False), ("padded, list", True), ("ragged", True)],
)
def test_as_eager(Ours: Any, Theirs: Any, form: str, batch_first: bool) -> None:
    layer = make(Ours, batch_first=batch_first)
    data, hx, options = inputs_of(form, layer)
    assert_same(
        results_and_gradients(compiled(layer), data, hx, layer.parameters(), **options),
        results_and_gradients(layer, data, hx, layer.parameters(), **options),
        tolerance=1e-6,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": torch.float64},
        {"bias": False},
        {"num_layers": 1, "bidirectional": False},
        {"tier": "torch"},
        {"tier": "loop"},
        {"tier": "equation"},
        {"dtype": torch.bfloat16},
    ],
    ids=str,
)
@every_layer
def test_options_and_tiers(Ours: Any, Theirs: Any, options: dict[str, Any]) -> None:
    layer = make(Ours, **options)
    data, hx, more = inputs_of("padded", layer)
    tolerance = 0.05 if layer.weight_ih_l0.dtype == torch.bfloat16 else 1e-6
    assert_same(
        results_and_gradients(compiled(layer), data, hx, layer.parameters(), **more),
        results_and_gradients(layer, data, hx, layer.parameters(), **more),
        tolerance,
    )


@every_layer
def test_without_the_engine(Ours: Any, Theirs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make(Ours)
    data, hx, more = inputs_of("padded", layer)
    expected = results_and_gradients(layer, data, hx, layer.parameters(), **more)
    monkeypatch.setattr(engine, "available", lambda: False)
    monkeypatch.setattr(engine, "notify_missing", lambda: None)
    assert_same(results_and_gradients(compiled(layer), data, hx, layer.parameters(), **more), expected)


@pytest.mark.parametrize("form", ["dense", "padded", "ragged"])
def test_one_graph_for_all_shapes(form: str) -> None:
    layer = make(LSTM, batch_first=True)
    counter = CompileCounterWithBackend("aot_eager")
    run = torch.compile(layer, fullgraph=True, backend=counter, dynamic=True)
    graphs: set[int] = set()
    for batch, steps in ((3, 8), (5, 2), (2, 30)):
        lengths = torch.arange(batch) % (steps + 1)
        lengths[-1] = steps
        options = {"lengths": lengths} if form == "padded" else {}
        data: Any = torch.randn(batch, steps, 5)
        if form == "ragged":
            data = SequenceBatch(torch.randn(int(lengths.sum()), 5), lengths)
        ours, eager = run(data, **options), layer(data, **options)
        graphs.add(counter.frame_count)
        assert_same(flat(ours), flat(eager), 1e-6)
        if form == "ragged":
            assert isinstance(ours[0], SequenceBatch) and torch.equal(ours[0].lengths, lengths)
    assert len(graphs) == 1, "compiled again for another shape"


class Tagger(nn.Module):
    """A layer between others, as a user has it."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.inner = nn.Linear(5, 5)
        self.layer = make(LSTM, batch_first=True, **options)
        self.outer = nn.Linear(8, 3)

    def forward(self, x: Tensor, lengths: Tensor | None, target: Tensor) -> Tensor:
        out, _ = self.layer(self.inner(x).tanh(), lengths=lengths)
        return nn.functional.cross_entropy(self.outer(out).flatten(0, 1), target.flatten())


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("aot_eager", {}),
        ("aot_eager", {"dropout": 0.5}),
        ("aot_eager", {"recurrent_dropout": 0.5}),
        pytest.param("inductor", {}, marks=pytest.mark.slow),
        pytest.param("inductor", {"dropout": 0.3, "recurrent_dropout": 0.2}, marks=pytest.mark.slow),
    ],
    ids=str,
)
@inductor_config.patch(fallback_random=True)  # else inductor draws other random numbers than eager code
def test_a_training_step(backend: str, options: dict[str, Any]) -> None:
    model = Tagger(**options)
    x, target = torch.randn(3, 8, 5), torch.randint(3, (3, 8))
    run = torch.compile(model, fullgraph=True, backend=backend)
    steps: list[list[Tensor]] = []
    for step in (run, model):
        torch.manual_seed(1)
        loss = step(x, None, target)
        steps.append([loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))])
    assert_same(*steps)
    padded = (x, torch.tensor([8, 0, 3]), target)
    if options:
        assert not torch.equal(run(*padded), run(*padded)), "no dropout"
    else:
        found = [torch.autograd.grad(step(*padded), list(model.parameters())) for step in (run, model)]
        assert_same(*(list(gradients) for gradients in found))


def test_no_grad_saves_nothing() -> None:
    layer = make(LSTM)
    graphs: list[torch.fx.GraphModule] = []

    def look(graph: torch.fx.GraphModule, _: Any) -> Any:
        graphs.append(graph)
        return graph

    run = torch.compile(layer, fullgraph=True, backend=look)
    x = torch.randn(6, 2, 5)
    with torch.no_grad():
        out, _ = run(x)
    assert not out.requires_grad and torch.equal(out, layer(x)[0])
    run(x)
    saves = [
        [node.args[-1] for node in graph.graph.nodes if "unrolled" in str(node.target)] for graph in graphs
    ]
    assert saves == [[False, False], [True, True]]


def test_frozen_weights_and_a_gradient_of_one_result() -> None:
    layer = make(LSTM).requires_grad_(False)
    x = torch.randn(6, 2, 5, requires_grad=True)
    for pick in (lambda r: r[0], lambda r: r[1][0], lambda r: r[1][1]):
        (ours,) = torch.autograd.grad(pick(compiled(layer)(x)).sum(), x)
        (eager,) = torch.autograd.grad(pick(layer(x)).sum(), x)
        torch.testing.assert_close(ours, eager)


def test_all_sequences_empty() -> None:
    layer = make(GRU, batch_first=True)
    x, hx = torch.randn(2, 3, 5), draw_hx(layer, 2)
    out, final = compiled(layer)(x, hx, lengths=torch.tensor([0, 0]))
    assert torch.equal(out, torch.zeros(2, 3, 8)) and torch.equal(final, hx)
    final.sum().backward()
    assert torch.equal(hx.grad, torch.ones_like(hx))


def test_a_packed_sequence_breaks_the_graph_and_is_right() -> None:
    layer = make(GRU, batch_first=True)
    packed = pack_padded_sequence(torch.randn(3, 6, 5), torch.tensor([2, 6, 1]), True, False)

    def run(packed: Any) -> Tensor:
        out, final = layer(packed)
        return out.data.sum() + final.sum()

    torch.testing.assert_close(torch.compile(run, backend="aot_eager")(packed), run(packed))


def test_mistakes_are_found_while_tracing_or_running() -> None:
    layer = make(LSTM, batch_first=True)
    x = torch.randn(3, 8, 5)
    run = torch.compile(layer, backend="aot_eager")
    with pytest.raises(
        ValueError, match=r"lengths of shape \(3,\), each between 0 and 8.*longest length of 9"
    ):
        run(x, lengths=torch.tensor([1, 9, 2]))
    with pytest.raises(ValueError, match="must not be negative"):
        run(x, lengths=torch.tensor([1, -1, 2]))
    with pytest.raises(ValueError, match="add up to 4, but there are 8"):
        run(SequenceBatch(x[0], torch.tensor([1, 3])))
    for wrong, lengths in ((x, [1, 2]), (x, [1.0, 2.0, 3.0]), (x[..., :4], None)):
        with pytest.raises(Exception, match=r"expected (integer )?(lengths|an input) of shape"):
            compiled(layer)(wrong, lengths=None if lengths is None else torch.tensor(lengths))


def torch_can_autocast() -> bool:
    """Whether torch's own LSTM runs under autocast: on a processor without bfloat16 its library refuses."""
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.nn.LSTM(5, 4, batch_first=True)(torch.randn(3, 8, 5))
    except RuntimeError as error:
        assert "could not create a primitive" in str(error)
        return False
    return True


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("tier", ["auto", "torch"])
def test_autocast(tier: str, dtype: torch.dtype) -> None:
    if tier == "torch" and not torch_can_autocast():
        pytest.skip("torch's own LSTM does not run under autocast on this processor")
    layer = make(LSTM, batch_first=True, tier=tier)
    x = torch.randn(3, 8, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, eager = compiled(layer)(x.to(dtype))[0], layer(x.to(dtype))[0]
    assert ours.dtype == eager.dtype
    torch.testing.assert_close(ours.float(), eager.float(), atol=0.02, rtol=0.02)


@pytest.mark.skipif(not engine.available(), reason="without the engine auto is plain torch")
def test_a_second_derivative_is_refused() -> None:
    layer = make(LSTM)

    def twice(run: Any) -> None:
        x = torch.randn(6, 2, 5, requires_grad=True)
        (once,) = torch.autograd.grad(run(x)[0].square().sum(), x, create_graph=True)
        once.sum().backward()

    with pytest.raises(RuntimeError, match="cannot be differentiated twice"):
        twice(layer)
    with pytest.raises(RuntimeError, match="double backward"):
        twice(compiled(layer))
    twice(make(LSTM, tier="loop"))


def test_create_graph_gives_the_first_derivative() -> None:
    layer = make(GRU)
    x, parameters = torch.randn(6, 2, 5, requires_grad=True), list(layer.parameters())
    found = [
        torch.autograd.grad(layer(x)[0].square().sum(), [x, *parameters], create_graph=create)
        for create in (False, True)
    ]
    assert all(torch.equal(plain, recorded) for plain, recorded in zip(*found, strict=True))
