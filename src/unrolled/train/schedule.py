"""The learning rate of each step."""

from __future__ import annotations

import math

WARMUP_STEPS = 100
WARMUP_SHARE = 0.05
LAST_SHARE = 0.05


def learning_rate(step: int, total: int, peak: float) -> float:
    """Linear warm-up, then half a cosine down to 5 % of the peak (Loshchilov and Hutter 2017, "SGDR").

    The warm-up takes 100 steps, or 5 % of the training if that is shorter.

    Args:
        step: the step about to be made, from 0.
        total: steps of the whole training.
        peak: highest learning rate.
    """
    warmup = max(1, min(WARMUP_STEPS, int(total * WARMUP_SHARE)))
    if step < warmup:
        return peak * (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, total - warmup))
    return peak * (LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * done)))
