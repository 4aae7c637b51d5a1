"""Cells over time: torch modules on ragged batches."""

from unrolled.layers.crf import CRF
from unrolled.layers.embedding import Embedding, one_hot
from unrolled.layers.gru import GRU
from unrolled.layers.lstm import LSTM
from unrolled.layers.recurrent import RecurrentLayer
from unrolled.layers.rnn import RNN

__all__ = ["CRF", "GRU", "LSTM", "RNN", "Embedding", "RecurrentLayer", "one_hot"]
