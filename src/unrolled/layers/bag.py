"""Sums of table rows, one sum a token: a token's vector is that of its word plus those of its n-grams."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from unrolled import engine
from unrolled.layers.arrays import array_of, on_engine


def summed_rows(table: Tensor, rows: Tensor, starts: Tensor, weights: Tensor | None = None) -> Tensor:
    """As ``torch.nn.functional.embedding_bag`` with ``mode="sum"``.

    On the engine both passes run on all threads. The gradient of the table is summed row by row, in the order
    of the tokens: the same bits for every number of threads.

    Args:
        table: ``(entries, dim)``.
        rows: ``(total_rows,)`` int32 or int64, row ids of all tokens, one token after the other.
        starts: ``(tokens,)`` int64, where each token's rows begin in ``rows``.
        weights: ``(total_rows,)``, a factor of each row; it gets no gradient. ``None`` for ones.

    Returns:
        ``(tokens, dim)``.
    """
    if not on_engine(table) or len(starts) == 0:
        return F.embedding_bag(rows.long(), table, starts, mode="sum", per_sample_weights=weights)
    counts = torch.diff(starts, append=starts.new_tensor([len(rows)]))
    summed: Tensor = _Bag.apply(table, rows.int(), counts, weights)  # type: ignore[no-untyped-call]
    return summed


class _Bag(torch.autograd.Function):
    """Sum and scattered gradient as one node of the graph."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, counts: Tensor, weights: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, counts, weights)
        ctx.entries = len(table)
        given = None if weights is None else array_of(weights)
        return torch.from_numpy(
            engine.embedding_bag(array_of(table), array_of(rows), array_of(counts), given)
        )

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        rows, counts, weights = ctx.saved_tensors
        (d_out,) = upstream
        if torch.is_grad_enabled():
            # create_graph=True: the same sum by operations that can be differentiated again.
            spread = d_out.repeat_interleave(counts, dim=0)
            spread = spread if weights is None else spread * weights[:, None]
            d_table = d_out.new_zeros(ctx.entries, d_out.shape[1]).index_add(0, rows, spread)
        else:
            given = None if weights is None else array_of(weights)
            found = engine.bag_gradient(array_of(d_out), array_of(rows), array_of(counts), ctx.entries, given)
            d_table = torch.from_numpy(found)
        return d_table, None, None, None
