"""Reductions and rearrangements of a ragged batch: ``values (total, ...)`` with ``lengths (batch,)``.

All are vectorised and differentiable, and run on the engine where it can. An empty sequence reduces to zeros.
``lengths`` may also be the :class:`~unrolled.layers.layout.Layout` of the batch, which saves computing it
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from unrolled.layers.arrays import on_engine
from unrolled.layers.layout import Layout, take
from unrolled.layers.pooled import pooled, scaled
from unrolled.layers.traced import is_traced

Lengths: TypeAlias = Layout | Tensor | np.ndarray | Sequence[int]


def layout_of(values: Tensor, lengths: Lengths) -> Layout:
    """The layout of a ragged batch.

    Raises:
        ValueError: if the lengths do not add up to the number of values.
    """
    if is_traced() and isinstance(lengths, Tensor):
        return Layout.traced(lengths.to(values.device), values.shape[0])
    layout = lengths if isinstance(lengths, Layout) else Layout(lengths, device=values.device)
    if values.dim() == 0 or layout.total != values.shape[0]:
        raise ValueError(
            f"expected values of shape (total, ...) with total = sum(lengths) = {layout.total}, "
            f"got shape {tuple(values.shape)}"
        )
    return layout


def segment_sum(values: Tensor, lengths: Lengths) -> Tensor:
    """Sum of each sequence: ``(total, ...) -> (batch, ...)``."""
    layout = layout_of(values, lengths)
    if on_engine(values):
        return _pooled(values, layout, mean=True, largest=False, divide=False)
    return values.new_zeros(layout.batch, *values.shape[1:]).index_add(0, layout.sequence, values)


def segment_mean(values: Tensor, lengths: Lengths) -> Tensor:
    """Mean of each sequence: ``(total, ...) -> (batch, ...)``."""
    layout = layout_of(values, lengths)
    if on_engine(values):
        return _pooled(values, layout, mean=True, largest=False)
    counts = layout.lengths.clamp(min=1).to(values.device, values.dtype)
    return segment_sum(values, layout) / counts.view(-1, *[1] * (values.dim() - 1))


def segment_max(values: Tensor, lengths: Lengths) -> Tensor:
    """Largest element of each sequence, for each feature: ``(total, ...) -> (batch, ...)``.

    Of equal elements the first one gets the gradient. A NaN is larger than every number.
    """
    layout = layout_of(values, lengths)
    if layout.total == 0:
        return values.new_zeros(layout.batch, *values.shape[1:])
    if on_engine(values):
        return _pooled(values, layout, mean=False, largest=True)
    flat = values.flatten(1) if values.dim() > 1 else values[:, None]
    sequence = layout.sequence[:, None].expand_as(flat)
    with torch.no_grad():
        # scatter_reduce's own gradient costs ten times its forward; the gradient of a gather does not.
        largest = flat.new_full((layout.batch, flat.shape[1]), -torch.inf).scatter_reduce(
            0, sequence, flat, "amax"
        )
        hit = (flat == take(largest, layout.sequence)) | flat.isnan()
        token = torch.arange(layout.total, device=flat.device)[:, None]
        candidate = torch.where(hit, token, layout.total - 1)
        where = torch.full_like(largest, layout.total - 1, dtype=torch.int64)
        where.scatter_reduce_(0, sequence, candidate, "amin")
    result = flat.gather(0, where).masked_fill(layout.empty, 0.0)
    return result.view(layout.batch, *values.shape[1:])


def segment_mean_and_max(values: Tensor, lengths: Lengths) -> Tensor:
    """:func:`segment_mean` and :func:`segment_max` side by side: ``(total, width) -> (batch, 2 * width)``."""
    layout = layout_of(values, lengths)
    if on_engine(values) and values.dim() == 2:
        return pooled(values, layout, mean=True, largest=True)
    return torch.cat([segment_mean(values, layout), segment_max(values, layout)], dim=1)


def scale(
    values: Tensor, lengths: Lengths, by_sequence: Tensor | None = None, by_token: Tensor | None = None
) -> Tensor:
    """Each row times the factors of its sequence and its own factor: ``(total, width)`` of the same shape.

    Args:
        values: ``(total, width)``.
        lengths: of the sequences.
        by_sequence: ``(batch, width)``; gets no gradient.
        by_token: ``(total,)``; gets no gradient.
    """
    layout = layout_of(values, lengths)
    if on_engine(values):
        return scaled(values, layout, by_sequence, by_token)
    if by_sequence is not None:
        values = values * take(by_sequence, layout.sequence)
    return values if by_token is None else values * by_token[:, None]


def segment_softmax(scores: Tensor, lengths: Lengths) -> Tensor:
    """Softmax within each sequence, for each feature: ``(total, ...) -> (total, ...)``."""
    layout = layout_of(scores, lengths)
    highest = segment_max(scores.detach(), layout)
    weights = (scores - take(highest, layout.sequence)).exp()
    return weights / take(segment_sum(weights, layout), layout.sequence)


def first(values: Tensor, lengths: Lengths) -> Tensor:
    """First element of each sequence: ``(total, ...) -> (batch, ...)``."""
    layout = layout_of(values, lengths)
    return _pick(values, layout, layout.first)


def last(values: Tensor, lengths: Lengths) -> Tensor:
    """Last element of each sequence: ``(total, ...) -> (batch, ...)``."""
    layout = layout_of(values, lengths)
    return _pick(values, layout, layout.last)


def reverse(values: Tensor, lengths: Lengths) -> Tensor:
    """Each sequence back to front: ``(total, ...) -> (total, ...)``."""
    return take(values, layout_of(values, lengths).reversed)


def _pooled(values: Tensor, layout: Layout, *, mean: bool, largest: bool, divide: bool = True) -> Tensor:
    """One reduction on the engine, of any number of features."""
    flat = values.flatten(1) if values.dim() > 1 else values[:, None]
    result = pooled(flat, layout, mean=mean, largest=largest, divide=divide)
    return result.view(layout.batch, *values.shape[1:])


def _pick(values: Tensor, layout: Layout, token: Tensor) -> Tensor:
    """``values[token]``, zeros for empty sequences, whose token is out of place or out of range."""
    if layout.total == 0:
        return values.new_zeros(layout.batch, *values.shape[1:])
    picked = take(values, token.clamp(0, layout.total - 1))
    return picked.masked_fill(layout.empty.view(-1, *[1] * (values.dim() - 1)), 0.0)
