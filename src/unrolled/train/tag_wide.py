"""The wide part of a tagger: a linear model over windows of words, fitted in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from unrolled import engine
from unrolled.layers.bag import summed_rows
from unrolled.layers.dropout import dropout_mask
from unrolled.runtime.tagging import wide_table
from unrolled.text.ngrams import most_frequent
from unrolled.text.windows import BUCKETS, WindowFeatures
from unrolled.train.optimizer import RowAdam
from unrolled.train.tagged_corpus import TaggedPart

#: Chosen on the dev data of English parts of speech; others hardly differ.
_EPOCHS, _STEP_WORDS, _RATE, _LAST_RATE, _DROPOUT = 6, 512, 0.01, 1e-4, 0.3
_BETAS = (0.9, 0.99)
_MIN_FREQ = 2
#: Weights at most, a byte each in the file: of many tags there are fewer features.
_MOST_WEIGHTS = 2_400_000
_COUNTED = 1024


@dataclass(frozen=True)
class WidePart:
    """A fitted linear model.

    Attributes:
        features: of words, with rows for those that training saw often enough.
        steps: ``(rows, tags)`` int8, the weights as they will be stored: a quarter of the bytes, and as good
            on the dev data.
        scale: ``(tags,)`` float32, what one step of a tag is worth.
    """

    features: WindowFeatures
    steps: np.ndarray
    scale: np.ndarray

    def without_rows(self) -> WidePart:
        """A wide part that says nothing."""
        return WidePart(WindowFeatures(np.zeros(0, dtype=np.int32)), self.steps[:0], self.scale)

    def scores(self, part: TaggedPart) -> np.ndarray:
        """``(tokens, tags)`` float32 of all sentences of a part."""
        sentences = part.sentences
        table = torch.from_numpy(wide_table(self.steps, self.scale)).float()
        found = [np.zeros((0, table.shape[1]), dtype=np.float32)]
        for first in range(0, len(part), _COUNTED):
            rows = self.features.encode(*sentences.windows(part.chosen[first : first + _COUNTED]))
            found.append(_sums(rows.values, rows.lengths, table).numpy())
        return np.concatenate(found)


def fit_wide_tags(part: TaggedPart, tags: int, most: int, seed: int) -> WidePart:
    """Fit by stochastic gradient on the cross-entropy of each word's tag, with dropout of features.

    Dropout keeps a few telling features from doing all the work where they are present (Wager, Wang and Liang
    2013, "Dropout Training as Adaptive Regularization").

    Args:
        part: the training sentences.
        tags: number of tags.
        most: rows at most, or fewer if there are many tags; the most frequent features get them.
        seed: of the order of the sentences and of the dropout.
    """
    features = WindowFeatures(_frequent(part, min(most, _MOST_WEIGHTS // tags)))
    table = torch.zeros(features.rows, tags)
    optimizer = RowAdam(table, betas=_BETAS)
    generator = np.random.default_rng([seed, 0x71DE])
    targets, lengths = part.targets, part.lengths
    batches = [_batches(lengths[order], order) for order in _orders(generator, len(part))]
    total, step = sum(map(len, batches)), 0
    for epoch in batches:
        for chosen in epoch:
            rows = features.encode(*part.sentences.windows(part.chosen[chosen]))
            touched, numbers = engine.number_rows(rows.values, len(table))
            leaf = torch.from_numpy(engine.gather(table.numpy(), touched)).requires_grad_()
            torch.default_generator.manual_seed(int(generator.integers(2**62)))
            kept = dropout_mask(len(numbers), drop=_DROPOUT, like=table)
            scores = _sums(numbers, rows.lengths, leaf, kept)
            loss = F.cross_entropy(scores, torch.from_numpy(targets.select(chosen).values))
            (gradient,) = torch.autograd.grad(loss, leaf)
            rate = _LAST_RATE + _RATE * (1 - step / total)
            optimizer.step(torch.from_numpy(touched), gradient, rate)
            step += 1
    scale = np.maximum(table.abs().amax(dim=0).numpy() if len(table) else np.ones(tags), 1e-6) / 127
    return WidePart(features, np.rint(table.numpy() / scale).astype(np.int8), scale.astype(np.float32))


def _orders(generator: np.random.Generator, sentences: int) -> list[np.ndarray]:
    return [generator.permutation(sentences) for _ in range(_EPOCHS)]


def _batches(lengths: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """Sentences in their order, cut where so many words are full."""
    number = (np.cumsum(lengths) - lengths) // _STEP_WORDS
    return np.split(order, np.flatnonzero(np.diff(number)) + 1)


def _frequent(part: TaggedPart, most: int) -> np.ndarray:
    """The buckets that training hits often enough."""
    everything = WindowFeatures()
    hits = np.zeros(BUCKETS, dtype=np.int64)
    for first in range(0, len(part), _COUNTED):
        rows = everything.encode(*part.sentences.windows(part.chosen[first : first + _COUNTED]))
        hits += np.bincount(rows.values, minlength=BUCKETS)
    return most_frequent(hits, _MIN_FREQ, most)


def _sums(
    rows: np.ndarray, counts: np.ndarray, table: torch.Tensor, kept: torch.Tensor | None = None
) -> torch.Tensor:
    starts = torch.from_numpy(np.cumsum(counts) - counts)
    return summed_rows(table, torch.from_numpy(rows), starts, kept)
