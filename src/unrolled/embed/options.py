"""Options of word vectors: one validated object for Python, the command line and the saved form."""

from __future__ import annotations

from dataclasses import dataclass

from unrolled.errors import OptionError
from unrolled.options import Options, option

MODELS = ("skipgram", "cbow")
TOKENIZERS = ("whitespace", "basic_english")


@dataclass(frozen=True)
class VectorOptions(Options):
    """Everything that decides how word vectors are trained.

    The defaults are those of Mikolov et al. 2013 and its program. Each field's meaning and range stand in its
    metadata, from which ``unrolled vectors train --help`` is written.

    Raises:
        OptionError: a value of the wrong type, out of range, or in contradiction with another option.
    """

    model: str = option(
        "skipgram",
        "skipgram: a word predicts each neighbour, good for rare words; cbow: the neighbours together "
        "predict the word, faster.",
        choices=MODELS,
        group="Model",
    )
    dim: int = option(100, "Width of a vector.", low=1, high=8192, group="Model")
    window: int = option(
        5,
        "Largest distance of a neighbour; each word draws its own from 1 to this.",
        low=1,
        high=1000,
        group="Model",
    )
    negative: int = option(
        5,
        "Noise words that a prediction is set against; 0: hierarchical softmax instead.",
        low=0,
        high=64,
        group="Model",
    )
    subwords: bool = option(
        False, "Add character n-grams to each word, so that unseen words get a vector too.", group="Model"
    )
    ngram_min: int = option(3, "Shortest n-gram of --subwords.", low=1, high=10, group="Model")
    ngram_max: int = option(6, "Longest n-gram of --subwords.", low=1, high=10, group="Model")
    ngram_buckets: int = option(
        2_000_000,
        "Numbers that n-grams are hashed to; only those that occur take memory.",
        low=1,
        high=100_000_000,
        group="Model",
    )
    tokenizer: str = option(
        "whitespace",
        "whitespace: words as they stand; basic_english: lower case, punctuation apart.",
        choices=TOKENIZERS,
        group="Text",
    )
    min_count: int = option(
        5, "Words seen fewer times are left out.", low=1, high=1_000_000_000, group="Text"
    )
    max_words: int = option(
        0, "Keep at most so many words, the most frequent; 0: all.", low=0, high=2**31 - 1, group="Text"
    )
    sample: float = option(
        1e-3,
        "Share of the text above which a word is skipped now and then; 0: never.",
        low=0,
        high=1,
        group="Training",
    )
    epochs: int = option(5, "Passes over the text.", low=1, high=100_000, group="Training")
    learning_rate: float = option(
        0.025, "At the start; it falls to a 250th in a straight line.", low=1e-6, high=10, group="Training"
    )
    fast: bool = option(
        False,
        "Threads update without waiting for each other: faster, but no two runs give the same.",
        group="Training",
    )
    seed: int = option(0, "Seed of every random choice.", low=0, high=2**31 - 1, group="Training")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ngram_max < self.ngram_min:
            raise OptionError(f"ngram_max ({self.ngram_max}) is smaller than ngram_min ({self.ngram_min}).")
