"""One recurrent layer over a ragged batch: the one place where a tier is chosen.

=============  =====================================================================================
tier           computes with
=============  =====================================================================================
``equation``   the equations of ``unrolled.cells``, a sequence and a step at a time; the ground truth
``loop``       plain torch, a loop over time with the batch shrinking as sequences end
``torch``      torch's own kernels; the loop where they cannot: recurrent dropout
``engine``     the compiled engine, on the CPU in float32 or float64
``auto``       the engine where it can; else torch; under ``torch.func`` or forward-mode derivatives the loop
=============  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.autograd import forward_ad

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
        x: ``(total, input)``, ragged; or ``(batch, seq, input)`` if all sequences have the same length.
        layout: of the batch.
        h0: states before the first step, ``(directions, batch, hidden)``.
        c0: cell states before the first step, as ``h0``; ``None`` unless ``kind`` is ``"lstm"``.
        weights: of the forward direction, and of the backward direction if there is one.
        mask: variational dropout (Gal and Ghahramani 2016), as ``h0``: multiplies ``h_{t-1}`` before the
            recurrent product at every step; already scaled by ``1 / (1 - p)``.
        tier: see the table above.

    Returns:
        ``(out, h_n, c_n)``: outputs in the form of ``x`` with ``directions * hidden`` features, and the
        states after the last step of each sequence in the shape of ``h0``. A sequence without tokens keeps
        its initial states.

    Raises:
        OptionError: if the engine is demanded and cannot do it; says why.
    """
    on_engine = runs_on_engine(tier, x, h0, weights)
    if layout.total == 0:
        # Copies: a change of the final states in place must not reach the user's initial states.
        out = x.new_zeros(*x.shape[:-1], len(weights) * h0.shape[-1])
        return out, h0.clone(), None if c0 is None else c0.clone()
    if on_engine:
        return engine_scan(kind, x, layout, h0, c0, weights, mask=mask)
    if x.dim() == 3:
        out, h_n, c_n = recurrent_scan(kind, x.flatten(0, 1), layout, h0, c0, weights, mask=mask, tier=tier)
        return out.view(*x.shape[:-1], -1), h_n, c_n
    outs: list[Tensor] = []
    finals_h: list[Tensor] = []
    finals_c: list[Tensor] = []
    for d, w in enumerate(weights):
        reverse = d == 1
        c0_d = None if c0 is None else c0[d]
        if tier == "equation":
            mask_d = None if mask is None else mask[d]
            out, h, c = equation_scan(kind, x, layout, h0[d], c0_d, w, reverse=reverse, mask=mask_d)
        elif tier == "loop" or mask is not None or is_transformed():
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


def runs_on_engine(tier: Tier, x: Tensor, h0: Tensor, weights: Sequence[CellWeights]) -> bool:
    """Whether the engine computes on such tensors, and is there.

    Raises:
        OptionError: if it is demanded and cannot; says why.
    """
    if tier not in ("auto", "engine"):
        return False
    able, transformed = engine_can(x, h0, weights), is_transformed()
    if able and engine.available() and not transformed:
        return True
    if tier == "engine":
        if not able:
            why = f"it needs float32 or float64 on the CPU, got {x.dtype} on {x.device}"
        elif transformed:
            why = "it knows neither torch.func nor forward-mode derivatives"
        else:
            why = engine.reason()
        raise OptionError(f"tier='engine' cannot be used: {why}. Use tier='auto'.")
    if able:
        engine.notify_missing()
    return False


def is_transformed() -> bool:
    """Whether ``torch.func`` or forward-mode derivatives are at work, which look inside every operation."""
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0
