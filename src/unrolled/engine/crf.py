"""Linear-chain conditional random field over ragged batches: loss with gradient, posteriors, the best tags.

The score of the tags ``y`` of a sequence of n words is ``start[y_0] + sum of scores[t, y_t] + sum of
transitions[y_{t-1}, y_t] + end[y_{n-1}]``, and their probability ``exp(score) / Z`` (Lafferty, McCallum and
Pereira 2001); the equations are in :mod:`unrolled.cells.crf`. -inf forbids a transition, a start, an end or a
tag at a word. Sums are taken in float64 whatever the type of the arrays.

The arrays that all functions take:

* ``scores``: ``(total, tags)`` float32 or float64, row by row the words of sequence 0, then of sequence 1 ...
* ``lengths``: ``(batch,)`` words of each sequence; 0 is allowed.
* ``transitions``: ``(tags, tags)``, ``[a, b]`` for going from tag a to tag b.
* ``start``, ``end``: ``(tags,)`` for the first and the last tag of a sequence.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from unrolled.engine import crf_numpy, library
from unrolled.engine.arrays import Array, check, check_lengths, check_rows, empty, suffix

_INT32 = np.dtype(np.int32)


class CrfLoss(NamedTuple):
    """Result of :func:`crf_loss`. The gradients are those of the (weighted) sum of the losses."""

    losses: Array
    """``(batch,)`` negative log-likelihood of each sequence, without weights, in nats; 0 of an empty one."""
    d_scores: Array
    """``(total, tags)``."""
    d_transitions: Array
    """``(tags, tags)``."""
    d_start: Array
    """``(tags,)``."""
    d_end: Array
    """``(tags,)``."""


def crf_loss(
    scores: Array,
    lengths: Array,
    transitions: Array,
    start: Array,
    end: Array,
    targets: Array,
    weights: Array | None = None,
) -> CrfLoss:
    """Negative log-likelihood of the targets and its gradient, in one pass forward and one backward.

    Args:
        scores, lengths, transitions, start, end: see the module.
        targets: ``(total,)`` integers, the tag of each word.
        weights: ``(batch,)`` of the type of ``scores``, of each loss in the sum whose gradient is taken;
            ``None`` for ones.

    Raises:
        ValueError: shapes that do not fit, a target that is no tag, or targets that are forbidden; then the
            message names the sequence.
        TypeError: types that do not fit.
    """
    lengths = _check_chain(scores, lengths, transitions, start, end)
    (total, tags), dtype, batch = scores.shape, scores.dtype, len(lengths)
    targets = _check_targets(targets, total, tags)
    check("weights", weights, (batch,), dtype)
    if library.available():
        found = CrfLoss(
            np.empty(batch, dtype),
            empty((total, tags), dtype),
            empty((tags, tags), dtype),
            np.empty(tags, dtype),
            np.empty(tags, dtype),
        )
        _call("crf_loss", (scores, lengths, transitions, start, end), targets, weights, *found)
    else:
        arrays = crf_numpy.loss(scores, lengths, transitions, start, end, targets, weights)
        found = CrfLoss(*(array.astype(dtype) for array in arrays))
    if (found.losses == np.inf).any():
        _refuse_forbidden(found.losses, scores, lengths, transitions, start, end, targets)
    return found


def crf_marginals(scores: Array, lengths: Array, transitions: Array, start: Array, end: Array) -> Array:
    """Probability of each tag at each word, given the whole sequence: ``(total, tags)``, rows sum to 1.

    Args:
        scores, lengths, transitions, start, end: see the module.

    Raises:
        ValueError: shapes that do not fit, or a sequence for which all tags are forbidden.
        TypeError: types that do not fit.
    """
    lengths = _check_chain(scores, lengths, transitions, start, end)
    if library.available():
        marginals = empty(scores.shape, scores.dtype)
        impossible = _call("crf_marginals", (scores, lengths, transitions, start, end), marginals)
    else:
        found, impossible = crf_numpy.marginals(scores, lengths, transitions, start, end)
        marginals = found.astype(scores.dtype)
    if impossible >= 0:
        raise ValueError(
            f"sequence {impossible} can have no tags at all: transitions, start, end and scores together "
            "forbid all of them"
        )
    return marginals


def crf_decode(
    scores: Array, lengths: Array, transitions: Array, start: Array, end: Array
) -> tuple[Array, Array]:
    """The tags of the highest score (Viterbi 1967).

    Args:
        scores, lengths, transitions, start, end: see the module.

    Returns:
        The tags ``(total,)`` int32, and their score ``(batch,)``. Of equal paths it is the one with the
        lowest last tag, then with the lowest tag before that, and so on. An empty sequence has score 0; where
        all tags are forbidden the score is -inf and the tags mean nothing.

    Raises:
        ValueError, TypeError: shapes or types that do not fit.
    """
    lengths = _check_chain(scores, lengths, transitions, start, end)
    if library.available():
        decoded, best = np.empty(len(scores), _INT32), np.empty(len(lengths), scores.dtype)
        _call("crf_decode", (scores, lengths, transitions, start, end), decoded, best)
        return decoded, best
    decoded, best = crf_numpy.decode(scores, lengths, transitions, start, end)
    return decoded, best.astype(scores.dtype)


def _call(name: str, chain: tuple[Array, ...], *arrays: Array | None) -> Any:
    run = getattr(library.native(), name + suffix(chain[0].dtype))
    return run(chain, *arrays, library.get_num_threads(), library.isa_number())


def _check_chain(scores: Array, lengths: Array, transitions: Array, start: Array, end: Array) -> Array:
    if scores.ndim != 2 or scores.shape[1] < 1:
        raise ValueError(f"scores has shape {scores.shape}, expected (total, tags) with at least one tag")
    (total, tags), dtype = scores.shape, scores.dtype
    suffix(dtype)
    check("scores", scores, (total, tags), dtype)
    check("transitions", transitions, (tags, tags), dtype)
    check("start", start, (tags,), dtype)
    check("end", end, (tags,), dtype)
    return check_lengths(lengths, total)


def _check_targets(targets: Array, total: int, tags: int) -> Array:
    if targets.dtype != _INT32:
        if targets.dtype.kind not in "iu":
            raise TypeError(f"targets has type {targets.dtype}, expected integers")
        # A large one would wrap around and pass for a tag.
        targets = targets.clip(-1, tags).astype(_INT32)
    check_rows("targets", targets, total, tags)
    return targets


def _refuse_forbidden(
    losses: Array, scores: Array, lengths: Array, transitions: Array, start: Array, end: Array, targets: Array
) -> None:
    """Says what is forbidden in the first sequence whose loss is infinite."""
    sequence = int(np.flatnonzero(losses == np.inf)[0])
    first, length = int(lengths[:sequence].sum()), int(lengths[sequence])
    path = targets[first : first + length].tolist()
    what = "have the score -inf"
    for t, tag in enumerate(path):
        if t == 0 and start[tag] == -np.inf:
            what = f"start with tag {tag}, which is forbidden"
        elif t > 0 and transitions[path[t - 1], tag] == -np.inf:
            what = f"go from tag {path[t - 1]} to tag {tag} at word {t}, which is forbidden"
        elif scores[first + t, tag] == -np.inf:
            what = f"have tag {tag} at word {t}, whose score is -inf"
        elif t == length - 1 and end[tag] == -np.inf:
            what = f"end with tag {tag}, which is forbidden"
        else:
            continue
        break
    raise ValueError(
        f"the targets of sequence {sequence} {what} (words count from 0); correct them or allow it"
    )
