"""Random masks for dropout that depend on a seed alone: not on threads, instruction set or extension."""

from __future__ import annotations

from typing import Any

import numpy as np

from unrolled.engine import library
from unrolled.engine.arrays import Array, empty, suffix

_FLOAT32 = np.dtype(np.float32)
_GAMMA, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def random_mask(
    shape: tuple[int, ...], drop: float, kept: float, seed: int, dtype: np.dtype[Any] = _FLOAT32
) -> Array:
    """Elements that are 0 with probability ``drop`` and ``kept`` otherwise.

    Element ``i`` (in C order) depends on ``seed`` and ``i`` alone. Half of the word ``z`` decides it, the
    lower one for even ``i``, the upper one for odd; it is 0 where the half is below ``drop * 2**32``::

        z = mix(seed + (i // 2 + 1) 0x9E3779B97F4A7C15)      mix: the finaliser of SplitMix64
                                                             (Steele, Lea and Flood 2014)

    Args:
        shape: of the result.
        drop: at least 0 and below 1.
        kept: usually 1, or ``1 / (1 - drop)`` to keep the mean.
        seed: at least 0 and below 2**64.
        dtype: float32 or float64.
    """
    count = int(np.prod(shape))
    if library.available():
        out = empty(shape, dtype)
        threads, isa = library.get_num_threads(), library.isa_number()
        getattr(library.native(), "random_mask" + suffix(dtype))(out, count, drop, kept, seed, threads, isa)
        return out
    words = np.arange(1, (count + 1) // 2 + 1, dtype=np.uint64) * np.uint64(_GAMMA) + np.uint64(seed)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(_MIX_1)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(_MIX_2)
    words ^= words >> np.uint64(31)
    halves = np.stack([words & np.uint64(0xFFFFFFFF), words >> np.uint64(32)], axis=1).ravel()[:count]
    threshold = np.uint64(min(int(drop * 2.0**32), 2**32 - 1))
    mask: Array = np.where(halves < threshold, dtype.type(0), dtype.type(kept)).reshape(shape)
    return mask
