"""Writing named tensors in the safetensors format without a second copy of them in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from unrolled.errors import TrainingError

_TYPES = {torch.float16: "F16", torch.float32: "F32", torch.int32: "I32", torch.int64: "I64"}


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write and sync a safetensors file; ``safetensors.torch.load_file`` reads it.

    The library's own writer turns all tensors into byte strings first, which doubles the memory of a training
    at each checkpoint.

    Raises:
        TrainingError: the disk is full or may not be written to.
    """
    arrays = {name: tensor.detach().contiguous().numpy() for name, tensor in tensors.items()}
    header, end = {}, 0
    for name, array in arrays.items():
        kind = _TYPES[tensors[name].dtype]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    try:
        with path.open("wb") as file:
            file.write(len(text).to_bytes(8, "little"))
            file.write(text)
            for array in arrays.values():
                file.write(array.reshape(-1).data if array.size else b"")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise TrainingError(
            f"{path}: cannot be written ({error.strerror or error}). Check free space and rights."
        ) from None
