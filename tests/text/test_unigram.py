"""The Unigram trainer's parts against enumeration of all segmentations."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.text.unigram import _digamma, _Lattice, _Words, train_unigram


def segmentations(word: str) -> list[list[str]]:
    if not word:
        return [[]]
    return [[word[:n], *rest] for n in range(1, len(word) + 1) for rest in segmentations(word[n:])]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.text("ab가", min_size=1, max_size=6), min_size=1, max_size=5, unique=True),
    st.sets(st.text("ab가", min_size=2, max_size=4), max_size=8),
    st.randoms(use_true_random=False),
)
def test_lattice_against_all_segmentations(words: list[str], extra: set[str], random: object) -> None:
    pieces = ["a", "b", "가", *sorted(extra)]
    hashes = []
    for piece in pieces:
        hashes.append(_Words.of([piece]).hashes(len(piece))[-1][1][0])
    scores = np.array([-random.uniform(0.1, 5) for _ in pieces])  # type: ignore[attr-defined]
    counts = np.arange(1.0, len(words) + 1)
    for kept in (np.ones(len(pieces), bool), np.arange(len(pieces)) % 2 + (np.arange(len(pieces)) < 3) > 0):
        lattice = _Lattice(_Words.of(words), np.array(hashes, dtype=np.uint64), 4)
        lattice.keep(kept)
        score = {piece: scores[i] for i, piece in enumerate(pieces) if kept[i]}
        best, expected = [], Counter[str]()
        for word, count in zip(words, counts, strict=True):
            ways = [way for way in segmentations(word) if all(piece in score for piece in way)]
            weights = [math.exp(sum(score[piece] for piece in way)) for way in ways]
            best.append(math.log(max(weights)))
            for way, weight in zip(ways, weights, strict=True):
                for piece in way:
                    expected[piece] += count * weight / sum(weights)
        np.testing.assert_allclose(lattice.best(scores), best, rtol=1e-9)
        found = lattice.expected(scores, counts)
        np.testing.assert_allclose(found, [expected[piece] for piece in pieces], rtol=1e-9, atol=1e-12)


def test_alternatives_leave_out_the_piece_itself() -> None:
    pieces = ["a", "b", "ab", "aba"]
    hashes = np.array([_Words.of([piece]).hashes(9)[-1][1][0] for piece in pieces], dtype=np.uint64)
    lattice = _Lattice(_Words.of(pieces), hashes, 9, whole=False)
    assert lattice.best(np.array([-1.0, -2.0, -1.5, -0.1])).tolist() == [-np.inf, -np.inf, -3.0, -2.5]


def test_digamma() -> None:
    torch = pytest.importorskip("torch")
    x = np.concatenate([np.linspace(0.01, 20, 500), [1e3, 1e7]])
    np.testing.assert_allclose(_digamma(x), torch.digamma(torch.from_numpy(x)).numpy(), rtol=1e-9, atol=1e-9)


def test_codes_text_as_briefly_as_the_trainer_of_the_library() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    generator = np.random.default_rng(0)
    stems = [a + b + c for a in "bdgkmp" for b in "aou" for c in "lnrt"]
    endings = ["", "ing", "ed", "s", "er", "ness"]
    words = [
        stems[i] + endings[j]
        for i, j in zip(generator.zipf(1.3, 6000) % 72, generator.zipf(1.5, 6000) % 6, strict=True)
    ]
    counts = Counter("▁" + word for word in words)
    pieces = train_unigram(counts, size=98, max_piece_length=16)
    names = [piece for piece, _ in pieces]
    scores = [score for _, score in pieces]
    assert len(pieces) <= 98
    assert scores == sorted(scores, reverse=True)
    assert sum(map(math.exp, scores)) < 1.05
    assert set("".join(counts)) <= set(names)

    library = tokenizers.Tokenizer(tokenizers.models.Unigram())
    library.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=100, special_tokens=["<pad>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    library.train_from_iterator([" ".join(words[i : i + 20]) for i in range(0, 6000, 20)], trainer=trainer)
    theirs = len(library.encode(" ".join(words)).ids)
    library.model = tokenizers.models.Unigram([("<pad>", 0.0), ("<unk>", 0.0), *pieces], unk_id=1)
    ours = len(library.encode(" ".join(words)).ids)
    assert ours < 1.05 * theirs


def test_long_words_and_one_letter() -> None:
    assert [piece for piece, _ in train_unigram(Counter({"a": 1}), size=5, max_piece_length=4)] == ["a"]
    pieces = dict(train_unigram(Counter({"ha" * 5000: 1, "ha": 3}), size=8, max_piece_length=4))
    assert {"h", "a", "ha"} <= set(pieces)
    assert max(map(len, pieces)) <= 4
