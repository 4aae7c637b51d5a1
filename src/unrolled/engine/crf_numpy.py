"""The linear-chain CRF on numpy alone, without the compiled extension.

Forward-backward and Viterbi with logarithms in float64 (Rabiner 1989); all running sequences step together.
Arguments and results as in :mod:`unrolled.engine.crf`, results in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from unrolled.engine.arrays import Array


class _Lattice(NamedTuple):
    """The forward scan of a batch."""

    scores: Array
    """``(total, tags)``."""
    chain: tuple[Array, Array, Array]
    """Transitions, start, end."""
    alpha: Array
    """``(total, tags)``: log of the sum over all tags up to this word that end in this one."""
    log_z: Array
    """``(batch,)``."""


def _log_sum_exp(x: Array, axis: int) -> Array:
    largest = x.max(axis=axis, keepdims=True)
    largest = np.where(largest == -np.inf, 0.0, largest)
    with np.errstate(divide="ignore"):
        total: Array = np.log(np.exp(x - largest).sum(axis=axis)) + largest.squeeze(axis)
    return total


def _steps(lengths: Array) -> Iterator[tuple[Array, Array]]:
    """For each step from 1 on the sequences that have it, longest first, and their words."""
    first, order = np.cumsum(lengths) - lengths, np.argsort(-lengths, kind="stable")
    for t in range(1, int(lengths.max(initial=0))):
        running = order[: int(np.count_nonzero(lengths > t))]
        yield running, first[running] + t


def _forward(scores: Array, lengths: Array, transitions: Array, start: Array, end: Array) -> _Lattice:
    scores, transitions, start, end = (a.astype(np.float64) for a in (scores, transitions, start, end))
    some = lengths > 0
    first, last = (np.cumsum(lengths) - lengths)[some], (np.cumsum(lengths) - 1)[some]
    alpha = np.empty_like(scores)
    alpha[first] = start + scores[first]
    for _, words in _steps(lengths):
        alpha[words] = scores[words] + _log_sum_exp(alpha[words - 1][:, :, None] + transitions, 1)
    log_z = np.zeros(len(lengths))
    log_z[some] = _log_sum_exp(alpha[last] + end, 1)
    return _Lattice(scores, (transitions, start, end), alpha, log_z)


def _backward(lattice: _Lattice, lengths: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted posteriors of the tags ``(total, tags)``, and the sum of those of pairs ``(tags, tags)``."""
    transitions, _, end = lattice.chain
    tags = len(end)
    beta = np.empty_like(lattice.scores)
    beta[(np.cumsum(lengths) - 1)[lengths > 0]] = end
    pairs = np.zeros((tags, tags))
    for running, words in reversed(list(_steps(lengths))):
        onward = transitions + (lattice.scores[words] + beta[words])[:, None, :]
        beta[words - 1] = _log_sum_exp(onward, 2)
        both = lattice.alpha[words - 1][:, :, None] + onward - lattice.log_z[running, None, None]
        pairs += np.tensordot(weights[running], np.exp(both), 1)
    word_log_z = np.repeat(lattice.log_z, lengths)[:, None]
    posterior = np.exp(lattice.alpha + beta - word_log_z) * np.repeat(weights, lengths)[:, None]
    return posterior, pairs


def loss(
    scores: Array,
    lengths: Array,
    transitions: Array,
    start: Array,
    end: Array,
    targets: Array,
    weights: Array | None,
) -> tuple[Array, Array, Array, Array, Array]:
    """The fields of :class:`unrolled.engine.crf.CrfLoss`; where a loss is infinite the gradients are NaN."""
    weights = np.ones(len(lengths)) if weights is None else weights.astype(np.float64)
    lattice = _forward(scores, lengths, transitions, start, end)
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    first, last = (np.cumsum(lengths) - lengths)[lengths > 0], (np.cumsum(lengths) - 1)[lengths > 0]
    inner = np.setdiff1d(np.arange(len(scores)), first)
    gold = lattice.scores[np.arange(len(scores)), targets]
    gold[first] += lattice.chain[1][targets[first]]
    gold[inner] += lattice.chain[0][targets[inner - 1], targets[inner]]
    gold[last] += lattice.chain[2][targets[last]]
    gold = np.bincount(sequence, gold, len(lengths))
    losses = np.where(gold == -np.inf, np.inf, lattice.log_z - np.where(gold == -np.inf, 0.0, gold))
    with np.errstate(invalid="ignore"):
        d_scores, d_transitions = _backward(lattice, lengths, weights)
    d_scores[np.arange(len(scores)), targets] -= weights[sequence]
    np.subtract.at(d_transitions, (targets[inner - 1], targets[inner]), weights[sequence[inner]])
    return losses, d_scores, d_transitions, d_scores[first].sum(axis=0), d_scores[last].sum(axis=0)


def marginals(
    scores: Array, lengths: Array, transitions: Array, start: Array, end: Array
) -> tuple[Array, int]:
    """Posteriors ``(total, tags)``, and the first sequence for which all tags are forbidden, or -1."""
    lattice = _forward(scores, lengths, transitions, start, end)
    impossible = np.flatnonzero(lattice.log_z == -np.inf)
    if len(impossible):
        return lattice.scores, int(impossible[0])
    return _backward(lattice, lengths, np.ones(len(lengths)))[0], -1


def decode(
    scores: Array, lengths: Array, transitions: Array, start: Array, end: Array
) -> tuple[Array, Array]:
    """The best tags ``(total,)`` int32 and their score ``(batch,)``."""
    scores, transitions, start, end = (a.astype(np.float64) for a in (scores, transitions, start, end))
    some = lengths > 0
    first, last = (np.cumsum(lengths) - lengths)[some], (np.cumsum(lengths) - 1)[some]
    scores[first] += start
    before = np.zeros(scores.shape, np.int32)  # the tag before this one; argmax takes the lowest of equals
    for _, words in _steps(lengths):
        through = scores[words - 1][:, :, None] + transitions
        before[words] = through.argmax(axis=1)
        scores[words] += through.max(axis=1)
    decoded, best = np.zeros(len(scores), np.int32), np.zeros(len(lengths))
    final = scores[last] + end
    decoded[last], best[some] = final.argmax(axis=1), final.max(axis=1)
    for _, words in reversed(list(_steps(lengths))):
        decoded[words - 1] = before[words, decoded[words]]
    return decoded, best
