"""Tier 1 of the recurrent scan: the equations of ``unrolled.cells``, one sequence and one step at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from unrolled.cells import CellWeights, Kind, unroll
from unrolled.layers.layout import Layout


def equation_scan(
    kind: Kind,
    x: Tensor,
    layout: Layout,
    h0: Tensor,
    c0: Tensor | None,
    weights: CellWeights,
    *,
    reverse: bool = False,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """One direction of one layer; arguments and returns as in :func:`unrolled.layers.loop.loop_scan`."""
    outputs: list[Tensor] = []
    finals_h: list[Tensor] = []
    finals_c: list[Tensor] = []
    for b, sequence in enumerate(torch.split(x, layout.sizes)):
        out, h, c = unroll(
            kind,
            sequence,
            h0[b],
            None if c0 is None else c0[b],
            weights,
            reverse=reverse,
            mask=None if mask is None else mask[b],
        )
        outputs.append(out)
        finals_h.append(h)
        if c is not None:
            finals_c.append(c)
    return torch.cat(outputs), torch.stack(finals_h), torch.stack(finals_c) if finals_c else None
