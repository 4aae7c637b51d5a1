"""Ctrl-C that ends a training between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TrainingInterrupted(KeyboardInterrupt):
    """The training was asked to stop and has saved its state; the message says how to go on.

    A ``KeyboardInterrupt``, because that is what callers who do not know of it expect from Ctrl-C.
    """


class StopRequest:
    """Whether the user, or the system, has asked the training to stop."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def stop_on_signal(enabled: bool) -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a request; a second one interrupts at once.

    Args:
        enabled: false where there is no checkpoint to save: signals then do what they always do. They also do
            so outside the main thread, where Python allows no handlers.
    """
    request = StopRequest()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield request
        return
    old: dict[int, Any] = {}

    def handle(number: int, _frame: FrameType | None) -> None:
        request.asked = True
        for known, handler in old.items():
            signal.signal(known, handler)

    for watched in (signal.SIGINT, signal.SIGTERM):
        old[watched] = signal.signal(watched, handle)
    try:
        yield request
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
