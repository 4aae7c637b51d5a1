"""Tier 3 of the recurrent scan: the compiled engine, with its own backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from unrolled import engine
from unrolled.cells import CellWeights, Kind
from unrolled.engine import Saved, Weights
from unrolled.layers.layout import Layout

DTYPES = (torch.float32, torch.float64)


def engine_can(x: Tensor, h0: Tensor, weights: Sequence[CellWeights]) -> bool:
    """Whether the engine computes on such tensors, were it available: on the CPU, all of one type."""
    given = [x, h0, *(weight for w in weights for weight in w if weight is not None)]
    return x.dtype in DTYPES and all(t.device.type == "cpu" and t.dtype == x.dtype for t in given)


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
    flat = [weight for w in weights for weight in w]
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, h0, c0, *flat)):
        out, h_n, c_n = _EngineScan.apply(  # type: ignore[no-untyped-call]
            kind, layout, mask, x, h0, c0, *flat
        )
        return out, h_n, c_n
    result = engine.layer_forward(
        kind,
        _array(x),
        layout.lengths.numpy(),
        _weights(flat),
        _array(h0),
        _maybe(c0),
        h_mask=_maybe(mask),
    )
    return _tensor(result.out), _tensor(result.h_n), None if result.c_n is None else _tensor(result.c_n)


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
        *flat: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        result = engine.layer_forward(
            kind,
            _array(x),
            layout.lengths.numpy(),
            _weights(flat),
            _array(h0),
            _maybe(c0),
            save=True,
            h_mask=_maybe(mask),
        )
        out, h_n = _tensor(result.out), _tensor(result.h_n)
        c_n = None if result.c_n is None else _tensor(result.c_n)
        kept = [None if a is None else _tensor(a) for saved in result.saved or () for a in saved]
        ctx.set_materialize_grads(False)
        ctx.kind, ctx.layout, ctx.directions = kind, layout, len(flat) // 4
        # Kept as tensors, so that autograd frees them with the graph and notices a change in place.
        ctx.save_for_backward(mask, x, h0, c0, out, *flat, *kept)
        return out, h_n, c_n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor | None, d_h_n: Tensor | None, d_c_n: Tensor | None) -> Any:
        mask, x, h0, c0, out, *rest = ctx.saved_tensors
        flat, kept = rest[: 4 * ctx.directions], [_maybe(tensor) for tensor in rest[4 * ctx.directions :]]
        gradients = engine.layer_backward(
            ctx.kind,
            _maybe(d_out),
            _maybe(d_h_n),
            _maybe(d_c_n),
            _array(x),
            ctx.layout.lengths.numpy(),
            _weights(flat),
            [Saved(*kept[d : d + 2]) for d in range(0, len(kept), 2)],
            _array(out),
            _array(h0),
            _maybe(c0),
            h_mask=_maybe(mask),
            need_d_x=ctx.needs_input_grad[3],
        )
        of_weights = [a for w in gradients.weights for a in w]
        found = [gradients.d_x, gradients.d_h0, gradients.d_c0, *of_weights]
        # The engine gives gradients of biases even where the layer has none.
        wanted = [
            None if a is None or t is None else _tensor(a)
            for a, t in zip(found, (x, h0, c0, *flat), strict=True)
        ]
        return (None, None, None, *wanted)


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().contiguous().numpy()
    return array


def _maybe(tensor: Tensor | None) -> NDArray[Any] | None:
    return None if tensor is None else _array(tensor)


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _weights(flat: Sequence[Tensor | None]) -> list[Weights]:
    """The engine's view of the weights: four a direction."""
    return [Weights(*(_maybe(weight) for weight in flat[d : d + 4])) for d in range(0, len(flat), 4)]  # type: ignore[arg-type]
