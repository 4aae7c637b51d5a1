"""A recurrent layer while torch traces it, for ``torch.compile`` or ``torch.export``.

A trace knows shapes, not contents. So nothing here looks at the lengths: padding stays, and the operator of
:mod:`unrolled.layers.operators` reads the lengths when the graph runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unrolled.cells import CellWeights, Kind
from unrolled.layers.compiled import engine_can
from unrolled.layers.inputs import Form, check_input
from unrolled.layers.operators import layer
from unrolled.layers.scan import Tier
from unrolled.text.batch import SequenceBatch


class Traced(NamedTuple):
    """An input of which the shapes are known."""

    values: Tensor
    """``(batch, seq, input)``, or ragged ``(total, input)``."""
    lengths: Tensor | None
    """``(batch,)``; ``None`` if all sequences have the same length."""
    batch: int
    restore: Callable[[Tensor], Form]
    """From outputs in the form of the values back to the form of the input."""
    batched: bool = True
    """False for a single sequence without a batch axis."""

    def scan(
        self,
        kind: Kind,
        x: Tensor,
        h0: Tensor,
        c0: Tensor | None,
        weights: Sequence[CellWeights],
        *,
        mask: Tensor | None,
        tier: Tier,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """One layer over ``x`` in the form of the values, as one step of the graph."""
        device = x.device.type
        if torch.is_autocast_enabled(device) and not (
            tier in ("auto", "engine") and engine_can(x, h0, weights)
        ):
            # Inside an operator there is no autocast.
            dtype = torch.get_autocast_dtype(device)
            x, h0, c0 = x.to(dtype), h0.to(dtype), None if c0 is None else c0.to(dtype)
            mask = None if mask is None else mask.to(dtype)
            weights = [CellWeights(*(None if t is None else t.to(dtype) for t in w)) for w in weights]
        flat = [weight for w in weights for weight in w if weight is not None]
        given = [t for t in (x, h0, c0, *flat) if t is not None]
        # An exported program mostly predicts; what it does not save, its training computes again.
        save = torch.is_grad_enabled() and not torch.compiler.is_exporting()
        save = save and any(t.requires_grad for t in given)
        out, h_n, *rest = layer(x, self.lengths, h0, c0, mask, flat, kind, tier, save)
        return out, h_n, None if c0 is None else rest[0]


# A batch may be argument and result of an exported program, and is saved with it as an example.
torch.export.register_dataclass(SequenceBatch, serialized_type_name="unrolled.SequenceBatch")
torch.serialization.add_safe_globals([SequenceBatch])


def is_traced() -> bool:
    """Whether operators are recorded or simulated: a compiler, an export, or any mode of dispatch at work."""
    return torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0


def read_traced(
    data: Tensor | SequenceBatch,
    lengths: Tensor | np.ndarray | Sequence[int] | None,
    *,
    input_size: int,
    batch_first: bool,
) -> Traced:
    """As :func:`unrolled.layers.inputs.read_input`, for an input under trace."""
    check_input(data, lengths, input_size=input_size, batch_first=batch_first)
    if isinstance(data, SequenceBatch):
        own = _lengths(data.lengths)
        return Traced(data.values, own, own.shape[0], lambda out: SequenceBatch(out, data.lengths))
    if data.dim() == 2:
        return Traced(data.unsqueeze(0), None, 1, lambda out: out.squeeze(0), batched=False)
    values = data if batch_first else data.transpose(0, 1)
    batch, steps, _ = values.shape
    given = None if lengths is None else _lengths(lengths)
    if given is not None and given.shape[0] != batch:
        raise ValueError(
            f"expected lengths of shape ({batch},), each between 0 and {steps}, the padded length; "
            f"got shape ({given.shape[0]},)"
        )
    return Traced(values, given, batch, lambda out: out if batch_first else out.transpose(0, 1))


def _lengths(lengths: Tensor | np.ndarray | Sequence[int]) -> Tensor:
    tensor = lengths if isinstance(lengths, Tensor) else torch.as_tensor(lengths)
    if tensor.dim() != 1 or tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise ValueError(
            f"expected integer lengths of shape (batch,), got {tuple(tensor.shape)} of {tensor.dtype}"
        )
    return tensor
