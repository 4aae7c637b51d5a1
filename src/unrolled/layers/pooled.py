"""Pooling and scaling of ragged batches on the engine, as nodes of torch's graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unrolled import engine
from unrolled.layers.arrays import array_of
from unrolled.layers.layout import Layout, take


def pooled(values: Tensor, layout: Layout, *, mean: bool, largest: bool, divide: bool = True) -> Tensor:
    """Mean (or, without ``divide``, sum) and maximum of each sequence, side by side.

    Args:
        values: ``(total, width)`` that :func:`unrolled.layers.arrays.on_engine` accepts.
        layout: of the batch.
        mean, largest: what is wanted; at least one.
        divide: ``False`` for the sum in place of the mean.

    Returns:
        ``(batch, width)``, or ``(batch, 2 * width)`` for both.
    """
    result: Tensor = _Pool.apply(values, layout, mean, largest, divide)  # type: ignore[no-untyped-call]
    return result


def scaled(values: Tensor, layout: Layout, by_sequence: Tensor | None, by_token: Tensor | None) -> Tensor:
    """Each row times the factors of its sequence and its own factor.

    Args:
        values: as for :func:`pooled`.
        layout: of the batch.
        by_sequence: ``(batch, width)`` or ``None``; gets no gradient.
        by_token: ``(total,)`` or ``None``; gets no gradient.
    """
    result: Tensor = _Scale.apply(values, layout, by_sequence, by_token)  # type: ignore[no-untyped-call]
    return result


class _Pool(torch.autograd.Function):
    """One pass over the values each way. The gradient of a maximum goes to the first of equal elements."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, layout: Layout, mean: bool, largest: bool, divide: bool) -> Tensor:
        out, where = engine.pool(
            array_of(values), array_of(layout.lengths), mean=mean, largest=largest, divide=divide
        )
        ctx.layout, ctx.mean, ctx.divide, ctx.width = layout, mean, divide, values.shape[1]
        ctx.save_for_backward(None if where is None else torch.from_numpy(where))
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        (where,) = ctx.saved_tensors
        (d_out,) = upstream
        if torch.is_grad_enabled():
            return _differentiable(ctx, d_out, where), None, None, None, None
        found = engine.pool_gradient(
            array_of(d_out),
            array_of(ctx.layout.lengths),
            None if where is None else array_of(where),
            divide=ctx.divide,
        )
        return torch.from_numpy(found), None, None, None, None


def _differentiable(ctx: Any, d_out: Tensor, where: Tensor | None) -> Tensor:
    """The same gradient by operations that can be differentiated again (``create_graph=True``)."""
    layout, width = ctx.layout, ctx.width
    d_values = d_out.new_zeros(layout.total, width)
    if ctx.mean:
        share = d_out[:, :width]
        if ctx.divide:
            share = share / layout.lengths.clamp(min=1).to(d_out.dtype)[:, None]
        d_values = d_values + take(share, layout.sequence)
    if where is not None:
        filled = ~layout.empty[:, 0]
        tokens = (layout.first[:, None] + where)[filled]
        d_values = d_values.scatter_add(0, tokens, d_out[:, -width:][filled])
    return d_values


class _Scale(torch.autograd.Function):
    """A product with factors that are not differentiated; it is its own gradient."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, layout: Layout, by_sequence: Tensor | None, by_token: Tensor | None
    ) -> Tensor:
        ctx.layout = layout
        ctx.save_for_backward(by_sequence, by_token)
        factors = [None if factor is None else array_of(factor) for factor in (by_sequence, by_token)]
        return torch.from_numpy(engine.scale_rows(array_of(values), array_of(layout.lengths), *factors))

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        return scaled(upstream[0], ctx.layout, *ctx.saved_tensors), None, None, None
