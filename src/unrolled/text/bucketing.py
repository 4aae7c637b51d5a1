"""Batches of sequences of nearly equal length, different in every epoch."""

from __future__ import annotations

import numpy as np

from unrolled.errors import OptionError

# A sequence may move this share of its length (and at least two tokens) away from its place in the
# order of lengths.
_NOISE = 0.1


def length_batches(
    lengths: np.ndarray, *, max_tokens: int, max_batch: int, seed: int, epoch: int, shuffle: bool = True
) -> list[np.ndarray]:
    """Cuts sequences into batches by length; every index is in exactly one batch.

    With ``shuffle`` the order of lengths is blurred by random noise before it is cut, so that neighbours
    change from epoch to epoch while a batch stays nearly even, and the batches come in random order.
    Without, they come in the order of lengths, ties in the order of indices. The result depends on the
    arguments alone.

    Args:
        lengths: ``(sequences,)`` tokens a sequence; zero is allowed.
        max_tokens: the most tokens a batch, counted without padding. A longer sequence is a batch of its own.
        max_batch: the most sequences a batch.
        seed: seed of the training run.
        epoch: number of the epoch.
        shuffle: whether to randomise.

    Returns:
        Arrays of int64 indices, none empty.

    Raises:
        OptionError: if a limit is smaller than 1, or seed or epoch is negative.
    """
    if max_tokens < 1 or max_batch < 1:
        raise OptionError(f"max_tokens and max_batch must be at least 1, got {max_tokens} and {max_batch}")
    if seed < 0 or epoch < 0:
        raise OptionError(f"seed and epoch must not be negative, got {seed} and {epoch}")
    lengths = np.asarray(lengths, dtype=np.int64)
    generator = np.random.default_rng([seed, epoch])
    if shuffle:
        reach = np.maximum(2.0, _NOISE * lengths)
        order = np.argsort(lengths + reach * generator.uniform(-1.0, 1.0, len(lengths)), kind="stable")
    else:
        order = np.argsort(lengths, kind="stable")
    ends = np.cumsum(lengths[order])
    batches: list[np.ndarray] = []
    start, before = 0, 0
    while start < len(order):
        fitting = int(np.searchsorted(ends, before + max_tokens, side="right"))
        stop = max(start + 1, min(fitting, start + max_batch))
        batches.append(order[start:stop])
        start, before = stop, int(ends[stop - 1])
    return [batches[position] for position in generator.permutation(len(batches))] if shuffle else batches
