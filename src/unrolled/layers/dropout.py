"""Masks for dropout, in one form with and without the engine."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unrolled import engine


def dropout_mask(*shape: int, drop: float, like: Tensor, keep_mean: bool = True) -> Tensor:
    """Elements that are 0 with probability ``drop``, else 1 or, to keep the mean, ``1 / (1 - drop)``.

    torch's default generator is asked for one number, the seed; :func:`unrolled.engine.random_mask` makes
    the mask of it, many times as fast as torch. So ``torch.manual_seed`` repeats it as usual, whatever the
    number of threads, and with or without the extension.

    Args:
        shape: of the mask.
        drop: at least 0 and below 1.
        like: a tensor of the type and device wanted.
        keep_mean: scale what is kept.
    """
    seed = int(torch.empty((), dtype=torch.int64).random_())
    kept = 1 / (1 - drop) if keep_mean else 1.0
    dtype = np.dtype(np.float64 if like.dtype == torch.float64 else np.float32)
    return torch.from_numpy(engine.random_mask(shape, drop, kept, seed, dtype)).to(like)
