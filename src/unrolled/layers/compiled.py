"""Tier 3 of the recurrent scan: the compiled engine, with its own backward pass.

The engine works on numpy arrays that share memory with the tensors. Its two functions here serve the node of
the graph that eager code records, and the operators of :mod:`unrolled.layers.operators`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unrolled import engine
from unrolled.cells import CellWeights, Kind
from unrolled.engine import Saved, Weights
from unrolled.layers.layout import Layout

DTYPES = (torch.float32, torch.float64)


class EngineResult(NamedTuple):
    """Result of :func:`engine_forward`."""

    out: Tensor
    """In the form of the input, ``directions * hidden`` features."""
    h_n: Tensor
    """``(directions, batch, hidden)``."""
    c_n: Tensor | None
    """As ``h_n``; ``None`` unless LSTM."""
    kept: list[Tensor]
    """What the backward pass needs: ``(total, ...)`` two a direction, none for RNN or if not asked for."""


def engine_can(x: Tensor, h0: Tensor, weights: Sequence[CellWeights]) -> bool:
    """Whether the engine computes on such tensors, were it available: on the CPU, all of one type."""
    dtype = x.dtype
    if dtype not in DTYPES or not x.is_cpu or not h0.is_cpu or h0.dtype != dtype:
        return False
    for w in weights:
        for weight in w:
            if weight is not None and not (weight.is_cpu and weight.dtype == dtype):
                return False
    return True


def engine_scan(
    kind: Kind,
    x: Tensor,
    layout: Layout,
    h0: Tensor,
    c0: Tensor | None,
    weights: Sequence[CellWeights],
    *,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """One layer; arguments and returns as in :func:`unrolled.layers.scan.recurrent_scan`."""
    flat = [weight for w in weights for weight in w if weight is not None]
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, h0, c0, *flat)):
        out, h_n, c_n = _EngineScan.apply(  # type: ignore[no-untyped-call]
            kind, layout, mask, x, h0, c0, *flat
        )
        return out, h_n, c_n
    result = engine_forward(kind, x, layout.lengths, h0, c0, mask, flat, save=False)
    return result.out, result.h_n, result.c_n


def engine_forward(
    kind: Kind,
    x: Tensor,
    lengths: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    mask: Tensor | None,
    weights: Sequence[Tensor],
    *,
    save: bool,
) -> EngineResult:
    """The forward pass, not recorded by autograd.

    Args:
        kind: which cell.
        x: ``(total, input)``, or ``(batch, seq, input)`` without padding.
        lengths: ``(batch,)`` int64, on the CPU.
        h0, c0, mask: as in :func:`unrolled.layers.scan.recurrent_scan`.
        weights: two a direction, or four with biases.
        save: keep what the backward pass needs.
    """
    result = engine.layer_forward(
        kind,
        _rows(_array(x)),
        lengths.numpy(),
        _weights([_array(weight) for weight in weights], len(h0)),
        _array(h0),
        _maybe(c0),
        save=save,
        h_mask=_maybe(mask),
    )
    kept = [torch.from_numpy(a) for saved in result.saved or () for a in saved if a is not None]
    out = torch.from_numpy(result.out)
    return EngineResult(
        out if x.dim() == 2 else out.view(*x.shape[:-1], -1),
        torch.from_numpy(result.h_n),
        None if result.c_n is None else torch.from_numpy(result.c_n),
        kept,
    )


def engine_backward(
    kind: Kind,
    upstream: Sequence[Tensor | None],
    x: Tensor,
    lengths: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    mask: Tensor | None,
    weights: Sequence[Tensor],
    out: Tensor,
    kept: Sequence[Tensor],
    *,
    need_d_x: bool,
) -> tuple[Tensor | None, Tensor, Tensor | None, list[Tensor]]:
    """Gradients with respect to ``x``, ``h0``, ``c0`` and the weights; arguments as :func:`engine_forward`.

    Args:
        upstream: gradients of the loss with respect to ``out``, ``h_n`` and ``c_n``; ``None`` for zeros.
        out, kept: of the result of the forward pass.
        need_d_x: whether the first gradient is wanted.
    """
    directions = len(h0)
    d_out, d_h_n, d_c_n = (_maybe(gradient) for gradient in upstream)
    arrays = [_array(tensor) for tensor in kept]
    found = engine.layer_backward(
        kind,
        None if d_out is None else _rows(d_out),
        d_h_n,
        d_c_n,
        _rows(_array(x)),
        lengths.numpy(),
        _weights([_array(weight) for weight in weights], directions),
        [Saved(*arrays[2 * d : 2 * d + 2]) if arrays else Saved(None, None) for d in range(directions)],
        _rows(_array(out)),
        _array(h0),
        _maybe(c0),
        h_mask=_maybe(mask),
        need_d_x=need_d_x,
    )
    # The engine gives gradients of biases even where the layer has none.
    each = len(weights) // directions
    return (
        None if found.d_x is None else torch.from_numpy(found.d_x).view(x.shape),
        torch.from_numpy(found.d_h0),
        None if found.d_c0 is None else torch.from_numpy(found.d_c0),
        [torch.from_numpy(a) for w in found.weights for a in w[:each] if a is not None],
    )


class _EngineScan(torch.autograd.Function):
    """The engine's forward and backward pass as one node of the graph."""

    @staticmethod
    def forward(
        ctx: Any,
        kind: Kind,
        layout: Layout,
        mask: Tensor | None,
        x: Tensor,
        h0: Tensor,
        c0: Tensor | None,
        *weights: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        result = engine_forward(kind, x, layout.lengths, h0, c0, mask, weights, save=True)
        ctx.set_materialize_grads(False)
        ctx.kind, ctx.lengths, ctx.count = kind, layout.lengths, len(weights)
        # Kept as tensors, so that autograd frees them with the graph and notices a change in place.
        ctx.save_for_backward(mask, x, h0, c0, result.out, *weights, *result.kept)
        return result.out, result.h_n, result.c_n

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> Any:
        mask, x, h0, c0, out, *rest = ctx.saved_tensors
        weights, kept = rest[: ctx.count], rest[ctx.count :]
        need_d_x = ctx.needs_input_grad[3]
        if torch.is_grad_enabled():
            # create_graph=True: the operator knows all that it depends on, and refuses a second derivative.
            d_h0, *found = torch.ops.unrolled.layer_backward(
                *upstream, x, ctx.lengths, h0, c0, mask, weights, out, kept, ctx.kind, "engine", need_d_x
            )
            d_c0 = None if c0 is None else found.pop(0)
            return (None, None, None, found[ctx.count] if need_d_x else None, d_h0, d_c0, *found[: ctx.count])
        d_x, d_h0, d_c0, d_weights = engine_backward(
            ctx.kind, upstream, x, ctx.lengths, h0, c0, mask, weights, out, kept, need_d_x=need_d_x
        )
        return (None, None, None, d_x, d_h0, d_c0, *d_weights)


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.numpy(force=True)
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _maybe(tensor: Tensor | None) -> NDArray[Any] | None:
    return None if tensor is None else _array(tensor)


def _rows(array: NDArray[Any]) -> NDArray[Any]:
    """``(batch, seq, features)`` as ``(total, features)``."""
    return array if array.ndim == 2 else array.reshape(-1, array.shape[-1])


def _weights(arrays: Sequence[NDArray[Any]], directions: int) -> list[Weights]:
    """The engine's view of the weights of each direction."""
    each = len(arrays) // directions
    return [Weights(*arrays[d * each : (d + 1) * each]) for d in range(directions)]
