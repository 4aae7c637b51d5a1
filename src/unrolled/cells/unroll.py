"""A cell over time: one sequence, one step after the other. The ground truth of every faster scan."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from unrolled.cells.arrays import Array, CellWeights, namespace
from unrolled.cells.gru import gru_step
from unrolled.cells.lstm import lstm_step
from unrolled.cells.rnn import rnn_step

Kind: TypeAlias = Literal["rnn_tanh", "rnn_relu", "lstm", "gru"]
"""The recurrent cells, by name."""

KINDS: tuple[Kind, ...] = get_args(Kind)

GATES: dict[Kind, int] = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}
"""How many gates each cell stacks in its weights."""


def step(
    kind: Kind, x: Array, h: Array, c: Array | None, w: CellWeights, *, mask: Array | None = None
) -> tuple[Array, Array | None]:
    """One step of any cell: the new ``h`` and, for the LSTM, the new ``c`` (else ``None``)."""
    if kind == "lstm":
        new = lstm_step(x, h, c, w, mask=mask)
        return new.h, new.c
    if kind == "gru":
        return gru_step(x, h, w, mask=mask).h, None
    return rnn_step(x, h, w, activation=kind.removeprefix("rnn_"), mask=mask), None


def unroll(
    kind: Kind,
    x: Array,
    h: Array,
    c: Array | None,
    w: CellWeights,
    *,
    reverse: bool = False,
    mask: Array | None = None,
) -> tuple[Array, Array, Array | None]:
    """A cell over one sequence.

    Args:
        kind: which cell.
        x: the sequence, ``(seq, input)``; may be empty.
        h: state before the first step, ``(hidden,)``.
        c: cell state before the first step, ``(hidden,)``; ``None`` unless ``kind`` is ``"lstm"``.
        w: the cell's weights.
        reverse: step from the last element to the first.
        mask: ``(hidden,)``, one variational dropout mask for all steps.

    Returns:
        ``(outputs, h, c)``: the outputs ``(seq, hidden)``, where row ``t`` belongs to ``x[t]`` in both
        directions, and the states after the last step. An empty sequence returns its initial states.
    """
    outputs: list[Array] = []
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        h, c = step(kind, x[t], h, c, w, mask=mask)
        outputs.append(h)
    if not outputs:
        return w.W_h[:0], h, c
    return namespace(x).stack(outputs[::-1] if reverse else outputs), h, c
