"""Which rows of the training data are held out when there is no dev file."""

from __future__ import annotations

import numpy as np

DEV_SHARE = 0.1
#: With fewer rows nothing is held out: two dev texts would measure chance.
SMALLEST_SPLIT = 20


def held_out(hashes: np.ndarray, strata: np.ndarray, seed: int) -> np.ndarray:
    """Choose a tenth of the rows, the same share of each class, the same rows for the same data and seed.

    Equal texts stay together, so that no held-out text is also trained on. A class keeps at least one text
    for training, so one with a single text is never held out.

    Args:
        hashes: ``(rows,)``, of the texts.
        strata: ``(rows,)`` int64, the class of each row.
        seed: of the training.

    Returns:
        ``(rows,)`` bool, true for held-out rows; none if there are fewer than 20 rows, or no class has a text
        to spare.
    """
    chosen = np.zeros(len(hashes), dtype=np.bool_)
    if len(hashes) < SMALLEST_SPLIT:
        return chosen
    _, first, group, sizes = np.unique(hashes, return_index=True, return_inverse=True, return_counts=True)
    generator = np.random.default_rng([seed, 0x5EED])
    order = generator.permutation(len(first))
    stratum_of_group = strata[first]
    spare = _Spare(group, strata)
    taken = np.zeros(len(first), dtype=np.bool_)
    for stratum in np.unique(stratum_of_group):
        groups = order[stratum_of_group[order] == stratum]
        wanted = round(int(sizes[groups].sum()) * DEV_SHARE)
        # Groups are taken whole, so one larger than what is still wanted is passed over.
        for candidate in groups.tolist():
            if wanted <= 0:
                break
            if sizes[candidate] <= wanted and spare.take(candidate):
                taken[candidate] = True
                wanted -= int(sizes[candidate])
    if not taken.any():  # many small classes: a tenth of each is less than one row
        wanted = int(len(hashes) * DEV_SHARE)
        for candidate in order.tolist():
            if 0 < sizes[candidate] <= wanted and spare.take(candidate):
                taken[candidate] = True
                wanted -= int(sizes[candidate])
    chosen[:] = taken[group]
    return chosen


class _Spare:
    """How many distinct texts of each class are not held out yet; an equal text may stand in several classes.

    Args:
        group: ``(rows,)``, number of each row's text, from 0.
        strata: ``(rows,)`` int64.
    """

    def __init__(self, group: np.ndarray, strata: np.ndarray) -> None:
        names, number = np.unique(strata, return_inverse=True)
        pairs = np.unique(group.astype(np.int64) * len(names) + number)
        self._classes = pairs % len(names)
        self._starts = np.searchsorted(pairs // len(names), np.arange(int(group.max()) + 2))
        self._left = np.bincount(self._classes)

    def take(self, text: int) -> bool:
        """Hold a text out, if each of its classes then still has another."""
        classes = self._classes[self._starts[text] : self._starts[text + 1]]
        if (self._left[classes] < 2).any():
            return False
        self._left[classes] -= 1
        return True
