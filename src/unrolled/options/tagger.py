"""Options of a tagger: one label a word."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from typing import Any

from unrolled.errors import OptionError
from unrolled.options.base import Options, option


@dataclass(frozen=True)
class TaggerOptions(Options):
    """Everything that decides how a tagger is built and trained.

    The defaults are the preset ``accurate``. Each field's meaning, range and group stand in its metadata,
    from which ``unrolled train tag --help`` is written.

    Raises:
        OptionError: a value of the wrong type, out of range, or in contradiction with another option.
    """

    model: str = option(
        "lstm", "The recurrent cell that reads the sentence.", choices=("lstm", "gru", "rnn"), group="Model"
    )
    output: str = option(
        "auto",
        "crf decides the tags of a sentence together, softmax each by itself; auto takes crf for spans (BIO, "
        "BIOES, IOB1) and softmax for plain tags.",
        choices=("auto", "crf", "softmax"),
        group="Model",
    )
    characters: str = option(
        "lstm",
        "What reads a word's characters: an lstm, or none.",
        choices=("lstm", "none"),
        group="Model",
    )
    embed_dim: int = option(64, "Width of a word's vector.", low=1, high=8192, group="Model")
    char_dim: int = option(32, "Width of a character's vector.", low=1, high=1024, group="Model")
    char_hidden: int = option(
        64, "Units that read a word's characters, a direction.", low=1, high=4096, group="Model"
    )
    hidden: int = option(192, "Units of a recurrent layer and direction.", low=1, high=8192, group="Model")
    layers: int = option(2, "Recurrent layers, one on the other.", low=1, high=16, group="Model")
    members: int = option(
        1, "Models trained from different seeds whose scores are averaged.", low=1, high=64, group="Model"
    )
    wide: bool = option(
        True,
        "Add a linear model over each word and its neighbours; its share is fitted on the dev file.",
        group="Model",
    )
    wide_rows: int = option(
        131_072,
        "Features of the linear model that get a row at most, fewer with many tags; the most frequent do.",
        low=1,
        high=4_000_000,
        group="Model",
    )
    vectors: str = option(
        "",
        "Word vectors that the model reads beside its own: a folder of 'unrolled vectors train', or a file "
        "of word2vec, fastText or GloVe, also .gz.",
        group="Model",
    )
    vector_words: int = option(
        30_000,
        "Words of the given vectors that the model keeps at most: the first, which are the most frequent.",
        low=1,
        high=10_000_000,
        group="Model",
    )
    min_freq: int = option(
        2, "Words seen fewer times than this are unknown.", low=1, high=1_000_000, group="Text"
    )
    ngram_min: int = option(1, "Shortest character n-gram of a word.", low=1, high=10, group="Text")
    ngram_max: int = option(
        5, "Longest character n-gram of a word; 0 turns n-grams off.", low=0, high=10, group="Text"
    )
    ngram_min_freq: int = option(
        5, "N-grams seen fewer times than this get no row.", low=1, high=1_000_000, group="Text"
    )
    ngram_rows: int = option(
        16_384, "N-grams that get a row at most; the most frequent do.", low=1, high=100_000_000, group="Text"
    )
    ngram_buckets: int = option(
        2_097_152,
        "Numbers that n-grams are hashed to; only those seen often get a row.",
        low=1,
        high=100_000_000,
        group="Text",
    )
    word_dropout: float = option(
        -1.0,
        "Share of words that are made unknown in training: their n-grams and characters must do. -1 is 0.2 "
        "for plain tags, 0.5 for spans, which are mostly of words never seen.",
        low=-1,
        high=0.95,
        group="Regularisation",
    )
    ngram_dropout: float = option(
        0.2, "Share of a word's n-grams dropped in training.", low=0, high=0.95, group="Regularisation"
    )
    embed_dropout: float = option(
        0.3,
        "Dropout of the vectors' dimensions, one mask a sentence.",
        low=0,
        high=0.95,
        group="Regularisation",
    )
    recurrent_dropout: float = option(
        0.0,
        "Dropout of h between steps, one mask a sentence (variational).",
        low=0,
        high=0.95,
        group="Regularisation",
    )
    dropout: float = option(
        -1.0,
        "Dropout between layers and before the output. -1 is 0.5 for plain tags, 0.4 for spans.",
        low=-1,
        high=0.95,
        group="Regularisation",
    )
    label_smoothing: float = option(
        0.0,
        "Share of the target spread over all tags; with softmax only.",
        low=0,
        high=0.9,
        group="Regularisation",
    )
    weight_decay: float = option(
        1e-4, "AdamW's decoupled weight decay, embedding table left out.", low=0, high=1, group="Training"
    )
    epochs: int = option(10, "Passes over the training file, at most.", low=1, high=100_000, group="Training")
    patience: int = option(
        5,
        "Epochs without a better dev score after which training stops.",
        low=1,
        high=100_000,
        group="Training",
    )
    batch_size: int = option(
        16,
        "Sentences a step.",
        low=1,
        high=1_000_000,
        group="Training",
    )
    learning_rate: float = option(
        3e-3,
        "AdamW's highest learning rate (warm-up, then cosine).",
        low=1e-9,
        high=10,
        group="Training",
    )
    clip_norm: float = option(
        1.0, "Largest norm of the gradient; 0 turns clipping off.", low=0, high=1e6, group="Training"
    )
    average: float = option(
        0.997,
        "Decay a step of the moving average of the weights (EMA); 0 turns it off.",
        low=0,
        high=0.99999,
        group="Training",
    )
    fit_outside: bool = option(
        True,
        "Fit on the dev file how readily a word is taken as outside of all spans, for the highest F1.",
        group="Training",
    )
    seed: int = option(0, "Seed of every random choice.", low=0, high=2**31 - 1, group="Training")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ngram_max and self.ngram_max < self.ngram_min:
            raise OptionError(f"ngram_max ({self.ngram_max}) is smaller than ngram_min ({self.ngram_min}).")
        for name in ("word_dropout", "dropout"):
            if -1 < getattr(self, name) < 0:
                raise OptionError(
                    f"{name} must be a share, or -1 for the usual one, not {getattr(self, name)}."
                )
        if self.label_smoothing and self.output == "crf":
            raise OptionError("label_smoothing has no effect with output 'crf': leave it out.")

    def for_task(self, *, spans: bool) -> TaggerOptions:
        """The same options, with what depends on the kind of tags filled in; chosen on dev data of each."""
        word, between = (0.5, 0.4) if spans else (0.2, 0.5)
        return dataclasses.replace(
            self,
            word_dropout=word if self.word_dropout < 0 else self.word_dropout,
            dropout=between if self.dropout < 0 else self.dropout,
        )

    @classmethod
    def of(cls, preset: str = "accurate", /, **changes: Any) -> TaggerOptions:
        """A preset with changes, e.g. ``TaggerOptions.of("fast", hidden=128)``.

        Raises:
            OptionError: unknown preset or option (names the nearest), a bad value, or a change that the model
                has no use for.
        """
        if preset not in TAGGER_PRESETS:
            near = difflib.get_close_matches(preset, TAGGER_PRESETS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise OptionError(
                f"preset '{preset}' is unknown. Choose one of {', '.join(TAGGER_PRESETS)}.{hint}"
            )
        options = cls.from_dict({**TAGGER_PRESETS[preset], **changes})
        if "vector_words" in changes and not options.vectors:
            raise OptionError("vector_words has no effect without vectors: leave it out.")
        if "wide_rows" in changes and not options.wide:
            raise OptionError("wide_rows has no effect without the wide part: leave it out.")
        if options.characters == "none":
            for name in ("char_dim", "char_hidden"):
                if name in changes:
                    raise OptionError(f"{name} has no effect with characters 'none': leave it out.")
        return options


#: What each preset changes against the defaults, and (in `TAGGER_PRESET_REASONS`) why it exists.
TAGGER_PRESETS: dict[str, dict[str, Any]] = {
    "accurate": {},
    "fast": {"hidden": 96, "layers": 1, "epochs": 4, "dropout": 0.3},
}

TAGGER_PRESET_REASONS: dict[str, str] = {
    "accurate": "two bidirectional LSTM layers and the linear wide part: the best score, in some minutes.",
    "fast": "one small LSTM layer and the wide part: nearly as good, in a fraction of the time.",
}
