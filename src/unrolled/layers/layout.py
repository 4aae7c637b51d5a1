"""Where the tokens of a ragged batch lie: in its own order, reversed, packed by time step, or padded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor


class Layout:
    """The index arithmetic of one ragged batch, each array computed once, when it is first asked for.

    A ragged batch lays its sequences end to end: token ``k`` is step ``step[k]`` of sequence ``sequence[k]``.
    The other orders are given as *slots*: ``slots[k]`` is the place of token ``k`` there. No two tokens share
    a slot.

    Args:
        lengths: tokens a sequence, ``(batch,)``, zero allowed.
        device: where the slots are needed. The arithmetic itself is done on the CPU.
        rank: ``(batch,)``, the place of each sequence when sorted by length, longest first; computed if
            ``None``.

    Raises:
        ValueError: if the lengths are not a flat list of non-negative integers.
    """

    def __init__(
        self,
        lengths: Tensor | np.ndarray | Sequence[int],
        *,
        device: torch.device | None = None,
        rank: Tensor | None = None,
    ) -> None:
        tensor = torch.as_tensor(lengths)
        if tensor.dim() != 1 or (
            tensor.numel() and (tensor.is_floating_point() or tensor.dtype == torch.bool)
        ):
            raise ValueError(
                f"expected integer lengths of shape (batch,), got {tuple(tensor.shape)} of {tensor.dtype}"
            )
        self.lengths = tensor.to("cpu", torch.int64)
        """``(batch,)`` int64, on the CPU."""
        self.sizes: list[int] = self.lengths.tolist()
        """The same as Python integers."""
        self.device = device
        self.batch = len(self.sizes)
        self.total = sum(self.sizes)
        self.longest = max(self.sizes, default=0)
        if self.batch and min(self.sizes) < 0:
            shortest = min(self.sizes)
            raise ValueError(
                f"lengths must not be negative: sequence {self.sizes.index(shortest)} has length {shortest}"
            )
        if rank is not None:
            self._rank = rank.to("cpu")

    @cached_property
    def _starts(self) -> Tensor:
        return self.lengths.cumsum(0) - self.lengths

    @cached_property
    def _sequence(self) -> Tensor:
        return torch.repeat_interleave(torch.arange(self.batch), self.lengths, output_size=self.total)

    @cached_property
    def _step(self) -> Tensor:
        return torch.arange(self.total) - self._starts[self._sequence]

    @cached_property
    def _rank(self) -> Tensor:
        return torch.argsort(torch.argsort(self.lengths, descending=True, stable=True))

    @cached_property
    def sequence(self) -> Tensor:
        """``(total,)`` the sequence of each token."""
        return self._sequence.to(self.device)

    @cached_property
    def first(self) -> Tensor:
        """``(batch,)`` the first token of each sequence; not meaningful for an empty one."""
        return self._starts.to(self.device)

    @cached_property
    def last(self) -> Tensor:
        """``(batch,)`` the last token of each sequence; not meaningful for an empty one."""
        return (self._starts + self.lengths - 1).to(self.device)

    @cached_property
    def empty(self) -> Tensor:
        """``(batch, 1)`` bool, true where a sequence has no token."""
        return (self.lengths == 0)[:, None].to(self.device)

    @cached_property
    def reversed(self) -> Tensor:
        """``(total,)`` slots of the batch with each sequence back to front. It is its own inverse."""
        mirror = 2 * self._starts + self.lengths - 1
        return (mirror[self._sequence] - torch.arange(self.total)).to(self.device)

    @cached_property
    def batch_sizes(self) -> Tensor:
        """``(longest,)`` int64 on the CPU: the number of sequences that have a step ``t``."""
        ended = torch.bincount(self.lengths, minlength=self.longest + 1)[: self.longest]
        return self.batch - ended.cumsum(0)

    @cached_property
    def packed(self) -> Tensor:
        """``(total,)`` slots by time step, longest sequence first, as in torch's ``PackedSequence.data``."""
        step_starts = self.batch_sizes.cumsum(0) - self.batch_sizes
        return (step_starts[self._step] + self._rank[self._sequence]).to(self.device)

    @cached_property
    def by_length(self) -> Tensor:
        """``(batch,)`` the sequences sorted by length, longest first."""
        return torch.argsort(self._rank).to(self.device)

    @cached_property
    def rank(self) -> Tensor:
        """``(batch,)`` the place of each sequence in :attr:`by_length`."""
        return self._rank.to(self.device)

    def padded(self, steps: int) -> Tensor:
        """``(total,)`` slots in ``(batch, steps)`` flattened; ``steps`` is at least the longest length."""
        return (self._sequence * steps + self._step).to(self.device)


def take(values: Tensor, slots: Tensor) -> Tensor:
    """``values[slots]`` along the first axis."""
    return values.index_select(0, slots)


def place(values: Tensor, slots: Tensor, count: int) -> Tensor:
    """The inverse of :func:`take`: row ``k`` goes to row ``slots[k]`` of ``count``; other rows are zero."""
    return values.new_zeros(count, *values.shape[1:]).index_copy(0, slots, values)
