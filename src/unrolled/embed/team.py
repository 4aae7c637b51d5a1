"""How many threads to use where the result does not depend on it: what is faster now."""

from __future__ import annotations

_PROBE_EVERY = 12


class Team:
    """All threads, or one, whichever did more windows a second lately.

    Threads that meet many thousand times a second are fast on idle cores. Where other programs want the same
    cores, each wait lasts until the system lets the late one run, and one thread alone is faster.

    Args:
        threads: that may be used.
        fixed: always use all of them.

    Attributes:
        size: threads for the next piece of work.
    """

    def __init__(self, threads: int, *, fixed: bool) -> None:
        self._choices = [threads] if fixed or threads == 1 else [threads, 1]
        self._rates = dict.fromkeys(self._choices, 0.0)
        self._pieces = 0
        self.size = threads

    def worked(self, windows: int, seconds: float) -> None:
        """Tell how a piece of work went on ``size`` threads, and choose for the next one."""
        self._rates[self.size] = windows / max(seconds, 1e-9)
        self._pieces += 1
        untried = [threads for threads in self._choices if not self._rates[threads]]
        if untried:
            self.size = untried[0]
            return
        self.size = max(self._choices, key=self._rates.__getitem__)
        if self._pieces % _PROBE_EVERY == 0:
            self.size = next((other for other in self._choices if other != self.size), self.size)
