"""Tiny data in which the order of two words decides the label, and options small enough for tests."""

from __future__ import annotations

import random
from typing import Any

from unrolled.data import Record
from unrolled.options import ClassifierOptions

#: Seconds, not minutes: a small recurrent network that learns the toy data in a few epochs.
SMALL: dict[str, Any] = {
    "hidden": 12,
    "embed_dim": 12,
    "ngram_max": 2,
    "ngram_buckets": 500,
    "ngram_min_freq": 2,
    "batch_size": 16,
    "epochs": 3,
    "learning_rate": 0.02,
}


def small(**changes: Any) -> ClassifierOptions:
    """Options of a small model."""
    return ClassifierOptions.of("fast", **{**SMALL, **changes})


def order_pairs(rows: int, seed: int) -> list[tuple[str, str]]:
    """Texts with "sun" and "rain" among other words; the label tells which one comes first."""
    generator = random.Random(seed)
    pairs = []
    for _ in range(rows):
        words = [
            generator.choice("abcdefgh") * generator.randint(2, 4) for _ in range(generator.randint(1, 6))
        ]
        early, late = sorted(generator.sample(range(len(words) + 1), 2))
        sun_first = generator.random() < 0.5
        words.insert(late, "rain" if sun_first else "sun")
        words.insert(early, "sun" if sun_first else "rain")
        pairs.append((" ".join(words), "sunny" if sun_first else "wet"))
    return pairs


def records(pairs: list[tuple[str, Any]]) -> list[Record]:
    """As readers give them."""
    return [Record(text, label, line) for line, (text, label) in enumerate(pairs, 1)]
