"""Small texts and models for the tests of word vectors."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from unrolled.embed.frequencies import keep_thresholds, noise_table, word_tree
from unrolled.engine.word2vec import Word2vecModel, row_stride

ANIMALS = ["dog", "cat", "horse", "cow"]
COLOURS = ["red", "blue", "green", "white"]


def two_topics(sentences: int, seed: int = 0) -> list[str]:
    """Sentences about animals and sentences about colours: words of one topic share their neighbours."""
    draw = random.Random(seed)
    lines = []
    for _ in range(sentences):
        if draw.random() < 0.5:
            lines.append(f"the {draw.choice(ANIMALS)} eats and the {draw.choice(ANIMALS)} sleeps in a field")
        else:
            lines.append(f"paint it {draw.choice(COLOURS)} or {draw.choice(COLOURS)} on this old wall")
    return lines


def model_of(
    tokens: list[int] | np.ndarray, words: int, *, dim: int = 7, seed: int = 3, **changes: Any
) -> Word2vecModel:
    """A model with random tables over a text of ids (-1 ends a sentence)."""
    ids = np.asarray(tokens, dtype=np.int32)
    counts = np.maximum(np.bincount(ids[ids >= 0], minlength=words), 1)
    draw = np.random.default_rng(seed)
    stride = row_stride(dim)
    tables = []
    for _ in range(2):
        table = np.zeros((words, stride), dtype=np.float32)
        table[:, :dim] = draw.normal(0, 0.3, (words, dim))
        tables.append(table)
    negative = changes.get("negative", 5)
    values: dict[str, Any] = {
        "tokens": ids,
        "words": words,
        "input": tables[0],
        "output": tables[1],
        "cbow": False,
        "window": 3,
        "negative": negative,
        "keep": keep_thresholds(counts, 0),
        "threshold": None,
        "alias": None,
        "path_starts": None,
        "path_nodes": None,
        "path_labels": None,
        "bag_starts": None,
        "bag_rows": None,
        "seed": seed,
        "rate_first": 0.05,
        "rate_last": 0.05,
        "epochs": 1,
        "chunk": 64,
    }
    if negative:
        values["threshold"], values["alias"] = noise_table(counts)
    else:
        values["path_starts"], values["path_nodes"], values["path_labels"] = word_tree(counts)
    return Word2vecModel(**{**values, **changes})


def random_text(words: int, sentences: int, seed: int = 0) -> np.ndarray:
    """Ids with uneven frequencies, in sentences of 0 to 12 words."""
    draw = np.random.default_rng(seed)
    parts: list[int] = []
    for _ in range(sentences):
        parts += (draw.zipf(1.5, draw.integers(0, 13)) % words).tolist()
        parts.append(-1)
    return np.array(parts, dtype=np.int32)
