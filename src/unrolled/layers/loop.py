"""Tier 2 of the recurrent scan: a loop over time in plain torch, all sequences at once.

One product projects the inputs of all tokens. The tokens then lie by time step, longest sequence first, so
that the sequences still running at a step are the first rows and the batch only shrinks.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from unrolled.cells import CellWeights, Kind
from unrolled.layers.layout import Layout, place, take


def loop_scan(
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
    """One direction of one layer.

    Args:
        kind: which cell.
        x: ``(total, input)``, ragged.
        layout: of the batch; it has at least one token.
        h0: state before the first step, ``(batch, hidden)``.
        c0: cell state before the first step, ``(batch, hidden)``; ``None`` unless ``kind`` is ``"lstm"``.
        weights: of this direction.
        reverse: scan each sequence from its end.
        mask: ``(batch, hidden)``, multiplies ``h_{t-1}`` before the recurrent product at every step.

    Returns:
        ``(out, h_n, c_n)``: outputs ``(total, hidden)`` in the order of ``x``, and the states after the last
        step of each sequence ``(batch, hidden)``; ``c_n`` is ``None`` unless ``kind`` is ``"lstm"``.
    """
    slots = take(layout.packed, layout.reversed) if reverse else layout.packed
    # The recurrent bias joins the projection, except in the GRU, whose candidate scales it by the reset gate.
    bias = weights.b_x if kind == "gru" or weights.b_h is None else weights.b_x + weights.b_h
    projected = place(F.linear(x, weights.W_x, bias), slots, layout.total)
    h = take(h0, layout.by_length)
    c = None if c0 is None else take(c0, layout.by_length)
    mask = None if mask is None else take(mask, layout.by_length)

    outputs: list[Tensor] = []
    ended_h: list[Tensor] = []
    ended_c: list[Tensor] = []
    for step in torch.split(projected, layout.batch_sizes.tolist()):
        running = len(step)
        if running < len(h):
            ended_h.append(h[running:])
            h = h[:running]
            if c is not None:
                ended_c.append(c[running:])
                c = c[:running]
        h_in = h if mask is None else h * mask[:running]
        if c is not None:
            h, c = _lstm(step, h_in, c, weights.W_h)
        elif kind == "gru":
            h = _gru(step, h_in, h, weights.W_h, weights.b_h)
        else:
            total = torch.addmm(step, h_in, weights.W_h.t())
            h = torch.tanh(total) if kind == "rnn_tanh" else torch.relu(total)
        outputs.append(h)

    out = take(torch.cat(outputs), slots)
    # The longest sequences end last, and come first in the sorted batch.
    h_n = take(torch.cat([h, *reversed(ended_h)]), layout.rank)
    c_n = None if c is None else take(torch.cat([c, *reversed(ended_c)]), layout.rank)
    return out, h_n, c_n


def _lstm(step: Tensor, h_in: Tensor, c: Tensor, W_h: Tensor) -> tuple[Tensor, Tensor]:
    i, f, g, o = torch.addmm(step, h_in, W_h.t()).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru(step: Tensor, h_in: Tensor, h: Tensor, W_h: Tensor, b_h: Tensor | None) -> Tensor:
    recurrent = F.linear(h_in, W_h, b_h)
    hidden = h.shape[1]
    r, z = torch.sigmoid(step[:, : 2 * hidden] + recurrent[:, : 2 * hidden]).chunk(2, dim=1)
    n = torch.tanh(step[:, 2 * hidden :] + r * recurrent[:, 2 * hidden :])
    return n + z * (h - n)
