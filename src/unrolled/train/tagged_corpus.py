"""Tagged sentences to what a tagger trains on: its words, their features, and the tags as numbers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from unrolled.data.spans import Scheme, recognise_scheme, to_bioes
from unrolled.embed.fixed import FixedVectors
from unrolled.errors import DataError, TrainingError
from unrolled.layers.layout import Layout
from unrolled.models.tagger import SentenceBatch
from unrolled.options import TaggerOptions
from unrolled.runtime.tag_predictor import Tagged
from unrolled.text.batch import gather_positions
from unrolled.text.ngrams import NgramHasher
from unrolled.text.offsets import Segmenter
from unrolled.text.windows import word_columns
from unrolled.text.word_features import EncodedWords, WordFeatures
from unrolled.train.split import held_out

#: Number of a dev tag that training never saw.
UNSEEN = -1

_KIND = {True: "plain tags", False: "those of spans"}


@dataclass(frozen=True)
class TagTargets:
    """The tags of some sentences.

    Attributes:
        values: ``(tokens,)`` int64 numbers of tags, :data:`UNSEEN` where training has no such tag.
        lengths: ``(sentences,)`` int64.
    """

    values: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        """Number of tokens."""
        return len(self.values)

    def select(self, sentences: np.ndarray) -> TagTargets:
        """Those of some sentences, in that order."""
        lengths = self.lengths[sentences]
        starts = (np.cumsum(self.lengths) - self.lengths)[sentences]
        return TagTargets(self.values[gather_positions(starts, lengths)], lengths)


@dataclass(frozen=True)
class SentenceInput:
    """Some sentences on their way to the model; words that come several times are there once."""

    rows: np.ndarray
    counts: np.ndarray
    own: np.ndarray
    characters: np.ndarray
    spelling: np.ndarray
    words: np.ndarray
    lengths: np.ndarray
    vectors: np.ndarray | None

    def encoded(self, numbers: np.ndarray) -> SentenceBatch:
        """The input of the model, with ``numbers`` in place of the rows."""
        return SentenceBatch(
            torch.from_numpy(numbers),
            torch.from_numpy(self.counts),
            torch.from_numpy(self.own),
            torch.from_numpy(self.characters),
            Layout(self.spelling),
            torch.from_numpy(self.words),
            Layout(self.lengths),
            None if self.vectors is None else torch.from_numpy(self.vectors),
        )


class Sentences:
    """Sentences as numbers of their distinct words, and what the model sees of these.

    Args:
        words: distinct words, in the order of their numbers.
        ids: ``(tokens,)`` int64 numbers.
        lengths: ``(sentences,)`` int64.
        features: encodes words.
        vectors: ``(words, width)`` float32 fixed vectors of the distinct words, or ``None``.
    """

    def __init__(
        self,
        words: Sequence[str],
        ids: np.ndarray,
        lengths: np.ndarray,
        features: WordFeatures,
        vectors: np.ndarray | None,
    ) -> None:
        self.lengths = lengths
        self._ids = ids
        self._starts = np.cumsum(lengths) - lengths
        self._encoded: EncodedWords = features.encode(words)
        self._row_starts = self._encoded.rows.offsets[:-1]
        self._character_starts = self._encoded.characters.offsets[:-1]
        self._vectors = vectors
        self._words = words
        self._columns: np.ndarray | None = None

    def windows(self, sentences: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Some sentences for :meth:`unrolled.text.windows.WindowFeatures.encode`."""
        if self._columns is None:
            self._columns = word_columns(self._words)
        lengths = self.lengths[sentences]
        return self._columns, self._ids[gather_positions(self._starts[sentences], lengths)], lengths

    def input(self, sentences: np.ndarray) -> SentenceInput:
        """Some sentences, in that order."""
        lengths = self.lengths[sentences]
        ids = self._ids[gather_positions(self._starts[sentences], lengths)]
        distinct, words = np.unique(ids, return_inverse=True)
        encoded = self._encoded
        counts = encoded.rows.lengths[distinct]
        spelling = encoded.characters.lengths[distinct]
        return SentenceInput(
            encoded.rows.values[gather_positions(self._row_starts[distinct], counts)],
            counts,
            encoded.own[distinct],
            encoded.characters.values[gather_positions(self._character_starts[distinct], spelling)].astype(
                np.int64
            ),
            spelling,
            words,
            lengths,
            None if self._vectors is None else self._vectors[distinct],
        )


@dataclass(frozen=True)
class TaggedPart:
    """Train or dev.

    Attributes:
        sentences: encoded.
        chosen: ``(n,)`` int64, those that belong to the part.
        targets: of those, in the same order.
        about: name, sentences, words and fingerprint, for the saved model.
    """

    sentences: Sentences
    chosen: np.ndarray
    targets: TagTargets
    about: dict[str, Any]

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.chosen)

    @property
    def lengths(self) -> np.ndarray:
        """Words of each sentence."""
        lengths: np.ndarray = self.sentences.lengths[self.chosen]
        return lengths

    def input(self, indices: np.ndarray) -> SentenceInput:
        """Some sentences for the model."""
        return self.sentences.input(self.chosen[indices])

    def places(self, indices: np.ndarray) -> np.ndarray:
        """Where the words of some sentences stand among those of all."""
        lengths = self.targets.lengths
        return gather_positions((np.cumsum(lengths) - lengths)[indices], lengths[indices])


@dataclass(frozen=True)
class TaggedCorpus:
    """All that the training of a tagger reads.

    Attributes:
        train, dev: the two parts; ``dev`` is ``train`` itself if there are too few sentences to hold any out.
        labels: the tags in the order of the model's outputs; those of spans as BIOES.
        scheme: of the training file; ``"none"`` for plain tags.
        features: of words.
        fixed: word vectors of the user that the model reads, or ``None``.
        seen: the words of the training sentences, in the order of code points.
        segmenter: divides raw texts as the training sentences are divided.
        notes: what the user should know about the data, a sentence each.
    """

    train: TaggedPart
    dev: TaggedPart
    labels: list[str]
    scheme: Scheme
    features: WordFeatures
    fixed: FixedVectors | None
    seen: list[str]
    segmenter: Segmenter
    notes: list[str]

    @property
    def spans(self) -> bool:
        """Whether the tags are those of spans."""
        return self.scheme != "none"

    @property
    def dev_is_train(self) -> bool:
        """True if there was too little data for a dev part."""
        return self.dev is self.train

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What tells this corpus from another one."""
        return {"train": self.train.about, "dev": self.dev.about}


def build_tagged_corpus(
    options: TaggerOptions,
    train: Iterable[Tagged],
    dev: Iterable[Tagged] | None,
    *,
    names: tuple[str, str] = ("train", "dev"),
    scheme: Scheme | None = None,
    by_character: bool = False,
) -> TaggedCorpus:
    """Read and encode the training data. All of it stays in memory, about 100 bytes a word.

    Args:
        options: sizes of the tables of words and n-grams, vectors, seed.
        train: tagged sentences.
        dev: tagged sentences, or ``None`` to hold out a tenth of the training sentences.
        names: of the two sources, for messages.
        scheme: how the tags write spans; recognised if ``None``.
        by_character: each character is a word.

    Raises:
        DataError: no sentences, or tags that are no spans among those of spans.
        TrainingError: nothing to learn: all words have the same tag.
    """
    read = _Read(train, names[0])
    scheme = recognise_scheme(read.tags) if scheme is None else scheme
    notes: list[str] = []
    chosen = np.arange(len(read))
    held = chosen[:0]
    other: _Read | None = None
    if dev is not None:
        other = _Read(dev, names[1])
        _check_scheme(scheme, other)
    else:
        out = held_out(read.hashes, np.zeros(len(read), dtype=np.int64), options.seed)
        chosen, held = chosen[~out], chosen[out]
    tags = read.internal(scheme)
    labels = sorted({tag for number in chosen.tolist() for tag in tags[number]})
    if len(labels) < 2:
        raise TrainingError(
            f"{names[0]}: every word has the tag '{labels[0]}', so there is nothing to tell apart. "
            "Check the column of the tags."
        )
    counts = Counter(word for number in chosen.tolist() for word in read.words[number])
    features = WordFeatures.of(counts, options.min_freq, _hasher(options, counts))
    place: dict[str, int] = {}
    pairs = [(read, tags)] + ([(other, other.internal(scheme))] if other is not None else [])
    ids = [read_.numbered(place) for read_, _ in pairs]
    fixed = FixedVectors.read(options.vectors, options.vector_words) if options.vectors else None
    spread = None if fixed is None else fixed.of(list(place))
    parts = [
        Sentences(list(place), numbers, read_.lengths, features, spread)
        for (read_, _), numbers in zip(pairs, ids, strict=True)
    ]
    number = {tag: index for index, tag in enumerate(labels)}
    targets = [_targets(tags_, number) for _, tags_ in pairs]
    train_part = TaggedPart(parts[0], chosen, targets[0].select(chosen), read.about)
    if other is not None:
        dev_part = TaggedPart(parts[1], np.arange(len(other)), targets[1], other.about)
    elif len(held):
        notes.append(
            f"{names[0]}: {len(held)} of {len(read)} sentences are held out to choose the best epoch."
        )
        dev_part = TaggedPart(parts[0], held, targets[0].select(held), {**read.about, "held_out": len(held)})
    else:
        notes.append(f"{names[0]}: too few sentences to hold any out: scores are those on the training data.")
        dev_part = train_part
    unseen = int((dev_part.targets.values == UNSEEN).sum())
    if unseen:
        notes.append(
            f"{names[-1]}: {unseen} words have a tag that training does not know; they count as wrong."
        )
    if spread is not None:
        known = int(spread.any(axis=1).sum())
        notes.append(f"{known} of {len(place)} different words have a vector in {options.vectors}.")
    segmenter = Segmenter.learned([read.words[number] for number in chosen], characters=by_character)
    return TaggedCorpus(
        train_part, dev_part, labels, scheme, features, fixed, sorted(counts), segmenter, notes
    )


class _Read:
    """The sentences of one source."""

    def __init__(self, source: Iterable[Tagged], name: str) -> None:
        self.words: list[tuple[str, ...]] = []
        self.tags: list[tuple[str, ...]] = []
        for sentence in source:
            if sentence.words:
                self.words.append(tuple(sentence.words))
                self.tags.append(tuple(sentence.tags))
        if not self.words:
            raise DataError("there is no sentence in it: nothing to learn from", source=name)
        self.lengths = np.fromiter(map(len, self.words), dtype=np.int64, count=len(self.words))
        digest = hashlib.sha256()
        hashes = []
        for words, tags in zip(self.words, self.tags, strict=True):
            text = "\t".join(words).encode("utf-8", "surrogatepass")
            hashes.append(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))
            digest.update(text + b"\n" + "\t".join(tags).encode("utf-8", "surrogatepass") + b"\n")
        self.hashes = np.array(hashes, dtype=np.uint64)
        self.name = name
        self.about = {
            "name": name,
            "sentences": len(self.words),
            "words": int(self.lengths.sum()),
            "sha256": digest.hexdigest(),
        }

    def __len__(self) -> int:
        return len(self.words)

    def internal(self, scheme: Scheme) -> list[tuple[str, ...]]:
        """The tags as the model learns them."""
        return self.tags if scheme == "none" else [tuple(to_bioes(tags, scheme)) for tags in self.tags]

    def numbered(self, place: dict[str, int]) -> np.ndarray:
        """Numbers of all words ``(tokens,)``; new words get the next one."""
        return np.fromiter(
            (place.setdefault(word, len(place)) for words in self.words for word in words),
            dtype=np.int64,
            count=int(self.lengths.sum()),
        )


def _check_scheme(scheme: Scheme, dev: _Read) -> None:
    found = recognise_scheme(dev.tags)
    if (found == "none") != (scheme == "none"):
        raise DataError(
            f"its tags are {_KIND[found == 'none']}, but those of the training data are "
            f"{_KIND[scheme == 'none']}: check the column",
            source=dev.name,
        )


def _hasher(options: TaggerOptions, counts: Counter[str]) -> NgramHasher | None:
    if not options.ngram_max:
        return None
    hasher = NgramHasher(options.ngram_min, options.ngram_max, options.ngram_buckets)
    return hasher.keep_frequent(counts, options.ngram_min_freq, options.ngram_rows)


def _targets(tags: list[tuple[str, ...]], number: dict[str, int]) -> TagTargets:
    lengths = np.fromiter(map(len, tags), dtype=np.int64, count=len(tags))
    flat = (number.get(tag, UNSEEN) for sentence in tags for tag in sentence)
    return TagTargets(np.fromiter(flat, dtype=np.int64, count=int(lengths.sum())), lengths)
