"""The one ragged type: sequences of unequal length, laid end to end, without padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from unrolled import engine


def gather_positions(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Positions of the elements of several runs, one run after the other.

    Args:
        starts: ``(runs,)`` int64, first position of each run.
        lengths: ``(runs,)`` int64, number of positions in each run.

    Returns:
        ``(sum(lengths),)`` int64: ``starts[0], starts[0] + 1, ..., starts[1], ...``.
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    positions: np.ndarray = np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - lengths), lengths)
    return positions


@dataclass(frozen=True, eq=False, slots=True)
class SequenceBatch:
    """A batch of sequences, one after the other in batch order.

    Args:
        values: ``(total_tokens,)`` int32 ids, or ``(total_tokens, dim)`` float32 vectors. All tokens of
            sequence 0, then all of sequence 1, and so on.
        lengths: ``(batch,)`` int64, tokens a sequence. Zero is allowed.

    The fields are numpy arrays here. Further along the package the same type holds torch tensors, for which
    ``len()`` and ``total`` work and no check is made; the other methods need numpy.

    Raises:
        ValueError: if the shapes or types do not fit, a length is negative, or the lengths do not add up to
            the number of values.
    """

    values: Any
    lengths: Any

    def __post_init__(self) -> None:
        values, lengths = self.values, self.lengths
        if not (isinstance(values, np.ndarray) and isinstance(lengths, np.ndarray)):
            return
        if lengths.ndim != 1 or (lengths.dtype.kind not in "iu" and lengths.size):
            raise ValueError(
                f"lengths must be a 1-D array of integers, got shape {lengths.shape} of {lengths.dtype}"
            )
        if values.ndim not in (1, 2):
            raise ValueError(
                f"values must be (total_tokens,) or (total_tokens, dim), got shape {values.shape}"
            )
        if lengths.dtype == np.int64 and engine.lengths_fit(lengths, len(values)):
            return
        if lengths.size and int(lengths.min()) < 0:
            at = int(np.argmax(lengths < 0))
            raise ValueError(f"lengths must not be negative: sequence {at} has length {int(lengths[at])}")
        if int(lengths.sum()) != len(values):
            raise ValueError(f"lengths add up to {int(lengths.sum())}, but there are {len(values)} values")

    @classmethod
    def from_lists(cls, sequences: Sequence[Sequence[int] | np.ndarray]) -> SequenceBatch:
        """A batch of ids from one list of ids a sequence.

        Raises:
            ValueError: if an id is not an integer or does not fit into int32.
        """
        lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
        parts = [np.asarray(sequence) for sequence in sequences if len(sequence)]
        if not parts:
            return cls(np.zeros(0, dtype=np.int32), lengths)
        joined = np.concatenate(parts)
        if joined.dtype.kind not in "iu" or joined.ndim != 1:
            raise ValueError(f"ids must be flat lists of integers, got {joined.dtype}")
        limits = np.iinfo(np.int32)
        if int(joined.min()) < limits.min or int(joined.max()) > limits.max:
            raise ValueError(f"ids must fit into int32, got {int(joined.min())} to {int(joined.max())}")
        return cls(joined.astype(np.int32), lengths)

    @classmethod
    def from_padded(cls, padded: np.ndarray, lengths: np.ndarray) -> SequenceBatch:
        """A batch from the padded form.

        Args:
            padded: ``(batch, seq)`` ids or ``(batch, seq, dim)`` vectors. What lies beyond a length is
                ignored.
            lengths: ``(batch,)``, each between 0 and ``seq``.
        """
        padded = np.asarray(padded)
        lengths = np.asarray(lengths, dtype=np.int64)
        if padded.ndim not in (2, 3) or lengths.shape != padded.shape[:1]:
            raise ValueError(
                f"expected (batch, seq[, dim]) with lengths (batch,), got {padded.shape} with {lengths.shape}"
            )
        if lengths.size and (int(lengths.min()) < 0 or int(lengths.max()) > padded.shape[1]):
            raise ValueError(f"lengths must lie between 0 and {padded.shape[1]}, the padded length")
        return cls(padded[np.arange(padded.shape[1]) < lengths[:, None]], lengths)

    @property
    def total(self) -> int:
        """Tokens in all sequences together."""
        return int(self.values.shape[0])

    @property
    def offsets(self) -> np.ndarray:
        """``(batch + 1,)`` int64: sequence ``i`` is ``values[offsets[i]:offsets[i + 1]]``."""
        offsets = np.zeros(len(self) + 1, dtype=np.int64)
        np.cumsum(self.lengths, out=offsets[1:])
        return offsets

    def __len__(self) -> int:
        """Number of sequences."""
        return int(self.lengths.shape[0])

    def __getitem__(self, index: int) -> np.ndarray:
        """Sequence ``index`` as a view of shape ``(length,)`` or ``(length, dim)``."""
        size = len(self)
        position = index + size if index < 0 else index
        if not 0 <= position < size:
            raise IndexError(f"sequence {index} of a batch of {size}")
        start = int(self.lengths[:position].sum())
        sequence: np.ndarray = self.values[start : start + int(self.lengths[position])]
        return sequence

    def __iter__(self) -> Iterator[np.ndarray]:
        offsets = self.offsets.tolist()
        for start, end in pairwise(offsets):
            yield self.values[start:end]

    def select(self, indices: Sequence[int] | np.ndarray) -> SequenceBatch:
        """The sequences at ``indices``, in that order; an index may be negative or come twice."""
        chosen = np.asarray(indices)
        if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
            raise ValueError(
                f"indices must be a flat list of integers, got shape {chosen.shape} of {chosen.dtype}"
            )
        chosen = chosen.astype(np.int64)
        if chosen.size and (int(chosen.min()) < -len(self) or int(chosen.max()) >= len(self)):
            raise IndexError(f"indices from {chosen.min()} to {chosen.max()} for a batch of {len(self)}")
        lengths = self.lengths[chosen]
        # A negative index must address the starts, which have one entry fewer than the offsets.
        starts = self.offsets[:-1][chosen]
        return SequenceBatch(self.values[gather_positions(starts, lengths)], lengths)

    def to_padded(self, pad: float = 0) -> tuple[np.ndarray, np.ndarray]:
        """The padded form.

        Returns:
            ids ``(batch, seq)`` (or vectors ``(batch, seq, dim)``) with ``pad`` after the end of each
            sequence, and mask ``(batch, seq)`` bool, true at tokens; ``seq`` is the longest length.
        """
        longest = int(self.lengths.max()) if len(self) else 0
        mask = np.arange(longest) < self.lengths[:, None]
        padded = np.full((*mask.shape, *self.values.shape[1:]), pad, dtype=self.values.dtype)
        padded[mask] = self.values
        return padded, mask

    def reversed(self) -> SequenceBatch:
        """Each sequence back to front; order of the sequences and lengths unchanged."""
        offsets = self.offsets
        last = np.repeat(offsets[:-1] + offsets[1:] - 1, self.lengths)
        return SequenceBatch(self.values[last - np.arange(self.total)], self.lengths)

    def truncate(self, max_length: int) -> SequenceBatch:
        """The first ``max_length`` tokens of each sequence."""
        if max_length < 0:
            raise ValueError(f"max_length must not be negative, got {max_length}")
        lengths = np.minimum(self.lengths, max_length)
        if int(lengths.sum()) == self.total:
            return self
        return SequenceBatch(self.values[gather_positions(self.offsets[:-1], lengths)], lengths)
