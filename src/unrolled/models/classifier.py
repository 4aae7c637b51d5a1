"""The many-to-one model: a text in, one vector of scores out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unrolled import layers
from unrolled.layers import ragged
from unrolled.layers.bag import summed_rows
from unrolled.layers.dropout import dropout_mask
from unrolled.layers.layout import Layout
from unrolled.models.batch import EncodedBatch
from unrolled.models.convolution import WIDTHS, ConvolutionEncoder
from unrolled.models.pooling import AttentionPooling, last_state
from unrolled.options import ClassifierOptions
from unrolled.text.batch import SequenceBatch


class TextClassifier(nn.Module):
    """Embedding, encoder, pooling, output.

    A token's vector is the sum of its rows of the embedding table: its own and one for each of its character
    n-grams (Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information"). An encoder turns the
    vectors of a text into states, pooling turns the states into one vector, a linear layer turns that into
    scores.

    Args:
        options: which encoder, pooling, sizes and dropouts.
        table_rows: rows of the embedding table (vocabulary and n-gram buckets together).
        outputs: scores a text: the number of labels, or 1 for regression.
    """

    def __init__(self, options: ClassifierOptions, table_rows: int, outputs: int) -> None:
        super().__init__()
        self.options = options
        self.embedding = nn.Embedding(table_rows, options.embed_dim)
        # A token sums about a dozen rows: small rows keep the sum near the size that the gates expect.
        nn.init.normal_(self.embedding.weight, std=0.1)
        dim, hidden = options.embed_dim, options.hidden
        self.encoder: nn.Module
        if options.model == "mlp":
            self.encoder = nn.Linear(dim, hidden)
            pooled = hidden
        elif options.model == "cnn":
            self.encoder = ConvolutionEncoder(dim, hidden)
            pooled = len(WIDTHS) * hidden
        else:
            recurrent = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.RNN}[options.model]
            self.encoder = recurrent(
                dim,
                hidden,
                options.layers,
                batch_first=True,
                dropout=options.dropout if options.layers > 1 else 0.0,
                bidirectional=options.bidirectional,
                recurrent_dropout=options.recurrent_dropout,
            )
            pooled = hidden * (2 if options.bidirectional else 1)
        if options.model != "mlp" and options.pooling == "attention":
            self.pooling = AttentionPooling(pooled)
        if options.model != "mlp" and options.pooling == "mean+max":
            pooled *= 2
        self.output = nn.Linear(pooled, outputs)

    def forward(self, batch: EncodedBatch, rows: Tensor | None = None) -> Tensor:
        """Scores of each text, before softmax or sigmoid.

        Args:
            batch: the texts.
            rows: ``(n, embed_dim)``, used in place of the embedding table when given; ``batch.rows`` then
                counts in it (see :meth:`EncodedBatch.localised`).

        Returns:
            ``(batch, outputs)``.
        """
        table = self.embedding.weight if rows is None else rows
        weights = self._ngram_weights(batch)
        vectors = summed_rows(table, batch.rows, batch.starts, weights)
        vectors = self._drop(vectors, batch.layout)
        pooled = self._pool(self._encode(vectors, batch.layout), batch.layout)
        if self.training and self.options.dropout:
            pooled = pooled * dropout_mask(*pooled.shape, drop=self.options.dropout, like=pooled)
        scores: Tensor = self.output(pooled)
        return scores

    def _ngram_weights(self, batch: EncodedBatch) -> Tensor | None:
        """Which rows count in training: dropped n-grams do not, the token's own row always does.

        The sum is not scaled up for what is missing: a rare word, too, has few n-grams that are known.
        """
        if not (self.training and self.options.ngram_dropout and self.options.ngram_max):
            return None
        table = self.embedding.weight
        weights = dropout_mask(len(batch.rows), drop=self.options.ngram_dropout, like=table, keep_mean=False)
        return weights.index_fill_(0, batch.starts, 1.0)

    def _drop(self, vectors: Tensor, layout: Layout) -> Tensor:
        """Dropout of the input: whole tokens, and the same dimensions for all tokens of a text (Gal 2016)."""
        if not self.training or layout.total == 0:
            return vectors
        tokens = texts = None
        if self.options.word_dropout:
            tokens = dropout_mask(layout.total, drop=self.options.word_dropout, like=vectors, keep_mean=False)
        if self.options.embed_dropout:
            width = vectors.shape[1]
            texts = dropout_mask(layout.batch, width, drop=self.options.embed_dropout, like=vectors)
        if tokens is None and texts is None:
            return vectors
        return ragged.scale(vectors, layout, texts, tokens)

    def _encode(self, vectors: Tensor, layout: Layout) -> Tensor:
        """``(total, dim) -> (total, width)``; the MLP passes the vectors on: it sees only their mean."""
        if self.options.model == "mlp":
            return vectors
        if self.options.model == "cnn":
            states: Tensor = self.encoder(vectors, layout)
            return states
        output, _ = self.encoder(SequenceBatch(vectors, layout.lengths))
        values: Tensor = output.values
        return values

    def _pool(self, states: Tensor, layout: Layout) -> Tensor:
        """``(total, width) -> (batch, pooled)``."""
        if self.options.model == "mlp":
            hidden: Tensor = torch.relu(self.encoder(ragged.segment_mean(states, layout)))
            return hidden
        pooling = self.options.pooling
        if pooling == "attention":
            return self.pooling.pool(states, layout)
        if pooling == "last":
            return last_state(states, layout, self.options.bidirectional and self.options.model != "cnn")
        if pooling == "mean":
            return ragged.segment_mean(states, layout)
        if pooling == "max":
            return ragged.segment_max(states, layout)
        return ragged.segment_mean_and_max(states, layout)
