"""The forms in which a recurrent layer takes its input, and the way to the ragged batch and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from unrolled.cells import CellWeights, Kind
from unrolled.layers.layout import Layout, place, take
from unrolled.layers.scan import Tier, recurrent_scan
from unrolled.text.batch import SequenceBatch

Form: TypeAlias = Tensor | PackedSequence | SequenceBatch

FormT = TypeVar("FormT", Tensor, PackedSequence, SequenceBatch)
"""The form of an input, which is also the form of the output."""


class Ragged(NamedTuple):
    """An input as a ragged batch."""

    values: Tensor
    """``(total, input)``, or ``(batch, seq, input)`` if all sequences have the same length."""
    layout: Layout
    """Of the batch, in the user's order."""
    restore: Callable[[Tensor], Form]
    """From outputs in the form of the values back to the form of the input."""
    batched: bool = True
    """False for a single sequence without a batch axis."""

    @property
    def batch(self) -> int:
        """Number of sequences."""
        return self.layout.batch

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
        """One layer over ``x`` in the form of the values; see :func:`unrolled.layers.scan.recurrent_scan`."""
        return recurrent_scan(kind, x, self.layout, h0, c0, weights, mask=mask, tier=tier)


def read_input(
    data: Form, lengths: Tensor | np.ndarray | Sequence[int] | None, *, input_size: int, batch_first: bool
) -> Ragged:
    """Any input form as a ragged batch.

    Args:
        data: a padded tensor ``(batch, seq, input)``, ``(seq, batch, input)`` unless ``batch_first``; one
            sequence ``(seq, input)``; a ``PackedSequence``; or a ``SequenceBatch`` of tensors.
        lengths: tokens a sequence of a padded tensor, ``(batch,)``; ``None`` if it has no padding.
        input_size: the expected number of features.
        batch_first: the order of the axes of a padded tensor.

    Raises:
        ValueError: if a shape does not fit; names the expected one.
        TypeError: if the input has none of these forms.
    """
    check_input(data, lengths, input_size=input_size, batch_first=batch_first)
    if isinstance(data, PackedSequence):
        return _from_packed(data)
    if isinstance(data, SequenceBatch):
        return _from_batch(data)
    return _from_tensor(data, lengths, batch_first)


def check_input(
    data: Form, lengths: Tensor | np.ndarray | Sequence[int] | None, *, input_size: int, batch_first: bool
) -> None:
    """Refuse an input whose type or shape does not fit; arguments and errors as :func:`read_input`."""
    dims: tuple[int, ...] = (2,)
    if isinstance(data, Tensor):
        shape, dims = data.shape, (2, 3)
        if data.dim() == 2 and lengths is not None:
            raise ValueError(
                "lengths need a padded batch of 3 dimensions; one sequence (seq, input) has no padding"
            )
    elif isinstance(data, PackedSequence | SequenceBatch):
        if lengths is not None:
            raise ValueError(f"lengths belong to a padded tensor; a {type(data).__name__} carries its own")
        values = data.data if isinstance(data, PackedSequence) else data.values
        if not isinstance(values, Tensor):
            raise TypeError(
                "a layer needs a SequenceBatch of torch tensors, got numpy arrays; an Embedding makes them"
            )
        shape = values.shape
    else:
        raise TypeError(f"expected a tensor, a PackedSequence or a SequenceBatch, got {type(data).__name__}")
    if len(shape) not in dims or shape[-1] != input_size:
        raise ValueError(f"expected {_shape_name(data, batch_first, input_size)}, got {tuple(shape)}")


def _from_tensor(
    data: Tensor, lengths: Tensor | np.ndarray | Sequence[int] | None, batch_first: bool
) -> Ragged:
    if data.dim() == 2:
        return Ragged(data, Layout.dense(1, len(data), device=data.device), lambda out: out, batched=False)
    data = data if batch_first else data.transpose(0, 1)
    batch, steps, _ = data.shape
    if lengths is None:
        layout = Layout.dense(batch, steps, device=data.device)
    else:
        layout = padded_layout(lengths, batch, steps, device=data.device)
    if layout.total == batch * steps:
        return Ragged(data.contiguous(), layout, lambda out: out if batch_first else out.transpose(0, 1))
    slots = layout.padded(steps)

    def restore(out: Tensor) -> Tensor:
        padded = place(out, slots, batch * steps).view(batch, steps, out.shape[1])
        return padded if batch_first else padded.transpose(0, 1)

    return Ragged(take(data.flatten(0, 1), slots), layout, restore)


def padded_layout(
    lengths: Tensor | np.ndarray | Sequence[int], batch: int, steps: int, *, device: torch.device
) -> Layout:
    """The layout of a batch padded to ``steps``.

    Raises:
        ValueError: if the lengths do not fit it.
    """
    layout = Layout(lengths, device=device)
    if layout.batch != batch or layout.longest > steps:
        raise ValueError(
            f"expected lengths of shape ({batch},), each between 0 and {steps}, the padded length; "
            f"got shape ({layout.batch},) and a longest length of {layout.longest}"
        )
    return layout


def ragged_layout(lengths: Tensor | np.ndarray | Sequence[int], values: Tensor) -> Layout:
    """The layout of a ragged batch ``(total, features)``.

    Raises:
        ValueError: if the lengths do not add up to the number of values.
    """
    layout = Layout(lengths, device=values.device)
    if len(values) != layout.total:
        raise ValueError(f"lengths add up to {layout.total}, but there are {len(values)} values")
    return layout


def _from_packed(data: PackedSequence) -> Ragged:
    sizes = data.batch_sizes
    batch = int(sizes[0]) if len(sizes) else 0
    # Sequence b of the sorted batch has as many tokens as there are steps with more than b sequences.
    sorted_lengths = (sizes[None, :] > torch.arange(batch)[:, None]).sum(1)
    rank = torch.arange(batch) if data.unsorted_indices is None else data.unsorted_indices.cpu()
    layout = Layout(sorted_lengths[rank], device=data.data.device, rank=rank)

    def restore(out: Tensor) -> PackedSequence:
        packed = place(out, layout.packed, layout.total)
        return PackedSequence(packed, sizes, data.sorted_indices, data.unsorted_indices)

    return Ragged(take(data.data, layout.packed), layout, restore)


def _from_batch(data: SequenceBatch) -> Ragged:
    values: Tensor = data.values
    layout = ragged_layout(data.lengths, values)
    return Ragged(values, layout, lambda out: SequenceBatch(out, data.lengths))


def _shape_name(data: Form, batch_first: bool, input_size: int) -> str:
    if isinstance(data, PackedSequence):
        return f"a PackedSequence with data of shape (total, {input_size})"
    if isinstance(data, SequenceBatch):
        return f"a SequenceBatch with values of shape (total, {input_size})"
    axes = "batch, seq" if batch_first else "seq, batch"
    return f"an input of shape ({axes}, {input_size}) or, for one sequence, (seq, {input_size})"
