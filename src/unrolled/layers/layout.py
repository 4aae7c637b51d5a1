"""Where the tokens of a ragged batch lie: in its own order, reversed, packed by time step, or padded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")


class _derived(Generic[T]):  # noqa: N801
    """``functools.cached_property`` without the lock that it has in Python 3.11, which torch cannot trace."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, layout: Any, _: type | None = None) -> T:
        value = self._compute(layout)
        # What an object holds under a name comes before this method.
        layout.__dict__[self._name] = value
        return value


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

    @classmethod
    def dense(cls, batch: int, steps: int, *, device: torch.device | None = None) -> Layout:
        """``batch`` sequences of ``steps`` tokens each."""
        layout = cls.__new__(cls)
        layout.lengths = torch.full((batch,), steps, dtype=torch.int64, device="cpu")
        layout.sizes = [steps] * batch
        layout.device = device
        layout.batch, layout.total, layout.longest = batch, batch * steps, steps if batch else 0
        return layout

    @classmethod
    def traced(cls, lengths: Tensor, total: int) -> Layout:
        """Of lengths whose contents are not known yet; sorting and packing are not to be had."""
        layout = cls.__new__(cls)
        layout.lengths, layout.device = lengths, lengths.device
        layout.batch, layout.total = lengths.shape[0], total
        return layout

    @_derived
    def _starts(self) -> Tensor:
        return self.lengths.cumsum(0) - self.lengths

    @_derived
    def _sequence(self) -> Tensor:
        sequences = torch.arange(self.batch, device=self.lengths.device)
        return torch.repeat_interleave(sequences, self.lengths, output_size=self.total)

    @_derived
    def _step(self) -> Tensor:
        return torch.arange(self.total, device=self.lengths.device) - self._starts[self._sequence]

    @_derived
    def _rank(self) -> Tensor:
        return torch.argsort(torch.argsort(self.lengths, descending=True, stable=True))

    @_derived
    def sequence(self) -> Tensor:
        """``(total,)`` the sequence of each token."""
        return self._sequence.to(self.device)

    @_derived
    def first(self) -> Tensor:
        """``(batch,)`` the first token of each sequence; not meaningful for an empty one."""
        return self._starts.to(self.device)

    @_derived
    def last(self) -> Tensor:
        """``(batch,)`` the last token of each sequence; not meaningful for an empty one."""
        return (self._starts + self.lengths - 1).to(self.device)

    @_derived
    def empty(self) -> Tensor:
        """``(batch, 1)`` bool, true where a sequence has no token."""
        return (self.lengths == 0)[:, None].to(self.device)

    @_derived
    def reversed(self) -> Tensor:
        """``(total,)`` slots of the batch with each sequence back to front. It is its own inverse."""
        mirror = 2 * self._starts + self.lengths - 1
        token = torch.arange(self.total, device=self.lengths.device)
        return (mirror[self._sequence] - token).to(self.device)

    @_derived
    def batch_sizes(self) -> Tensor:
        """``(longest,)`` int64 on the CPU: the number of sequences that have a step ``t``."""
        ended = torch.bincount(self.lengths, minlength=self.longest + 1)[: self.longest]
        return self.batch - ended.cumsum(0)

    @_derived
    def packed(self) -> Tensor:
        """``(total,)`` slots by time step, longest sequence first, as in torch's ``PackedSequence.data``."""
        step_starts = self.batch_sizes.cumsum(0) - self.batch_sizes
        return (step_starts[self._step] + self._rank[self._sequence]).to(self.device)

    @_derived
    def by_length(self) -> Tensor:
        """``(batch,)`` the sequences sorted by length, longest first."""
        return torch.argsort(self._rank).to(self.device)

    @_derived
    def rank(self) -> Tensor:
        """``(batch,)`` the place of each sequence in :attr:`by_length`."""
        return self._rank.to(self.device)

    def padded(self, steps: int) -> Tensor:
        """``(total,)`` slots in ``(batch, steps)`` flattened; ``steps`` is at least the longest length."""
        is_token = torch.arange(steps) < self.lengths[:, None]
        return is_token.view(-1).nonzero().view(-1).to(self.device)


def take(values: Tensor, slots: Tensor) -> Tensor:
    """``values[slots]`` along the first axis."""
    return values.index_select(0, slots)


def place(values: Tensor, slots: Tensor, count: int) -> Tensor:
    """The inverse of :func:`take`: row ``k`` goes to row ``slots[k]`` of ``count``; other rows are zero."""
    return values.new_zeros(count, *values.shape[1:]).index_copy_(0, slots, values)
