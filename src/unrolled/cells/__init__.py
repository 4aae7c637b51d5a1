"""The equations of the recurrent cells, one time step, on numpy arrays or torch tensors."""

from unrolled.cells.arrays import CellWeights, softmax
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
    "gru_step",
    "lstm_step",
    "rnn_output",
    "rnn_step",
    "rnn_step_joined",
    "softmax",
    "unroll",
]
