"""Training of the Unigram sub-word model: the same texts always give the same pieces.

The library's own trainer gives other scores at each run, as it sums in the order of a hash table with a
random seed. Only training is here; the library does the encoding.

The algorithm is that of Kudo (2018), "Subword Regularization", section 3.2: all frequent substrings of
words are candidates; expectation maximisation gives each a probability; the pieces whose loss would hurt
least are dropped, a quarter at a time, until the vocabulary is small enough. Words of a length are not
handled one by one: the lattices of all words lie in flat arrays of arcs, and one array operation advances
all of them by a character.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

# Longer words are cut, so that one huge "word" (a link, a wall of laughter) does not make the lattice deep.
_MAX_WORD = 64
_SEEDS_PER_PIECE = 25
_KEEP = 0.75
_EM_STEPS = 2
# Odd, with well mixed bits: a hash of a substring is its code points as digits of this base, modulo 2**64.
_BASE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class _Words:
    """Words end to end, with what is known of each character: its word, and how far that word goes on."""

    codes: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    left: np.ndarray
    word: np.ndarray

    @classmethod
    def of(cls, words: list[str]) -> _Words:
        lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
        codes = np.frombuffer("".join(words).encode("utf-32-le"), dtype="<u4").astype(np.uint64)
        starts = np.cumsum(lengths) - lengths
        left = np.repeat(starts + lengths, lengths) - np.arange(len(codes))
        return cls(codes, starts, lengths, left, np.repeat(np.arange(len(words)), lengths))

    def hashes(self, longest: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each size from 1 on: positions at which a substring of that size fits, and the hashes there."""
        positions = np.arange(len(self.codes))
        digest = np.zeros(len(self.codes), dtype=np.uint64)
        sizes = []
        for size in range(1, min(longest, int(self.lengths.max(initial=0))) + 1):
            fits = self.left[positions] >= size
            positions = positions[fits]
            digest = digest[fits] * _BASE + self.codes[positions + size - 1] + np.uint64(1)
            sizes.append((positions, digest))
        return sizes


class _Lattice:
    """The arcs of all words: an arc is a piece between two nodes; a word of n characters has n + 1 nodes.

    Args:
        words: the words.
        hashes: ``(pieces,)`` hashes of the pieces.
        longest: characters of the longest piece.
        whole: whether an arc may span its whole word (else the words are the pieces, whose alternatives are
            sought).
    """

    def __init__(self, words: _Words, hashes: np.ndarray, longest: int, *, whole: bool = True) -> None:
        order = np.argsort(hashes)
        table = hashes[order]
        heads, tails, pieces = [], [], []
        for size, (positions, digest) in enumerate(words.hashes(longest), start=1):
            slot = np.minimum(np.searchsorted(table, digest), len(table) - 1)
            found = table[slot] == digest
            if not whole:
                found &= words.lengths[words.word[positions]] != size
            start = positions[found] + words.word[positions[found]]
            heads.append(start)
            tails.append(start + size)
            pieces.append(order[slot[found]])
        head, tail, piece = map(np.concatenate, (heads, tails, pieces))
        self._first = words.starts + np.arange(len(words.lengths))
        self._last = self._first + words.lengths
        self._owner_of_node = np.repeat(np.arange(len(words.lengths)), words.lengths + 1)
        self._depth = np.arange(len(self._owner_of_node)) - self._first[self._owner_of_node]
        by_tail = np.lexsort((tail, self._depth[tail]))
        # Half the memory of the default: the arcs are the largest arrays here by far.
        self._heads, self._tails, self._pieces = (
            part[by_tail].astype(np.int32) for part in (head, tail, piece)
        )
        self._by_head = np.lexsort((self._heads, self._depth[self._heads])).astype(np.int32)
        self._cut_into_levels()

    def keep(self, pieces: np.ndarray, words: np.ndarray | None = None) -> None:
        """Drops the arcs of all pieces, and of all words, for which the mask is false."""
        stay = pieces[self._pieces]
        if words is not None:
            stay &= words[self._owner]
        place = np.cumsum(stay, dtype=np.int32) - 1
        self._by_head = place[self._by_head[stay[self._by_head]]]
        self._heads, self._tails, self._pieces = self._heads[stay], self._tails[stay], self._pieces[stay]
        self._cut_into_levels()

    def _cut_into_levels(self) -> None:
        self._owner = self._owner_of_node[self._heads]
        self._forward = _levels(self._tails, self._depth[self._tails])
        heads = self._heads[self._by_head]
        self._backward = _levels(heads, self._depth[heads])[::-1]

    def best(self, scores: np.ndarray) -> np.ndarray:
        """``(words,)``: score of the best way through each word, ``-inf`` if there is none."""
        best: np.ndarray = self._advance(scores, np.maximum)[self._last]
        return best

    def expected(self, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """``(pieces,)``: how often each piece is expected in the words, each taken ``counts`` times."""
        alpha = self._advance(scores, np.logaddexp)
        beta = np.full(len(self._depth), -np.inf)
        beta[self._last] = 0.0
        arc_scores = scores[self._pieces]
        for begin, end, bounds, at in self._backward:
            arcs = self._by_head[begin:end]
            beta[at] = np.logaddexp.reduceat(beta[self._tails[arcs]] + arc_scores[arcs], bounds)
        total = alpha[self._last][self._owner]
        share = np.exp(alpha[self._heads] + arc_scores + beta[self._tails] - total)
        expected: np.ndarray = np.bincount(
            self._pieces, weights=share * counts[self._owner], minlength=len(scores)
        )
        return expected

    def _advance(self, scores: np.ndarray, combine: np.ufunc) -> np.ndarray:
        alpha = np.full(len(self._depth), -np.inf)
        alpha[self._first] = 0.0
        arc_scores = scores[self._pieces]
        for begin, end, bounds, at in self._forward:
            alpha[at] = combine.reduceat(alpha[self._heads[begin:end]] + arc_scores[begin:end], bounds)
        return alpha


def _levels(nodes: np.ndarray, depth: np.ndarray) -> list[tuple[int, int, np.ndarray, np.ndarray]]:
    """Levels of arcs sorted by depth and node: begin, end, where each node's arcs begin, the nodes."""
    cuts = np.flatnonzero(np.diff(depth, prepend=-1, append=-1))
    levels = []
    for begin, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        level = nodes[begin:end]
        bounds = np.flatnonzero(np.diff(level, prepend=-1))
        levels.append((begin, end, bounds, level[bounds]))
    return levels


def train_unigram(counts: Counter[str], *, size: int, max_piece_length: int) -> list[tuple[str, float]]:
    """Learns pieces from counted words.

    Args:
        counts: words and how often each occurs. Their characters all become pieces.
        size: the most pieces wanted; more are given only if there are more characters than that.
        max_piece_length: characters of the longest piece.

    Returns:
        pieces and the logarithms of their probabilities, the most probable first, ties in the order
        of code points.
    """
    parts: Counter[str] = Counter()
    for text, count in counts.items():
        for start in range(0, len(text), _MAX_WORD):
            parts[text[start : start + _MAX_WORD]] += count
    texts = sorted(parts)
    words = _Words.of(texts)
    weights = np.array([parts[text] for text in texts], dtype=np.float64)
    pieces, hashes, scores = _seeds(texts, words, weights, max_piece_length, _SEEDS_PER_PIECE * size)
    single = np.array([len(piece) == 1 for piece in pieces])
    target = max(int(1.1 * size), int(single.sum()))
    lattice = _Lattice(words, hashes, max_piece_length)
    alternatives = _Lattice(_Words.of(pieces), hashes, max_piece_length, whole=False)
    alive = np.ones(len(pieces), dtype=bool)
    while True:
        for _ in range(_EM_STEPS):
            expected = lattice.expected(scores, weights)
            scores = np.where(alive, _log_probability(np.maximum(expected, 0.5), alive), -np.inf)
        left = int(alive.sum())
        if left <= target:
            break
        # What the likelihood loses with a piece: its uses, each then written by the best of the other pieces.
        droppable = alive & ~single
        loss = np.full(len(pieces), -np.inf)
        loss[single] = np.inf
        loss[droppable] = expected[droppable] * (scores[droppable] - alternatives.best(scores)[droppable])
        alive = np.zeros(len(pieces), dtype=bool)
        alive[np.argsort(-loss, kind="stable")[: max(target, int(_KEEP * left))]] = True
        lattice.keep(alive)
        alternatives.keep(alive, alive)
    ranked = sorted(
        np.flatnonzero(alive).tolist(), key=lambda index: (not single[index], -scores[index], pieces[index])
    )
    chosen = ranked[: max(size, int(single.sum()))]
    # Six decimals: the library reads longer ones back with the last bit changed.
    return sorted(
        ((pieces[index], round(float(scores[index]), 6)) for index in chosen),
        key=lambda item: (-item[1], item[0]),
    )


def _seeds(
    texts: list[str], words: _Words, weights: np.ndarray, longest: int, limit: int
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Candidates: every character, and substrings that occur twice or more; most text covered first."""
    hashes, where, sizes, counts = [], [], [], []
    for size, (positions, digest) in enumerate(words.hashes(longest), start=1):
        unique, first, inverse = np.unique(digest, return_index=True, return_inverse=True)
        count = np.bincount(inverse, weights=weights[words.word[positions]])
        wanted = np.ones(len(unique), dtype=bool) if size == 1 else count >= 2
        hashes.append(unique[wanted])
        where.append(positions[first[wanted]])
        sizes.append(np.full(int(wanted.sum()), size))
        counts.append(count[wanted])
    digest, position, length, count = map(np.concatenate, (hashes, where, sizes, counts))
    cover = np.where(length == 1, np.inf, count * length)
    # Ties by place of first occurrence in the sorted words, which the data alone decides.
    chosen = np.lexsort((position, -cover))[: max(limit, int((length == 1).sum()))]
    offset = position[chosen] - words.starts[words.word[position[chosen]]]
    ends = offset + length[chosen]
    pieces = [
        texts[word][start:end]
        for word, start, end in zip(
            words.word[position[chosen]].tolist(), offset.tolist(), ends.tolist(), strict=True
        )
    ]
    covered = count[chosen] * length[chosen]
    return pieces, digest[chosen], np.log(covered) - np.log(covered.sum())


def _log_probability(expected: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """``digamma(expected) - digamma(sum)``: the variational estimate, which takes from rare pieces."""
    result: np.ndarray = _digamma(expected) - _digamma(expected.sum(where=alive, keepdims=True))
    return result


def _digamma(x: np.ndarray) -> np.ndarray:
    """Derivative of ``log gamma`` for positive ``x``: recurrence up to 7, then the asymptotic series."""
    shift = np.zeros_like(x)
    x = x.copy()
    while (small := x < 7).any():
        shift[small] -= 1 / x[small]
        x[small] += 1
    square = 1 / (x * x)
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))
    result: np.ndarray = shift + np.log(x) - 0.5 / x - series
    return result
