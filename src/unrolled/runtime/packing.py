"""Texts sorted by length and laid out step by step: what a scan without padding needs."""

from __future__ import annotations

import numpy as np


class Packed:
    """Layout of sequences of falling length, time-major: all first tokens, then all second tokens, and so on.

    At step ``t`` the first ``counts[t]`` sequences are still running, and their tokens stand at
    ``starts[t] : starts[t] + counts[t]``.

    Args:
        lengths: ``(batch,)`` int64, not rising. The last ones may be 0.

    Attributes:
        step: ``(total,)``, the step of each packed token.
        sequence: ``(total,)``, the sequence of each packed token.
        mirror: ``(total,)``, packed place of the token that lies as far from its sequence's end as this one
            from its start. Taking it turns every sequence round; taking it twice does nothing.
    """

    def __init__(self, lengths: np.ndarray) -> None:
        self.lengths = lengths
        self.batch = len(lengths)
        longest = int(lengths[0]) if self.batch else 0
        running = np.searchsorted(-lengths, -np.arange(longest), side="left")
        self.counts: list[int] = running.tolist()
        starts = np.cumsum(running) - running
        self.starts: list[int] = starts.tolist()
        self.total = int(lengths.sum())
        self.step = np.repeat(np.arange(longest), running)
        self.sequence = np.arange(self.total) - np.repeat(starts, running)
        self.mirror = starts[lengths[self.sequence] - 1 - self.step] + self.sequence
        filled = int(np.count_nonzero(lengths))
        #: packed place of each sequence's last token, for the sequences that have one
        self.last = starts[lengths[:filled] - 1] + np.arange(filled)
