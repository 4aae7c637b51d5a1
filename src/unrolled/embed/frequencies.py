"""What word frequencies decide: which tokens are skipped, which words are noise, and the tree of words."""

from __future__ import annotations

import numpy as np

_WHOLE = float(2**32 - 1)
_NOISE_POWER = 0.75


def keep_thresholds(counts: np.ndarray, sample: float) -> np.ndarray:
    """Subsampling of frequent words: a token stays if 32 random bits are not above its word's number.

    A word with the share f of the text stays with probability ``sqrt(t / f) + t / f``. That is the formula of
    word2vec's own program; Mikolov et al. 2013, "Distributed Representations of Words and Phrases", equation
    5, has ``sqrt(t / f)``, which differs little where f is well above t.

    Args:
        counts: ``(words,)`` how often each word occurs.
        sample: t; 0 keeps everything.

    Returns:
        ``(words,)`` uint32.
    """
    if sample == 0:
        return np.full(len(counts), 2**32 - 1, dtype=np.uint32)
    ratio = sample / (counts / counts.sum())
    thresholds: np.ndarray = (np.minimum(np.sqrt(ratio) + ratio, 1.0) * _WHOLE).astype(np.uint32)
    return thresholds


def noise_table(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The noise distribution of negative sampling, for draws in constant time.

    The probability of a word goes with its count to the power 3/4 (Mikolov et al. 2013, "Distributed
    Representations ...", section 2.2). A draw takes a word i evenly and 32 random bits r; it is i if
    ``r < threshold[i]``, else ``alias[i]`` (Walker 1977; Vose 1991).

    Args:
        counts: ``(words,)``.

    Returns:
        ``(threshold, alias)``: ``(words,)`` uint32 and int32.
    """
    weights = counts.astype(np.float64) ** _NOISE_POWER
    scaled = weights * (len(weights) / weights.sum())
    alias = np.arange(len(weights), dtype=np.int32)
    shares = scaled.tolist()
    small = np.flatnonzero(scaled < 1).tolist()
    large = np.flatnonzero(scaled >= 1).tolist()
    while small and large:
        low, high = small.pop(), large[-1]
        alias[low] = high
        shares[high] -= 1.0 - shares[low]
        if shares[high] < 1:
            small.append(large.pop())
    for rest in (*small, *large):  # 1 but for rounding
        shares[rest] = 1.0
    threshold = np.minimum(np.array(shares) * 2.0**32, _WHOLE).astype(np.uint32)
    return threshold, alias


def word_tree(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The binary Huffman tree of hierarchical softmax (Mikolov et al. 2013, "Distributed Representations
    ...", section 2.1): frequent words get short paths.

    Args:
        counts: ``(words,)``, falling.

    Returns:
        ``(starts, nodes, labels)``: the inner nodes on the way from the root to word w are
        ``nodes[starts[w] : starts[w + 1]]`` (int32, below ``words - 1``), the label of each is 1 for the left
        branch and 0 for the right one (uint8).
    """
    words = len(counts)
    weight = [*map(int, counts), *([0] * (words - 1))]
    parent = np.zeros(2 * words - 1, dtype=np.int64)
    right = np.zeros(2 * words - 1, dtype=np.uint8)
    # Leaves from the rarest on, and inner nodes as they are made, are two queues in rising order of weight.
    leaf, inner = words - 1, words
    for made in range(words, 2 * words - 1):
        for side in (0, 1):
            if leaf >= 0 and (inner >= made or weight[leaf] < weight[inner]):
                least, leaf = leaf, leaf - 1
            else:
                least, inner = inner, inner + 1
            weight[made] += weight[least]
            parent[least] = made
            right[least] = side
    root = 2 * words - 2
    # All words climb together; one that has arrived waits.
    climbing = np.arange(words)
    up_nodes, up_labels = [], []
    while (moving := climbing != root).any():
        above = parent[climbing]
        up_nodes.append(np.where(moving, above - words, -1).astype(np.int32))
        up_labels.append(1 - right[climbing])
        climbing = np.where(moving, above, climbing)
    nodes = np.stack(up_nodes[::-1], axis=1) if up_nodes else np.zeros((words, 0), dtype=np.int32)
    labels = np.stack(up_labels[::-1], axis=1) if up_labels else np.zeros((words, 0), dtype=np.uint8)
    used = nodes >= 0
    starts = np.zeros(words + 1, dtype=np.int64)
    np.cumsum(used.sum(axis=1), out=starts[1:])
    return starts, nodes[used], labels[used]
