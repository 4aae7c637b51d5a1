"""The wide part: a linear model over the character n-grams of a text, beside the network.

Its weights are logistic regression on naive Bayes log-count ratios (Wang and Manning 2012, "Baselines and
Bigrams: Simple, Good Sentiment and Topic Classification"). It is fitted in seconds and errs elsewhere than a
recurrent network does, so that both together beat either (Mesnil et al. 2015, "Ensemble of Generative and
Discriminative Techniques for Sentiment Analysis of Movie Reviews"; the name is from Cheng et al. 2016, "Wide
& Deep Learning for Recommender Systems").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unrolled.text.batch import SequenceBatch
from unrolled.text.store import TokenStore
from unrolled.train.objective import Objective
from unrolled.train.targets import Targets

#: Penalty on half the squared weights, in units of a text's loss; iterations of L-BFGS. Chosen on dev sets.
_PENALTY = 15.0
_ITERATIONS = 25
_HISTORY = 8
_CHUNK_NGRAMS = 1 << 20
#: Columns up to which the gradient is counted column by column, which is faster for a few.
_FEW_COLUMNS = 4


@dataclass(frozen=True)
class WidePart:
    """A fitted wide part.

    Attributes:
        kept: ``(rows,)`` int32, the buckets of n-grams that have a row.
        weight: ``(rows, outputs)`` float32 that half precision holds.
        bias: ``(outputs,)`` float32.
    """

    kept: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def scores(self, store: TokenStore, texts: np.ndarray) -> np.ndarray:
        """``(len(texts), outputs)`` float32: the sum of the weights of a text's n-grams, and the bias."""
        parts = [_sums(store, chunk, self.weight) + self.bias for chunk in _chunks(store, texts)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.bias)), dtype=np.float32)


def fit_wide(
    kept: np.ndarray, store: TokenStore, texts: np.ndarray, targets: Targets, objective: Objective
) -> WidePart:
    """Fit the wide part.

    Args:
        kept: the buckets of n-grams that have a row.
        store: a sequence a text: the rows of its distinct n-grams.
        texts: the sequences to train on.
        targets: theirs, in the same order.
        objective: the loss, single or multi, with its class weights.
    """
    outputs = objective.outputs
    # Of two classes one score is enough; the penalty then counts each n-gram once.
    binary = objective.task == "single" and outputs == 2
    truth = targets.values if objective.task == "multi" else np.eye(outputs, dtype=np.bool_)[targets.values]
    truth = truth[:, 1:] if binary else truth
    ratios = torch.from_numpy(_log_count_ratios(store, texts, truth, len(kept)))
    share = torch.zeros_like(ratios)
    bias = torch.zeros(ratios.shape[1])
    numbers = objective.numbers(targets)
    optimizer = torch.optim.LBFGS(
        [share, bias], max_iter=_ITERATIONS, history_size=_HISTORY, line_search_fn="strong_wolfe"
    )

    def loss_and_gradient() -> float:
        weight = share * ratios
        gradient = np.zeros(weight.shape, dtype=np.float64)
        bias.grad = torch.zeros_like(bias)
        total = 0.5 * _PENALTY * float(share.square().sum())
        done = 0
        for chunk in _chunks(store, texts):
            scores = torch.from_numpy(_sums(store, chunk, weight.numpy())) + bias
            scores.requires_grad_()
            both = torch.cat([-0.5 * scores, 0.5 * scores], dim=1) if binary else scores
            loss = objective.total(both, numbers[done : done + len(chunk)], smoothing=False)
            if objective.task == "multi":
                loss = loss * outputs  # the sum over the labels: each is a problem of its own
            (slope,) = torch.autograd.grad(loss, scores)
            total += float(loss.detach())
            bias.grad += slope.sum(0)
            _add_back(gradient, store, chunk, slope.numpy())
            done += len(chunk)
        share.grad = torch.from_numpy(gradient.astype(np.float32)) * ratios + _PENALTY * share
        return total

    optimizer.step(loss_and_gradient)  # type: ignore[no-untyped-call]
    weight, offset = (share * ratios).numpy(), bias.numpy()
    if binary:
        weight, offset = (np.concatenate([-0.5 * x, 0.5 * x], axis=-1) for x in (weight, offset))
    # In the precision in which it is stored, so that the figures are those of the saved model.
    return WidePart(kept, weight.astype(np.float16).astype(np.float32), offset)


def _chunks(store: TokenStore, texts: np.ndarray) -> list[np.ndarray]:
    """The texts in parts that hold a bounded number of n-grams."""
    ends = np.cumsum(store.lengths[texts])
    cuts = np.searchsorted(ends, np.arange(_CHUNK_NGRAMS, int(ends[-1]) if len(ends) else 0, _CHUNK_NGRAMS))
    return [chunk for chunk in np.split(texts, np.unique(cuts)) if len(chunk)]


def _sums(store: TokenStore, texts: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Sum of the weights of each text's n-grams: ``(len(texts), columns)``."""
    sums: np.ndarray = _bag_sums(store.batch(texts), torch.from_numpy(weight)).numpy()
    return sums


def _bag_sums(batch: SequenceBatch, table: Tensor) -> Tensor:
    starts = np.cumsum(batch.lengths) - batch.lengths
    rows, offsets = torch.from_numpy(batch.values), torch.from_numpy(starts.astype(np.int32))
    return F.embedding_bag(rows, table, offsets, mode="sum")


def _add_back(gradient: np.ndarray, store: TokenStore, texts: np.ndarray, slope: np.ndarray) -> None:
    """Add the gradient of :func:`_sums`: each text's slope to all rows of its n-grams."""
    batch = store.batch(texts)
    if slope.shape[1] > _FEW_COLUMNS:
        table = torch.zeros(gradient.shape, dtype=torch.float32, requires_grad=True)
        slopes = torch.from_numpy(slope.astype(np.float32))
        gradient += torch.autograd.grad(_bag_sums(batch, table), table, slopes)[0].numpy()
        return
    for column in range(slope.shape[1]):
        spread = np.repeat(slope[:, column], batch.lengths)
        gradient[:, column] += np.bincount(batch.values, weights=spread, minlength=len(gradient))


def _log_count_ratios(store: TokenStore, texts: np.ndarray, truth: np.ndarray, rows: int) -> np.ndarray:
    """How much likelier an n-gram is in texts with a label than in those without: ``(rows, labels)`` float32.

    ``r = log((p / |p|) / (q / |q|))``; p and q count the texts with and without the label that hold the
    n-gram, plus 1 (Wang and Manning 2012, section 2.1).
    """
    with_label = np.zeros((rows, truth.shape[1]))
    everywhere = np.zeros((rows, 1))
    done = 0
    for chunk in _chunks(store, texts):
        _add_back(with_label, store, chunk, truth[done : done + len(chunk)].astype(np.float64))
        _add_back(everywhere, store, chunk, np.ones((len(chunk), 1)))
        done += len(chunk)
    p, q = with_label + 1, everywhere - with_label + 1
    ratios: np.ndarray = np.log(p / p.sum(axis=0)) - np.log(q / q.sum(axis=0))
    return ratios.astype(np.float32)
