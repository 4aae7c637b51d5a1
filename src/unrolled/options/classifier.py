"""Options of a text classifier: one validated object for Python, the command line and the saved model."""

from __future__ import annotations

import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import Any

from unrolled.errors import OptionError
from unrolled.options.base import Options, option

_TASKS = ("single", "multi", "regression")
_MODELS = ("lstm", "gru", "rnn", "cnn", "mlp")
_TOKENIZERS = ("basic_english", "whitespace", "char", "bpe", "wordpiece", "unigram", "morphemes")
#: Training texts below which a step takes fewer of them, and the learning rate at the larger batch.
_SMALL_DATA, _SMALL_BATCH, _LARGE_BATCH, _LEARNING_RATE = 20_000, 32, 128, 2e-3
#: Options that some encoders have no use for.
_UNUSED = {
    "cnn": ("layers", "bidirectional", "recurrent_dropout"),
    "mlp": ("layers", "bidirectional", "recurrent_dropout", "pooling"),
}
_POOLINGS = ("last", "mean", "max", "mean+max", "attention")


@dataclass(frozen=True)
class ClassifierOptions(Options):
    """Everything that decides how a classifier is built and trained.

    The defaults are the preset ``fast``. Each field's meaning, range and group stand in its metadata, from
    which ``unrolled train classify --help`` is written.

    Raises:
        OptionError: a value of the wrong type, out of range, or in contradiction with another option.
    """

    task: str = option(
        "single",
        "One label a text, several labels a text (multi), or a number (regression).",
        choices=_TASKS,
        group="Task",
    )
    model: str = option(
        "lstm",
        "The encoder. lstm, gru and rnn read in order; cnn sees windows; mlp averages and is blind to order.",
        choices=_MODELS,
        group="Model",
    )
    tokenizer: str = option(
        "basic_english",
        "How a text becomes tokens: one of " + ", ".join(_TOKENIZERS) + ", or the path of a tokenizer.json.",
        group="Text",
    )
    vocab_size: int = option(
        30_000, "Largest vocabulary, special tokens included.", low=8, high=10_000_000, group="Text"
    )
    min_freq: int = option(
        2, "Tokens seen fewer times than this are unknown.", low=1, high=1_000_000, group="Text"
    )
    max_length: int = option(
        512, "Tokens of a text that the network reads; the rest is cut.", low=1, high=1_000_000, group="Text"
    )
    ngram_min: int = option(1, "Shortest character n-gram of a token.", low=1, high=10, group="Text")
    ngram_max: int = option(
        4, "Longest character n-gram of a token; 0 turns n-grams off.", low=0, high=10, group="Text"
    )
    ngram_min_freq: int = option(
        3,
        "N-grams seen fewer times than this get no row: they would only memorise.",
        low=1,
        high=1_000_000,
        group="Text",
    )
    ngram_rows: int = option(
        65_536, "N-grams that get a row at most; the most frequent do.", low=1, high=100_000_000, group="Text"
    )
    ngram_buckets: int = option(
        2_097_152,
        "Numbers that n-grams are hashed to; only those seen often get a row.",
        low=1,
        high=100_000_000,
        group="Text",
    )
    wide: bool = option(
        True,
        "Add a linear model over the text's character n-grams; its share is fitted on the dev file.",
        group="Model",
    )
    embed_dim: int = option(64, "Width of a token's vector.", low=1, high=8192, group="Model")
    hidden: int = option(128, "Units of a recurrent layer and direction.", low=1, high=8192, group="Model")
    layers: int = option(1, "Recurrent layers, one on the other.", low=1, high=16, group="Model")
    bidirectional: bool = option(True, "Read in both directions.", group="Model")
    pooling: str = option(
        "mean+max", "How the states of all steps become one vector.", choices=_POOLINGS, group="Model"
    )
    members: int = option(
        1,
        "Models trained from different seeds whose probabilities are averaged.",
        low=1,
        high=64,
        group="Model",
    )
    embed_dropout: float = option(
        0.3, "Dropout of the vectors' dimensions, one mask a text.", low=0, high=0.95, group="Regularisation"
    )
    word_dropout: float = option(
        0.1, "Share of whole tokens dropped in training.", low=0, high=0.95, group="Regularisation"
    )
    ngram_dropout: float = option(
        0.3, "Share of a token's n-grams dropped in training.", low=0, high=0.95, group="Regularisation"
    )
    recurrent_dropout: float = option(
        0.0,
        "Dropout of h between steps, one mask a text (variational).",
        low=0,
        high=0.95,
        group="Regularisation",
    )
    dropout: float = option(
        0.3, "Dropout between layers and before the output.", low=0, high=0.95, group="Regularisation"
    )
    label_smoothing: float = option(
        0.0, "Share of the target spread over all labels.", low=0, high=0.9, group="Regularisation"
    )
    weight_decay: float = option(
        1e-4, "AdamW's decoupled weight decay, embedding table left out.", low=0, high=1, group="Training"
    )
    epochs: int = option(4, "Passes over the training file, at most.", low=1, high=100_000, group="Training")
    patience: int = option(
        3,
        "Epochs without a better dev score after which training stops.",
        low=1,
        high=100_000,
        group="Training",
    )
    batch_size: int = option(
        0,
        "Texts a step; 0 is 32 for fewer than 20,000 training texts, else 128.",
        low=0,
        high=1_000_000,
        group="Training",
    )
    learning_rate: float = option(
        0.0,
        "AdamW's highest learning rate (warm-up, then cosine); 0 is 0.002 at 128 texts a step, less by the "
        "square root for fewer.",
        low=0,
        high=10,
        group="Training",
    )
    clip_norm: float = option(
        1.0, "Largest norm of the gradient; 0 turns clipping off.", low=0, high=1e6, group="Training"
    )
    average: float = option(
        0.0,
        "Decay a step of the moving average of the weights (EMA); 0 turns it off.",
        low=0,
        high=0.99999,
        group="Training",
    )
    class_weights: str = option(
        "none",
        "balanced weighs each class by the inverse of its frequency.",
        choices=("none", "balanced"),
        group="Training",
    )
    calibrate: bool = option(
        True,
        "Fit a temperature, or the shares of network and wide part, on the dev file: probabilities that mean "
        "what they say.",
        group="Training",
    )
    vectors: str = option(
        "",
        "Word vectors to start the embedding from: a folder of 'unrolled vectors train', or a file of "
        "word2vec, fastText or GloVe, also .gz.",
        group="Model",
    )
    freeze_vectors: bool = option(False, "Keep the given vectors as they are.", group="Model")
    seed: int = option(0, "Seed of every random choice.", low=0, high=2**31 - 1, group="Training")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ngram_max and self.ngram_max < self.ngram_min:
            raise OptionError(f"ngram_max ({self.ngram_max}) is smaller than ngram_min ({self.ngram_min}).")
        if self.tokenizer not in _TOKENIZERS and not self.tokenizer.endswith(".json"):
            near = difflib.get_close_matches(self.tokenizer, _TOKENIZERS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Choose one of {', '.join(_TOKENIZERS)}."
            raise OptionError(f"tokenizer '{self.tokenizer}' is unknown.{hint}")
        if self.freeze_vectors and not self.vectors:
            raise OptionError(
                "freeze_vectors needs vectors: give the file of vectors, or leave freeze_vectors out."
            )
        if self.task == "regression" and self.class_weights != "none":
            raise OptionError("class_weights are for classes: leave them out with task 'regression'.")

    def for_rows(self, rows: int) -> ClassifierOptions:
        """The same options, with what depends on the number of training texts filled in.

        Small data want many small steps. The learning rate goes with the square root of the batch size, as
        the noise of the gradient does (Krizhevsky 2014, "One weird trick for parallelizing convolutional
        neural networks").
        """
        batch = self.batch_size or (_SMALL_BATCH if rows < _SMALL_DATA else _LARGE_BATCH)
        rate = self.learning_rate or _LEARNING_RATE * math.sqrt(min(batch / _LARGE_BATCH, 1.0))
        return dataclasses.replace(self, batch_size=batch, learning_rate=rate)

    @classmethod
    def of(cls, preset: str = "fast", /, **changes: Any) -> ClassifierOptions:
        """A preset with changes, e.g. ``ClassifierOptions.of("accurate", hidden=256)``.

        Raises:
            OptionError: unknown preset or option (names the nearest), a bad value, or a change that the model
                has no use for.
        """
        if preset not in PRESETS:
            raise OptionError(f"preset '{preset}' is unknown. Choose one of {', '.join(PRESETS)}.")
        options = cls.from_dict({**PRESETS[preset], **changes})
        for name in _UNUSED.get(options.model, ()):
            if name in changes:
                raise OptionError(f"{name} has no effect with model '{options.model}': leave it out.")
        return options


#: What each preset changes against the defaults, and (in `PRESET_REASONS`) why it exists.
PRESETS: dict[str, dict[str, Any]] = {
    "fast": {},
    "accurate": {
        "members": 3,
        "epochs": 8,
        "average": 0.998,
        "embed_dropout": 0.5,
        "word_dropout": 0.2,
        "dropout": 0.5,
    },
}

PRESET_REASONS: dict[str, str] = {
    "fast": "one small bidirectional LSTM and the linear wide part: good in a minute or two.",
    "accurate": "three of them, more strongly regularised, averaged: the best score, several times slower.",
}
