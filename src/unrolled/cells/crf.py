"""The linear-chain conditional random field (Lafferty, McCallum and Pereira 2001), one sequence.

score(y) = start[y_0] + sum_t scores[t, y_t] + sum_t transitions[y_{t-1}, y_t] + end[y_{n-1}]
P(y)     = exp(score(y)) / Z,  where Z sums exp(score(y)) over all tags^n paths y
loss(y)  = -log P(y) = log Z - score(y)

Z needs no paths: with alpha_t[b] = log of the sum over all paths up to word t that end in tag b,
(forward algorithm, Rabiner 1989, equations 18 to 21)

alpha_0[b] = start[b] + scores[0, b]
alpha_t[b] = scores[t, b] + log sum_a exp(alpha_{t-1}[a] + transitions[a, b])
log Z      = log sum_b exp(alpha_{n-1}[b] + end[b])

With the largest in place of the log of the sum it is the score of the best path (Viterbi 1967). The gradient
of log Z with respect to scores[t, b] is the probability that word t has tag b, and with respect to
transitions[a, b] the expected number of times that b follows a.
"""

from __future__ import annotations

from collections.abc import Sequence

from unrolled.cells.arrays import Array, namespace


def log_sum_exp(z: Array) -> Array:
    """``log sum_a exp(z[a])`` over the first axis; the largest is subtracted against overflow."""
    xp = namespace(z)
    largest = xp.amax(z, axis=0)
    largest = xp.where(largest == -float("inf"), xp.zeros_like(largest), largest)
    return largest + xp.log(xp.sum(xp.exp(z - largest), axis=0))


def path_score(scores: Array, transitions: Array, start: Array, end: Array, tags: Sequence[int]) -> Array:
    """The score of one path.

    Args:
        scores: ``(seq, tags)``, of each tag at each word.
        transitions: ``(tags, tags)``, ``[a, b]`` for going from a to b; -inf forbids it, as everywhere.
        start, end: ``(tags,)``, for the first and the last tag.
        tags: the path, one tag a word; at least one.
    """
    score = start[tags[0]] + end[tags[-1]]
    for t, tag in enumerate(tags):
        score = score + scores[t, tag]
        if t > 0:
            score = score + transitions[tags[t - 1], tag]
    return score


def log_partition(scores: Array, transitions: Array, start: Array, end: Array) -> Array:
    """log Z of one sequence of at least one word; arguments as for :func:`path_score`."""
    alpha = start + scores[0]
    for t in range(1, len(scores)):
        alpha = scores[t] + log_sum_exp(alpha[:, None] + transitions)
    return log_sum_exp(alpha + end)


def best_path(scores: Array, transitions: Array, start: Array, end: Array) -> tuple[list[int], float]:
    """The path of the highest score, and that score; arguments as for :func:`path_score`.

    Of equal paths it is the one with the lowest last tag, then with the lowest tag before it, and so on.
    """
    best = start + scores[0]
    before = []  # before[t - 1][b]: the tag of word t - 1 on the best path to tag b at word t
    for t in range(1, len(scores)):
        through = best[:, None] + transitions
        before.append(through.argmax(0))
        best = scores[t] + namespace(scores).amax(through, axis=0)
    tags = [int((best + end).argmax())]
    for step in reversed(before):
        tags.append(int(step[tags[-1]]))
    return tags[::-1], float((best + end).max())
