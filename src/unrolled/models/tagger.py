"""The many-to-many model with one answer a word: a sentence in, scores of the tags of each word out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unrolled import layers
from unrolled.layers import ragged
from unrolled.layers.bag import summed_rows
from unrolled.layers.crf import CRF
from unrolled.layers.dropout import dropout_mask
from unrolled.layers.layout import Layout
from unrolled.options import TaggerOptions
from unrolled.text.batch import SequenceBatch

_CHARACTER_DROPOUT = 0.05


@dataclass(frozen=True)
class SentenceBatch:
    """A batch of sentences. What depends on a word alone is given, and computed, once for each distinct word.

    Attributes:
        rows: ``(total_rows,)`` int32, rows of the embedding table of all distinct words, one word after the
            other.
        counts: ``(words,)`` int64, how many each word has.
        own: ``(words,)`` int64, how many of them, at the front, are the word's own.
        characters: ``(total_characters,)`` int64.
        spelling: how the characters lie in the words.
        words: ``(tokens,)`` int64, the distinct word of each token.
        layout: how the tokens lie in the sentences.
        vectors: ``(words, width)`` float32, fixed vectors read beside the table, or ``None``.
    """

    rows: Tensor
    counts: Tensor
    own: Tensor
    characters: Tensor
    spelling: Layout
    words: Tensor
    layout: Layout
    vectors: Tensor | None = None


class WordTagger(nn.Module):
    """Word vectors, recurrent layers over the sentence, a score for each tag, and a CRF over the scores.

    A word's vector is the sum of its rows of the embedding table (its own, its shape's, those of its
    character n-grams), beside what a bidirectional LSTM makes of its characters (Lample et al. 2016, "Neural
    Architectures for Named Entity Recognition"), beside a fixed vector where the user gives some.

    Args:
        options: sizes and dropouts.
        table_rows: rows of the embedding table.
        characters: rows of the table of characters.
        tags: number of tags.
        vectors: width of the fixed vectors, 0 without.
        crf: which transitions a CRF may take ``(allowed, start, end)`` as
            :class:`unrolled.layers.crf.CRF` takes them; ``None`` for a softmax a word.
    """

    def __init__(
        self,
        options: TaggerOptions,
        table_rows: int,
        characters: int,
        tags: int,
        *,
        vectors: int = 0,
        crf: tuple[Tensor, Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.options = options
        self.embedding = nn.Embedding(table_rows, options.embed_dim)
        # A word sums about a dozen rows: small rows keep the sum near the size that the gates expect.
        nn.init.normal_(self.embedding.weight, std=0.1)
        width = options.embed_dim + vectors
        if options.characters == "lstm":
            self.characters = nn.Embedding(characters, options.char_dim)
            self.speller = layers.LSTM(options.char_dim, options.char_hidden, bidirectional=True)
            width += 2 * options.char_hidden
        recurrent = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.RNN}[options.model]
        self.encoder = recurrent(
            width,
            options.hidden,
            options.layers,
            dropout=options.dropout if options.layers > 1 else 0.0,
            bidirectional=True,
            recurrent_dropout=options.recurrent_dropout,
        )
        self.output = nn.Linear(2 * options.hidden, tags)
        self.crf: CRF | None = None
        if crf is not None:
            allowed, start, end = crf
            self.crf = CRF(tags, allowed=allowed, allowed_start=start, allowed_end=end)

    def forward(self, batch: SentenceBatch, rows: Tensor | None = None) -> Tensor:
        """Scores of each token's tags, before softmax or CRF.

        Args:
            batch: the sentences.
            rows: ``(n, embed_dim)``, used in place of the embedding table when given; ``batch.rows`` then
                counts in it.

        Returns:
            ``(tokens, tags)``.
        """
        table = self.embedding.weight if rows is None else rows
        vectors = self._word_vectors(batch, table).index_select(0, batch.words)
        drop = self.options.embed_dropout
        if self.training and drop:
            mask = dropout_mask(batch.layout.batch, vectors.shape[1], drop=drop, like=vectors)
            vectors = ragged.scale(vectors, batch.layout, mask)
        output, _ = self.encoder(SequenceBatch(vectors, batch.layout.lengths))
        states: Tensor = output.values
        if self.training and self.options.dropout:
            states = states * dropout_mask(*states.shape, drop=self.options.dropout, like=states)
        scores: Tensor = self.output(states)
        return scores

    def _word_vectors(self, batch: SentenceBatch, table: Tensor) -> Tensor:
        """``(words, width)``."""
        starts = batch.counts.cumsum(0) - batch.counts
        parts = [summed_rows(table, batch.rows, starts, self._row_weights(batch, starts, table))]
        if self.options.characters == "lstm":
            spelled = self.characters(batch.characters)
            if self.training:
                kept = dropout_mask(len(spelled), drop=_CHARACTER_DROPOUT, like=spelled, keep_mean=False)
                spelled = spelled * kept[:, None]
            _, (h, _) = self.speller(SequenceBatch(spelled, batch.spelling.lengths))
            parts += [h[0], h[1]]
        if batch.vectors is not None:
            parts.append(batch.vectors)
        return torch.cat(parts, dim=1)

    def _row_weights(self, batch: SentenceBatch, starts: Tensor, table: Tensor) -> Tensor | None:
        """Which rows count in training: all of a word's own or none, any of the others.

        The sum is not scaled up for what is missing: a rare word, too, has few rows that are known.
        """
        options = self.options
        if not (self.training and (options.word_dropout or options.ngram_dropout)):
            return None
        count = len(batch.rows)
        weights = dropout_mask(count, drop=options.ngram_dropout, like=table, keep_mean=False)
        word = torch.repeat_interleave(torch.arange(len(starts)), batch.counts, output_size=count)
        known = dropout_mask(len(starts), drop=options.word_dropout, like=table, keep_mean=False)
        is_own = torch.arange(count) - starts[word] < batch.own[word]
        return torch.where(is_own, known[word], weights)
