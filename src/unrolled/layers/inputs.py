"""The forms in which a recurrent layer takes its input, and the way to the ragged batch and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from unrolled.layers.layout import Layout, place, take
from unrolled.text.batch import SequenceBatch

Form: TypeAlias = Tensor | PackedSequence | SequenceBatch

FormT = TypeVar("FormT", Tensor, PackedSequence, SequenceBatch)
"""The form of an input, which is also the form of the output."""


class Ragged(NamedTuple):
    """An input as a ragged batch."""

    values: Tensor
    """``(total, input)``."""
    layout: Layout
    """Of the batch, in the user's order."""
    restore: Callable[[Tensor], Form]
    """From outputs ``(total, features)`` back to the form of the input."""
    batched: bool = True
    """False for a single sequence without a batch axis."""


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
    if not isinstance(data, Tensor) and lengths is not None:
        raise ValueError(f"lengths belong to a padded tensor; a {type(data).__name__} carries its own")
    if isinstance(data, PackedSequence):
        ragged = _from_packed(data)
    elif isinstance(data, SequenceBatch):
        ragged = _from_batch(data)
    elif isinstance(data, Tensor):
        ragged = _from_tensor(data, lengths, batch_first)
    else:
        raise TypeError(f"expected a tensor, a PackedSequence or a SequenceBatch, got {type(data).__name__}")
    if ragged.values.dim() != 2 or ragged.values.shape[1] != input_size:
        raise ValueError(f"expected {_shape_name(data, batch_first, input_size)}, got {_shape_found(data)}")
    return ragged


def _from_tensor(
    data: Tensor, lengths: Tensor | np.ndarray | Sequence[int] | None, batch_first: bool
) -> Ragged:
    if data.dim() == 2:
        if lengths is not None:
            raise ValueError(
                "lengths need a padded batch of 3 dimensions; one sequence (seq, input) has no padding"
            )
        return Ragged(data, Layout([len(data)], device=data.device), lambda out: out, batched=False)
    if data.dim() != 3:
        return Ragged(data, Layout([]), lambda out: out)
    data = data if batch_first else data.transpose(0, 1)
    batch, steps, _ = data.shape
    layout = Layout([steps] * batch if lengths is None else lengths, device=data.device)
    if layout.batch != batch or layout.longest > steps:
        raise ValueError(
            f"expected lengths of shape ({batch},), each between 0 and {steps}, the padded length; "
            f"got shape ({layout.batch},) and a longest length of {layout.longest}"
        )
    flat = data.flatten(0, 1)
    slots = None if layout.total == len(flat) else layout.padded(steps)

    def restore(out: Tensor) -> Tensor:
        dense = out if slots is None else place(out, slots, batch * steps)
        padded = dense.view(batch, steps, out.shape[1])
        return padded if batch_first else padded.transpose(0, 1)

    return Ragged(flat if slots is None else take(flat, slots), layout, restore)


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
    values = data.values
    if not isinstance(values, Tensor):
        raise TypeError(
            "a layer needs a SequenceBatch of torch tensors, got numpy arrays; an Embedding makes them"
        )
    layout = Layout(data.lengths, device=values.device)
    if len(values) != layout.total:
        raise ValueError(f"lengths add up to {layout.total}, but there are {len(values)} values")
    return Ragged(values, layout, lambda out: SequenceBatch(out, data.lengths))


def _shape_name(data: Form, batch_first: bool, input_size: int) -> str:
    if isinstance(data, PackedSequence):
        return f"a PackedSequence with data of shape (total, {input_size})"
    if isinstance(data, SequenceBatch):
        return f"a SequenceBatch with values of shape (total, {input_size})"
    axes = "batch, seq" if batch_first else "seq, batch"
    return f"an input of shape ({axes}, {input_size}) or, for one sequence, (seq, {input_size})"


def _shape_found(data: Form) -> str:
    if isinstance(data, PackedSequence):
        return str(tuple(data.data.shape))
    return str(tuple(data.values.shape if isinstance(data, SequenceBatch) else data.shape))
