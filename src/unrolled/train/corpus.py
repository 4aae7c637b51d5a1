"""Records to a corpus on disk: tokenizer trained, texts as rows of the embedding table, labels as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unrolled.data.records import Record
from unrolled.layers.layout import Layout
from unrolled.models import EncodedBatch
from unrolled.options import ClassifierOptions
from unrolled.runtime.shapes import has_wide_part
from unrolled.text.batch import gather_positions
from unrolled.text.ngrams import NgramHasher
from unrolled.text.pipeline import TextPipeline
from unrolled.text.store import TokenStore, TokenStoreWriter
from unrolled.text.tokenizer import Tokenizer, pretrained_tokenizer, tokenizer_from_json, train_tokenizer
from unrolled.text.wide import TextNgrams
from unrolled.train.split import SMALLEST_SPLIT, held_out
from unrolled.train.spool import Spool
from unrolled.train.targets import Targets, check_learnable

_COUNTED_TEXTS = 2048
#: Texts that must hold an n-gram for the wide part to see it, and the most weights that it may have.
_WIDE_MIN_FREQ = 3
_MOST_WIDE_WEIGHTS = 2_000_000


class EncodedTexts:
    """Texts as rows of the embedding table, memory-mapped.

    Args:
        store: one sequence a *token*: the table rows whose sum is the token's vector.
        lengths: ``(texts,)`` int64, tokens of each text.
        wide: one sequence a text: the n-grams that the wide part sees; ``None`` without a wide part.
    """

    def __init__(self, store: TokenStore, lengths: np.ndarray, wide: TokenStore | None) -> None:
        self.lengths = lengths
        self.wide = wide
        self._store = store
        self._starts = np.cumsum(lengths) - lengths

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.lengths)

    def batch(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Some texts, in the order given.

        Returns:
            rows ``(total_rows,)`` int32 of all tokens, how many of them each token has ``(total_tokens,)``,
            and the number of tokens of each text ``(len(texts),)``.
        """
        lengths = self.lengths[texts]
        tokens = self._store.batch(gather_positions(self._starts[texts], lengths))
        return tokens.values, tokens.lengths, lengths


@dataclass(frozen=True)
class TextInput:
    """Some texts on their way to the model, with the arrays of :meth:`EncodedTexts.batch`."""

    rows: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray

    def encoded(self, numbers: np.ndarray) -> EncodedBatch:
        """The input of the model, with ``numbers`` in place of the rows."""
        starts = np.cumsum(self.counts) - self.counts
        return EncodedBatch(torch.from_numpy(numbers), torch.from_numpy(starts), Layout(self.lengths))


@dataclass(frozen=True)
class Part:
    """Train or dev: which texts of the encoded ones, and their targets.

    Attributes:
        texts: the encoded texts this part lies in.
        rows: ``(n,)`` int64, the part's texts.
        targets: of those, in the same order.
        about: name, rows and fingerprint, for the saved model.
    """

    texts: EncodedTexts
    rows: np.ndarray
    targets: Targets
    about: dict[str, Any]

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.rows)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text."""
        lengths: np.ndarray = self.texts.lengths[self.rows]
        return lengths

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Texts of this part, as :meth:`EncodedTexts.batch` gives them."""
        return self.texts.batch(self.rows[indices])

    def input(self, indices: np.ndarray) -> TextInput:
        """Texts of this part for the model."""
        return TextInput(*self.batch(indices))

    def places(self, indices: np.ndarray) -> np.ndarray:
        """Where the texts' answers stand: there is one a text."""
        return indices


@dataclass(frozen=True)
class Corpus:
    """All that a training reads.

    Attributes:
        train, dev: the two parts; ``dev`` is ``train`` itself if there are too few rows to hold any out.
        labels: sorted; empty for regression.
        tokenizer: trained on the training texts, or read.
        ngram_buckets: ``(n,)`` int32, the buckets of n-grams that have a row; ``None`` for a model without
            n-grams.
        table_rows: rows of the embedding table.
        wide_kept: the buckets of n-grams that the wide part sees, or ``None`` without one.
        notes: what the user should know about the data, a sentence each.
    """

    train: Part
    dev: Part
    labels: list[str]
    tokenizer: Tokenizer
    ngram_buckets: np.ndarray | None
    table_rows: int
    wide_kept: np.ndarray | None
    notes: list[str]

    @property
    def dev_is_train(self) -> bool:
        """True if there was too little data for a dev part."""
        return self.dev is self.train

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What tells this corpus from another one."""
        return {"train": self.train.about, "dev": self.dev.about}


def build_corpus(
    options: ClassifierOptions,
    train: Iterable[Record],
    dev: Iterable[Record] | None,
    folder: Path,
    *,
    names: tuple[str, str] = ("train", "dev"),
    tokenizer_json: str | None = None,
) -> Corpus:
    """Read, check, tokenize and store training data.

    Every source is read once. Memory holds a few dozen bytes a row and the vocabulary, not the texts.

    Args:
        options: task, tokenizer and its sizes, seed.
        train: labelled records.
        dev: labelled records, or ``None`` to hold out a tenth of the training rows.
        folder: an existing folder for the corpus.
        names: of the two sources, for messages.
        tokenizer_json: take this tokenizer instead of training one (when a training is resumed).

    Raises:
        DataError: no rows, rows without label, a disk that is full.
        TrainingError: nothing to learn: all rows have the same answer.
        ModelFileError: the file of a pre-trained tokenizer cannot be read.
    """
    spool = Spool(train, _fresh(folder / "train"), name=names[0], task=options.task)
    labels = sorted(spool.labels.names)
    targets = spool.labels.numbered(labels)
    check_learnable(options.task, labels, targets, spool.name)
    notes = []
    if options.task == "single" and len(labels) > max(50, len(spool) // 2):
        notes.append(
            f"{spool.name}: {len(labels)} different labels in {len(spool)} rows. "
            "Is this the right label column?"
        )
    about = {"name": spool.name, "rows": len(spool), "sha256": spool.sha256}
    rows = np.arange(len(spool))
    dev_rows = rows[:0]
    dev_spool: Spool | None = None
    if dev is not None:
        dev_spool = Spool(dev, _fresh(folder / "dev"), name=names[1], task=options.task)
    else:
        strata = targets.values if options.task == "single" else np.zeros(len(spool), dtype=np.int64)
        out = held_out(spool.hashes, strata, options.seed)
        rows, dev_rows = rows[~out], rows[out]
    tokenizer = _tokenizer(options, spool, rows, tokenizer_json)
    hasher = _hasher(options, tokenizer, _TrainingTexts(spool, rows))
    pipeline = TextPipeline(tokenizer, hasher, options.max_length)
    wide = _wide(options, _TrainingTexts(spool, rows), len(labels))
    texts = _encode(pipeline, wide, spool, folder / "train")
    train_part = Part(texts, rows, targets.select(rows), about)
    if dev_spool is not None:
        dev_texts = _encode(pipeline, wide, dev_spool, folder / "dev")
        dev_targets = dev_spool.labels.numbered(labels)
        dev_about = {"name": dev_spool.name, "rows": len(dev_spool), "sha256": dev_spool.sha256}
        dev_part = Part(dev_texts, np.arange(len(dev_texts)), dev_targets, dev_about)
        notes += _dev_notes(spool, dev_spool, dev_targets)
    elif len(dev_rows):
        dev_part = Part(
            texts, dev_rows, targets.select(dev_rows), {"name": "held out of train", "rows": len(dev_rows)}
        )
        notes.append(
            f"No dev data was given: {len(dev_rows)} of {len(spool)} training rows are held out for it."
        )
    else:
        dev_part = train_part
        few = (
            f"fewer than {SMALLEST_SPLIT}" if len(spool) < SMALLEST_SPLIT else "too many equal ones to split"
        )
        notes.append(
            f"No dev data was given, and {len(spool)} training rows are {few}: the scores shown are those "
            "on the training rows themselves and say nothing about new texts."
        )
    kept = None if hasher is None else hasher.kept
    wide_kept = None if wide is None else wide.kept
    return Corpus(train_part, dev_part, labels, tokenizer, kept, pipeline.table_rows, wide_kept, notes)


def _tokenizer(options: ClassifierOptions, spool: Spool, rows: np.ndarray, saved: str | None) -> Tokenizer:
    if saved is not None:
        return tokenizer_from_json(saved)
    if options.tokenizer.endswith(".json"):
        return pretrained_tokenizer(options.tokenizer)
    # Unigram weighs pieces by probability and takes no smallest count.
    min_freq = None if options.tokenizer == "unigram" else options.min_freq
    return train_tokenizer(
        options.tokenizer, _TrainingTexts(spool, rows), vocab_size=options.vocab_size, min_freq=min_freq
    )


def _hasher(options: ClassifierOptions, tokenizer: Tokenizer, texts: Iterable[str]) -> NgramHasher | None:
    """Which n-grams get a row: those that the training texts hold often enough."""
    if not options.ngram_max:
        return None
    counts: Counter[str] = Counter()
    for block in _blocks(texts):
        for tokens in tokenizer.tokens_batch(block):
            counts.update(tokens[: options.max_length])
    every = NgramHasher(options.ngram_min, options.ngram_max, options.ngram_buckets)
    return every.keep_frequent(counts, options.ngram_min_freq, options.ngram_rows)


def _wide(options: ClassifierOptions, texts: Iterable[str], labels: int) -> TextNgrams | None:
    """The n-grams of whole texts that the wide part sees."""
    if not has_wide_part(options):
        return None
    most = max(_MOST_WIDE_WEIGHTS // labels, 1)
    return TextNgrams().keep_frequent(_blocks(texts), _WIDE_MIN_FREQ, most)


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    stream = iter(texts)
    while block := list(islice(stream, _COUNTED_TEXTS)):
        yield block


class _TrainingTexts:
    """Texts of some rows that can be gone over several times, as sub-word training needs."""

    def __init__(self, spool: Spool, rows: np.ndarray) -> None:
        self._spool = spool
        self._rows = rows

    def __iter__(self) -> Iterator[str]:
        return self._spool.texts(self._rows)


def _encode(pipeline: TextPipeline, wide: TextNgrams | None, spool: Spool, folder: Path) -> EncodedTexts:
    lengths = []
    with TokenStoreWriter(folder / "rows") as writer:
        for texts in spool.blocks():
            batch = pipeline.encode(texts)
            writer.append(batch.rows)
            lengths.append(batch.tokens.lengths)
    wide_store = None
    if wide is not None:
        with TokenStoreWriter(folder / "wide") as writer:
            for texts in spool.blocks():
                for part in wide.encode_parts(texts):
                    writer.append(part)
        wide_store = TokenStore(folder / "wide")
    spool.remove()
    return EncodedTexts(TokenStore(folder / "rows"), np.concatenate(lengths), wide_store)


def _dev_notes(train: Spool, dev: Spool, targets: Targets) -> list[str]:
    notes = []
    common = int(np.isin(dev.hashes, train.hashes).sum())
    if common:
        notes.append(
            f"{common} of {len(dev)} dev texts also stand in the training data: the dev score is higher "
            "than that of new texts would be."
        )
    if targets.unseen_rows:
        known = set(train.labels.names)
        unseen = sorted(name for name in dev.labels.names if name not in known)
        shown = ", ".join(unseen[:5]) + (", ..." if len(unseen) > 5 else "")
        notes.append(
            f"{targets.unseen_rows} of {len(dev)} dev rows have labels that training never saw ({shown}): "
            "they count as wrong."
        )
    return notes


def _fresh(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
