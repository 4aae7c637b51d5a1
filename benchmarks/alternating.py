"""Calls timed in turn, so that whatever else the machine does falls on all of them alike."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# Seconds before a turn, so that the threads of the one before have stopped spinning. A call that is not timed
# then wakes our own.
_REST = 0.005


@dataclass(frozen=True)
class Times:
    """Seconds a call, one figure a round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def least(self) -> float:
        return min(self.rounds)


def alternate(
    calls: Mapping[str, Callable[[], object]], *, rounds: int = 15, at_least: float = 0.02
) -> dict[str, Times]:
    """Time each call once a round, in turn.

    Args:
        calls: name -> what to time. Each is first called until it is warm.
        rounds: figures of each.
        at_least: seconds; a shorter call is repeated within its turn, and the figure is the mean.
    """
    repeats = {}
    for name, call in calls.items():
        call()
        began = time.perf_counter()
        call()
        once = time.perf_counter() - began
        repeats[name] = max(1, math.ceil(at_least / max(once, 1e-9)))
    figures: dict[str, list[float]] = {name: [] for name in calls}
    collects = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in calls.items():
                time.sleep(_REST)
                call()
                began = time.perf_counter()
                for _ in range(repeats[name]):
                    call()
                figures[name].append((time.perf_counter() - began) / repeats[name])
            gc.collect()
    finally:
        if collects:
            gc.enable()
    return {name: Times(tuple(values)) for name, values in figures.items()}


def ratio(slow: Times, fast: Times) -> float:
    """How many times faster the second is: the ratio of medians."""
    return slow.median / fast.median


def least_ratio(slow: Times, fast: Times) -> float:
    """The same of the minima."""
    return slow.least / fast.least


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(statistics.mean(math.log(value) for value in values))
