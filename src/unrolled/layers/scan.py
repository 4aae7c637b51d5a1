"""One recurrent layer over a ragged batch: the one place where a tier is chosen.

=============  =====================================================================================
tier           computes with
=============  =====================================================================================
``equation``   the equations of ``unrolled.cells``, a sequence and a step at a time; the ground truth
``loop``       plain torch, a loop over time with the batch shrinking as sequences end
``torch``      torch's own kernels; the loop where they cannot: recurrent dropout
``engine``     the compiled engine, on the CPU in float32 or float64
``auto``       the engine where it can; else torch
=============  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from unrolled import engine
from unrolled.cells import CellWeights, Kind
from unrolled.errors import OptionError
from unrolled.layers.compiled import engine_can, engine_scan
from unrolled.layers.equation import equation_scan
from unrolled.layers.layout import Layout
from unrolled.layers.library import library_scan
from unrolled.layers.loop import loop_scan

Tier: TypeAlias = Literal["auto", "equation", "loop", "torch", "engine"]

TIERS: tuple[Tier, ...] = get_args(Tier)


def recurrent_scan(
    kind: Kind,
    x: Tensor,
    layout: Layout,
    h0: Tensor,
    c0: Tensor | None,
    weights: Sequence[CellWeights],
    *,
    mask: Tensor | None = None,
    tier: Tier = "auto",
) -> tuple[Tensor, Tensor, Tensor | None]:
    """One layer in one direction or both.

    Args:
        kind: which cell.
        x: ``(total, input)``, ragged.
        layout: of the batch.
        h0: states before the first step, ``(directions, batch, hidden)``.
        c0: cell states before the first step, as ``h0``; ``None`` unless ``kind`` is ``"lstm"``.
        weights: of the forward direction, and of the backward direction if there is one.
        mask: variational dropout (Gal and Ghahramani 2016), as ``h0``: multiplies ``h_{t-1}`` before the
            recurrent product at every step; already scaled by ``1 / (1 - p)``.
        tier: see the table above.

    Returns:
        ``(out, h_n, c_n)``: outputs ``(total, directions * hidden)`` in the order of ``x``, and the states
        after the last step of each sequence in the shape of ``h0``. A sequence without tokens keeps its
        initial states.

    Raises:
        OptionError: if the engine is demanded and cannot do it; says why.
    """
    on_engine = _on_engine(tier, x, h0, weights)
    if layout.total == 0:
        return x.new_zeros(0, len(weights) * h0.shape[-1]), h0, c0
    if on_engine:
        return engine_scan(kind, x, layout, h0, c0, weights, mask=mask)
    outs: list[Tensor] = []
    finals_h: list[Tensor] = []
    finals_c: list[Tensor] = []
    for d, w in enumerate(weights):
        reverse = d == 1
        c0_d = None if c0 is None else c0[d]
        if tier == "equation":
            mask_d = None if mask is None else mask[d]
            out, h, c = equation_scan(kind, x, layout, h0[d], c0_d, w, reverse=reverse, mask=mask_d)
        elif tier == "loop" or mask is not None:
            mask_d = None if mask is None else mask[d]
            out, h, c = loop_scan(kind, x, layout, h0[d], c0_d, w, reverse=reverse, mask=mask_d)
        else:
            out, h, c = library_scan(kind, x, layout, h0[d], c0_d, w, reverse=reverse)
        outs.append(out)
        finals_h.append(h)
        if c is not None:
            finals_c.append(c)
    out = outs[0] if len(outs) == 1 else torch.cat(outs, dim=1)
    return out, torch.stack(finals_h), torch.stack(finals_c) if finals_c else None


def _on_engine(tier: Tier, x: Tensor, h0: Tensor, weights: Sequence[CellWeights]) -> bool:
    if tier not in ("auto", "engine"):
        return False
    able = engine_can(x, h0, weights)
    if able and engine.available():
        return True
    if tier == "engine":
        why = (
            engine.reason()
            if able
            else f"it needs float32 or float64 on the CPU, got {x.dtype} on {x.device}"
        )
        raise OptionError(f"tier='engine' cannot be used: {why}. Use tier='auto'.")
    if able:
        engine.notify_missing()
    return False
