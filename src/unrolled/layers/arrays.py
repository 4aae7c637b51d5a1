"""Between tensors and the arrays of the engine."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from unrolled import engine
from unrolled.layers.compiled import DTYPES
from unrolled.layers.scan import is_transformed
from unrolled.layers.traced import is_traced


def on_engine(values: Tensor) -> bool:
    """Whether the engine is there and may compute on such a tensor: not while torch traces or transforms."""
    usable = values.is_cpu and values.dtype in DTYPES and engine.available()
    return usable and not is_traced() and not is_transformed()


def array_of(tensor: Tensor) -> NDArray[Any]:
    """The tensor's numbers, without a copy if they lie in order."""
    array: NDArray[Any] = tensor.detach().contiguous().numpy()
    return array
