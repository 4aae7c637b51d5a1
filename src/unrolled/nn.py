"""The building blocks: equations of the cells, recurrent layers, embedding, work on ragged batches.

torch is imported when the first layer is asked for; the equations alone do not need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unrolled.errors import MissingExtraError

if TYPE_CHECKING:
    from unrolled.cells import CellWeights as CellWeights
    from unrolled.cells import gru_step as gru_step
    from unrolled.cells import lstm_step as lstm_step
    from unrolled.cells import rnn_output as rnn_output
    from unrolled.cells import rnn_step as rnn_step
    from unrolled.cells import rnn_step_joined as rnn_step_joined
    from unrolled.cells import unroll as unroll
    from unrolled.layers.crf import CRF as CRF
    from unrolled.layers.embedding import Embedding as Embedding
    from unrolled.layers.embedding import one_hot as one_hot
    from unrolled.layers.gru import GRU as GRU
    from unrolled.layers.lstm import LSTM as LSTM
    from unrolled.layers.ragged import first as first
    from unrolled.layers.ragged import last as last
    from unrolled.layers.ragged import reverse as reverse
    from unrolled.layers.ragged import segment_max as segment_max
    from unrolled.layers.ragged import segment_mean as segment_mean
    from unrolled.layers.ragged import segment_softmax as segment_softmax
    from unrolled.layers.ragged import segment_sum as segment_sum
    from unrolled.layers.rnn import RNN as RNN
    from unrolled.text.batch import SequenceBatch as SequenceBatch

_HOME = {
    "CellWeights": "cells",
    "gru_step": "cells",
    "lstm_step": "cells",
    "rnn_output": "cells",
    "rnn_step": "cells",
    "rnn_step_joined": "cells",
    "unroll": "cells",
    "CRF": "layers.crf",
    "Embedding": "layers.embedding",
    "one_hot": "layers.embedding",
    "GRU": "layers.gru",
    "LSTM": "layers.lstm",
    "RNN": "layers.rnn",
    "first": "layers.ragged",
    "last": "layers.ragged",
    "reverse": "layers.ragged",
    "segment_max": "layers.ragged",
    "segment_mean": "layers.ragged",
    "segment_softmax": "layers.ragged",
    "segment_sum": "layers.ragged",
    "SequenceBatch": "text.batch",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"unrolled.{_HOME[name]}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(f"unrolled.nn.{name}", package="torch", extra="train") from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
