"""The equations on numpy arrays or torch tensors: recurrent cells, one time step; the linear-chain CRF."""

from unrolled.cells.arrays import CellWeights, softmax
from unrolled.cells.crf import best_path, log_partition, path_score
from unrolled.cells.gru import GRUStep, gru_step
from unrolled.cells.lstm import LSTMStep, lstm_step
from unrolled.cells.rnn import rnn_output, rnn_step, rnn_step_joined
from unrolled.cells.unroll import GATES, KINDS, Kind, unroll

__all__ = [
    "GATES",
    "KINDS",
    "CellWeights",
    "GRUStep",
    "Kind",
    "LSTMStep",
    "best_path",
    "gru_step",
    "log_partition",
    "lstm_step",
    "path_score",
    "rnn_output",
    "rnn_step",
    "rnn_step_joined",
    "softmax",
    "unroll",
]
