"""The operators that stand for a recurrent layer in a graph of ``torch.compile`` or ``torch.export``.

``unrolled::layer`` runs one layer, on whichever tier its tensors allow; ``unrolled::layer_backward`` gives
its gradients. To torch each is one opaque step: all sorting and index arithmetic, which depends on the
lengths, happens inside, and the shapes of the results follow from those of the arguments. The computation is
that of eager code, which itself does without the operators, since one written in Python costs 25 microseconds
a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unrolled.cells import CellWeights, Kind
from unrolled.layers.compiled import engine_backward, engine_can, engine_forward
from unrolled.layers.inputs import padded_layout, ragged_layout
from unrolled.layers.layout import Layout, place, take
from unrolled.layers.scan import Tier, recurrent_scan, runs_on_engine


class _Batch(NamedTuple):
    """The input of a layer without its padding."""

    layout: Layout
    slots: Tensor | None
    """Where the tokens lie among the rows of the padded form; ``None`` if there is no padding."""
    shape: tuple[int, ...]
    """Of the given form, without the features."""

    def strip(self, given: Tensor) -> Tensor:
        return given.contiguous() if self.slots is None else take(given.flatten(0, -2), self.slots)

    def restore(self, found: Tensor) -> Tensor:
        if self.slots is None:
            return found.view(*self.shape, found.shape[-1])
        return place(found, self.slots, prod(self.shape)).view(*self.shape, found.shape[-1])


def _read(x: Tensor, lengths: Tensor | None) -> _Batch:
    shape = tuple(x.shape[:-1])
    if x.dim() == 2 and lengths is not None:
        return _Batch(ragged_layout(lengths, x), None, shape)
    batch, steps = shape
    if lengths is None:
        return _Batch(Layout.dense(batch, steps, device=x.device), None, shape)
    layout = padded_layout(lengths, batch, steps, device=x.device)
    return _Batch(layout, None if layout.total == batch * steps else layout.padded(steps), shape)


def _by_direction(weights: Sequence[Tensor], directions: int) -> list[CellWeights]:
    each = len(weights) // directions
    return [CellWeights(*weights[d * each : (d + 1) * each]) for d in range(directions)]


@torch.library.custom_op(
    "unrolled::layer",
    mutates_args=(),
    schema="(Tensor x, Tensor? lengths, Tensor h0, Tensor? c0, Tensor? mask, Tensor[] weights, str kind, "
    "str tier, bool save) -> Tensor[]",
)
def layer(
    x: Tensor,
    lengths: Tensor | None,
    h0: Tensor,
    c0: Tensor | None,
    mask: Tensor | None,
    weights: list[Tensor],
    kind: Kind,
    tier: Tier,
    save: bool,
) -> list[Tensor]:
    """One layer, in one direction or both.

    Args:
        x: ``(total, input)`` with lengths; ``(batch, seq, input)``, padded with lengths, dense without.
        lengths: ``(batch,)`` integers.
        h0, c0, mask, kind, tier: as in :func:`unrolled.layers.scan.recurrent_scan`.
        weights: two a direction, or four with biases.
        save: return what spares the backward pass a second forward pass.

    Returns:
        ``out`` in the form of ``x``, zero at padding; ``h_n``; ``c_n`` of an LSTM; then what was saved.
    """
    batch = _read(x, lengths)
    by_direction = _by_direction(weights, len(h0))
    values = batch.strip(x)
    kept: list[Tensor] = []
    with torch.no_grad():
        if batch.layout.total and runs_on_engine(tier, x, h0, by_direction):
            result = engine_forward(kind, values, batch.layout.lengths, h0, c0, mask, weights, save=save)
            out, h_n, c_n, kept = result
        else:
            out, h_n, c_n = recurrent_scan(
                kind, values, batch.layout, h0, c0, by_direction, mask=mask, tier=tier
            )
    states = [h_n] if c_n is None else [h_n, c_n]
    wanted = _saved_shapes(x, h0, by_direction, kind, tier, save)
    return [batch.restore(out), *states, *(_fill(x, shape, kept, i) for i, shape in enumerate(wanted))]


def _saved_shapes(
    x: Tensor, h0: Tensor, weights: Sequence[CellWeights], kind: Kind, tier: Tier, save: bool
) -> list[tuple[int, int]]:
    """Shapes of what a layer saves: gates and cells of each direction, a row a token, or none.

    They depend on the arguments alone, not on whether the engine is there.
    """
    if not save or kind.startswith("rnn") or tier not in ("auto", "engine") or not engine_can(x, h0, weights):
        return []
    rows, hidden = prod(x.shape[:-1]), h0.shape[-1]
    return [(rows, len(weights[0].W_h)), (rows, hidden)] * len(weights)


def _fill(x: Tensor, shape: tuple[int, int], kept: Sequence[Tensor], index: int) -> Tensor:
    """What was saved for the tokens, with rows to spare: the graph knows the padded size only."""
    if kept and kept[index].shape == shape:
        return kept[index]
    filled = x.new_zeros(shape)
    if kept:
        filled[: len(kept[index])] = kept[index]
    return filled


@layer.register_fake
def _(
    x: Tensor,
    lengths: Tensor | None,
    h0: Tensor,
    c0: Tensor | None,
    mask: Tensor | None,
    weights: list[Tensor],
    kind: Kind,
    tier: Tier,
    save: bool,
) -> list[Tensor]:
    directions = len(h0)
    shapes = _saved_shapes(x, h0, _by_direction(weights, directions), kind, tier, save)
    out = x.new_empty(*x.shape[:-1], directions * h0.shape[-1])
    states = [x.new_empty(h0.shape) for state in (h0, c0) if state is not None]
    return [out, *states, *(x.new_empty(shape) for shape in shapes)]


@torch.library.custom_op(
    "unrolled::layer_backward",
    mutates_args=(),
    schema="(Tensor? d_out, Tensor? d_h_n, Tensor? d_c_n, Tensor x, Tensor? lengths, Tensor h0, Tensor? c0, "
    "Tensor? mask, Tensor[] weights, Tensor out, Tensor[] kept, str kind, str tier, bool need_d_x) "
    "-> Tensor[]",
)
def layer_backward(
    d_out: Tensor | None,
    d_h_n: Tensor | None,
    d_c_n: Tensor | None,
    x: Tensor,
    lengths: Tensor | None,
    h0: Tensor,
    c0: Tensor | None,
    mask: Tensor | None,
    weights: list[Tensor],
    out: Tensor,
    kept: list[Tensor],
    kind: Kind,
    tier: Tier,
    need_d_x: bool,
) -> list[Tensor]:
    """Gradients of :func:`layer`.

    Args:
        d_out, d_h_n, d_c_n: gradients of the loss with respect to the results; ``None`` for zeros.
        out, kept: results of the layer. Where nothing was saved, the forward pass is done again.
        need_d_x: whether the gradient of ``x`` is wanted.

    Returns:
        Gradients of ``h0``, of ``c0`` (LSTM), of each weight, and of ``x``, unless not wanted.
    """
    batch = _read(x, lengths)
    by_direction = _by_direction(weights, len(h0))
    upstream = (None if d_out is None else batch.strip(d_out), d_h_n, d_c_n)
    values, total = batch.strip(x), batch.layout.total
    if total and runs_on_engine(tier, x, h0, by_direction):
        lengths = batch.layout.lengths
        if not kept:
            again = engine_forward(kind, values, lengths, h0, c0, mask, weights, save=True)
            kept = again.kept
        d_x, d_h0, d_c0, d_weights = engine_backward(
            kind,
            upstream,
            values,
            lengths,
            h0,
            c0,
            mask,
            weights,
            batch.strip(out),
            [part[:total] for part in kept],
            need_d_x=need_d_x,
        )
        found = [d_h0, *([] if d_c0 is None else [d_c0]), *d_weights, *([] if d_x is None else [d_x])]
    else:
        found = _differentiate(upstream, values, batch.layout, h0, c0, mask, weights, kind, tier)
    if not need_d_x:
        return found[: 1 + (c0 is not None) + len(weights)]
    return [*found[:-1], batch.restore(found[-1])]


def _differentiate(
    upstream: Sequence[Tensor | None],
    x: Tensor,
    layout: Layout,
    h0: Tensor,
    c0: Tensor | None,
    mask: Tensor | None,
    weights: Sequence[Tensor],
    kind: Kind,
    tier: Tier,
) -> list[Tensor]:
    """Gradients in the tiers of torch: the forward pass again, recorded this time."""
    # torch runs an operator with autograd switched off by this key.
    with (
        torch._C._SetExcludeDispatchKeyGuard(torch._C.DispatchKey.AutogradFunctionality, False),
        torch.enable_grad(),
    ):
        given = [t.detach().requires_grad_() for t in (h0, c0, *weights, x) if t is not None]
        h0, x = given[0], given[-1]
        c0 = None if c0 is None else given[1]
        by_direction = _by_direction(given[-1 - len(weights) : -1], len(h0))
        results = recurrent_scan(kind, x, layout, h0, c0, by_direction, mask=mask, tier=tier)
        used = [(r, u) for r, u in zip(results, upstream, strict=True) if r is not None and u is not None]
        used = [(r, u) for r, u in used if r.requires_grad]
        found = torch.autograd.grad([r for r, _ in used], given, [u for _, u in used], materialize_grads=True)
    # An operator may return no tensor twice, nor one that it was given.
    return [gradient.clone(memory_format=torch.contiguous_format) for gradient in found]


@layer_backward.register_fake
def _(
    d_out: Tensor | None,
    d_h_n: Tensor | None,
    d_c_n: Tensor | None,
    x: Tensor,
    lengths: Tensor | None,
    h0: Tensor,
    c0: Tensor | None,
    mask: Tensor | None,
    weights: list[Tensor],
    out: Tensor,
    kept: list[Tensor],
    kind: Kind,
    tier: Tier,
    need_d_x: bool,
) -> list[Tensor]:
    given = [t for t in (h0, c0, *weights) if t is not None]
    return [t.new_empty(t.shape) for t in (*given, *([x] if need_d_x else []))]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    x, lengths, h0, c0, mask, weights, kind, tier, _ = inputs
    kept = output[2 if c0 is None else 3 :]
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*kept)
    ctx.kind, ctx.tier, ctx.count = kind, tier, len(weights)
    ctx.save_for_backward(x, lengths, h0, c0, mask, output[0], *weights, *kept)


def _gradients(ctx: Any, upstream: list[Tensor | None]) -> tuple[Any, ...]:
    x, lengths, h0, c0, mask, out, *rest = ctx.saved_tensors
    weights, kept = rest[: ctx.count], rest[ctx.count :]
    d_out, d_h_n, d_c_n = upstream[0], upstream[1], None if c0 is None else upstream[2]
    d_h0, *found = layer_backward(
        d_out, d_h_n, d_c_n, x, lengths, h0, c0, mask, weights, out, kept, ctx.kind, ctx.tier,
        ctx.needs_input_grad[0],
    )  # fmt: skip
    d_c0 = None if c0 is None else found.pop(0)
    d_weights, d_x = found[: ctx.count], found[ctx.count] if ctx.needs_input_grad[0] else None
    return d_x, None, d_h0, d_c0, None, d_weights, None, None, None


def _no_second_derivative(ctx: Any, upstream: list[Tensor | None]) -> None:
    raise RuntimeError(
        "a recurrent layer in a compiled or exported graph, or on the engine, cannot be differentiated "
        "twice; with tier='loop', not compiled, it can"
    )


layer.register_autograd(_gradients, setup_context=_remember)
layer_backward.register_autograd(_no_second_derivative)
