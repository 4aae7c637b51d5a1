"""The recurrent scan on torch's own kernels, for a ragged batch in any order with empty sequences.

torch takes a batch either packed or padded. Packed it calls its operators once a step on the CPU, and cuDNN
on a GPU. Padded, an LSTM on the CPU runs in one fused kernel (oneDNN), about twice as fast for the same
number of cells. Padding alone would lose the final cell state, which exists only inside the kernel. So one
more input feature marks the padding, with weights that close the input gate and open the forget gate there:
``c_t = 1 * c_{t-1} + 0 * g`` carries the cell state unchanged to the end.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unrolled.cells import CellWeights, Kind
from unrolled.layers.layout import Layout, place, take

SATURATED = 1e4
"""A gate's input at which its sigmoid is exactly 0 or 1 in every floating-point type, float16 included."""

PACKED_COST = 2.0
"""Time of a cell in the packed kernel over the fused one, LSTM on the CPU (measured 1.8 to 2.4)."""

_KERNELS: dict[Kind, Callable[..., tuple[Tensor, Tensor]]] = {
    "rnn_tanh": torch.rnn_tanh,
    "rnn_relu": torch.rnn_relu,
    "gru": torch.gru,
}


def library_scan(
    kind: Kind,
    x: Tensor,
    layout: Layout,
    h0: Tensor,
    c0: Tensor | None,
    weights: CellWeights,
    *,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """One direction of one layer; arguments and returns as in :func:`unrolled.layers.loop.loop_scan`."""
    cells = layout.batch * layout.longest
    if c0 is not None and x.device.type == "cpu" and cells <= PACKED_COST * layout.total:
        return _padded_lstm(x, layout, h0, c0, weights, reverse)
    return _packed(kind, x, layout, h0, c0, weights, reverse)


def _packed(
    kind: Kind, x: Tensor, layout: Layout, h0: Tensor, c0: Tensor | None, weights: CellWeights, reverse: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    x = take(x, layout.reversed) if reverse else x
    parameters = [weight for weight in weights if weight is not None]
    out, h_n, c_n = library_stack(
        kind,
        x,
        layout,
        h0[None],
        None if c0 is None else c0[None],
        parameters,
        bias=weights.b_x is not None,
        layers=1,
        bidirectional=False,
        dropout=0.0,
        training=False,
    )
    out = take(out, layout.reversed) if reverse else out
    return out, h_n[0], None if c_n is None else c_n[0]


def _padded_lstm(
    x: Tensor, layout: Layout, h0: Tensor, c0: Tensor, weights: CellWeights, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    dense = layout.batch * layout.longest
    slots = layout.padded(layout.longest)
    slots = take(slots, layout.reversed) if reverse else slots
    W_x = weights.W_x
    data = x if dense == layout.total and not reverse else place(x, slots, dense)
    if dense > layout.total:
        is_padding = x.new_ones(dense, 1).index_fill(0, slots, 0.0)
        data = torch.cat([data, is_padding], dim=1)
        # Rows i, f, g, o: input gate closed, forget gate open.
        gate = torch.tensor([-SATURATED, SATURATED, 0.0, 0.0], dtype=W_x.dtype, device=W_x.device)
        W_x = torch.cat([W_x, gate.repeat_interleave(h0.shape[1])[:, None]], dim=1)
    biases = [] if weights.b_x is None or weights.b_h is None else [weights.b_x, weights.b_h]
    out, _, c_n = torch.lstm(
        data.view(layout.batch, layout.longest, -1),
        (h0[None], c0[None]),
        [W_x, weights.W_h, *biases],
        bool(biases),
        1,  # layers
        0.0,  # dropout
        torch.is_grad_enabled(),  # training: keep what the backward pass needs
        False,  # bidirectional
        True,  # batch first
    )
    out = take(out.flatten(0, 1), slots)
    last = layout.first if reverse else layout.last
    h_n = torch.where(layout.empty, h0, take(out, last.clamp(0, layout.total - 1)))
    return out, h_n, c_n[0]


def library_stack(
    kind: Kind,
    x: Tensor,
    layout: Layout,
    h0: Tensor,
    c0: Tensor | None,
    parameters: list[Tensor],
    *,
    bias: bool,
    layers: int,
    bidirectional: bool,
    dropout: float,
    training: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """All layers and directions in one call, packed: what cuDNN wants on a GPU.

    Args:
        kind: which cell.
        x: ``(total, input)``, ragged.
        layout: of the batch.
        h0: ``(layers * directions, batch, hidden)``.
        c0: as ``h0``; ``None`` unless ``kind`` is ``"lstm"``.
        parameters: weights of all layers in torch's order.
        bias: whether the weights include biases.
        layers: number of layers.
        bidirectional: whether each layer has two directions.
        dropout: probability, between layers.
        training: whether dropout acts.

    Returns:
        ``(out, h_n, c_n)``: outputs ``(total, directions * hidden)``, and states in the shape of ``h0``.
    """
    if layout.total == 0:
        directions = 2 if bidirectional else 1
        return x.new_zeros(0, directions * h0.shape[-1]), h0, c0
    running = int(layout.batch_sizes[0])
    data = place(x, layout.packed, layout.total)
    initial = [s.index_select(1, layout.by_length) for s in (h0, c0) if s is not None]
    started = [s[:, :running].contiguous() for s in initial]
    options = (parameters, bias, layers, dropout, training, bidirectional)
    if c0 is not None:
        out, *states = torch.lstm(data, layout.batch_sizes, started, *options)
    else:
        out, *states = _KERNELS[kind](data, layout.batch_sizes, started[0], *options)
    finals = [
        torch.cat([after, before[:, running:]], dim=1).index_select(1, layout.rank)
        for after, before in zip(states, initial, strict=True)
    ]
    return take(out, layout.packed), finals[0], finals[1] if c0 is not None else None
