"""A saved tagger that answers: sentences in, a tag a word or spans out. Needs no torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from unrolled.data.spans import Scheme, decode_spans, encode_spans
from unrolled.engine import Precision
from unrolled.errors import DataError, ModelFileError, OptionError
from unrolled.options import TaggerOptions
from unrolled.runtime.files import SavedModel
from unrolled.runtime.tag_manifest import TagManifest
from unrolled.runtime.tag_metrics import SpanScorer, TagScorer
from unrolled.runtime.tag_network import TagNetwork
from unrolled.runtime.tag_parts import (
    content_of,
    crf_of,
    features_of,
    fixed_of,
    list_of,
    segmenter_of,
    wide_of,
)
from unrolled.runtime.tagging import decoded, tag_probabilities
from unrolled.runtime.word_memory import WordMemory
from unrolled.text.batch import SequenceBatch
from unrolled.text.offsets import spans_in_text
from unrolled.text.windows import word_columns

_CHUNK_SENTENCES = 1024
_GROUP_TOKENS = 8192


class Tagged(Protocol):
    """A sentence with a tag a word, as the readers of ``unrolled.data`` give it."""

    @property
    def words(self) -> Sequence[str]: ...
    @property
    def tags(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class TaggedSpan:
    """Some neighbouring words that are one thing.

    Attributes:
        start, end: words, from 0, ``end`` exclusive.
        label: what it is.
        probability: the smallest of its words' tags, in [0, 1].
        text: of the sentence, as it stands there; the words with spaces between if they came as words.
        start_char, end_char: where it stands in the sentence, in characters; ``None`` if that came as words.
    """

    start: int
    end: int
    label: str
    probability: float
    text: str
    start_char: int | None
    end_char: int | None


@dataclass(frozen=True, slots=True)
class Tagging:
    """The answer for one sentence.

    Attributes:
        words: of the sentence.
        offsets: start and end of each word in the sentence, in characters; ``None`` if it came as words.
        tags: one a word, in the scheme of the training data.
        probabilities: of the tags, in [0, 1]; with a CRF the marginal ones.
        spans: empty for a model of plain tags.
    """

    words: list[str]
    offsets: list[tuple[int, int]] | None
    tags: list[str]
    probabilities: list[float]
    spans: list[TaggedSpan]


class TagPredictor:
    """A tagger ready to answer. May be used from several threads.

    Args:
        model: what :func:`unrolled.runtime.load_model` read or :func:`unrolled.runtime.as_saved_model` put
            together.
        weights: how exactly the engine holds the recurrent weights, as :class:`unrolled.runtime.Predictor`
            takes it.

    Attributes:
        labels: of spans their kinds, else the tags.
        options: how the model was built.

    Raises:
        ModelFileError: the model is none of a tagger, or its parts do not fit together.
    """

    def __init__(self, model: SavedModel, *, weights: Precision = "float32") -> None:
        manifest = model.manifest
        if not isinstance(manifest, TagManifest):
            raise ModelFileError(f"{model.path or 'the model'}: not a tagger. Open it with unrolled.load.")
        self._model = model
        self._manifest = manifest
        self.options: TaggerOptions = manifest.options
        self._tags = list(manifest.labels)
        self.labels = self._tags
        if manifest.scheme != "none":
            self.labels = sorted({tag.partition("-")[2] for tag in self._tags if tag != "O"})
            if manifest.outside and "O" not in self._tags:
                raise ModelFileError(f"{model.path or 'the model'}: no tag O, but a score for it.")
        content = content_of(model)
        self._features = features_of(model, manifest, content)
        members = [
            {
                name.removeprefix(prefix): array
                for name, array in model.weights.items()
                if name.startswith(prefix)
            }
            for prefix in (f"members.{k}." for k in range(self.options.members))
        ]
        self._networks = [TagNetwork(self.options, member, weights) for member in members]
        self._crf = crf_of(manifest, members) if manifest.crf else None
        self._fixed = fixed_of(model, content)
        self._wide = wide_of(model)
        self._segmenter = segmenter_of(model, manifest, content)
        self._seen = frozenset(map(str, list_of(model, content, "seen")))
        self._memory = WordMemory(self._word_vectors)

    @property
    def path(self) -> Path | None:
        """Where the model was read from; ``None`` if it was not."""
        return self._model.path

    @property
    def is_span_model(self) -> bool:
        """Whether it finds spans; else it gives each word a plain tag."""
        return self._manifest.scheme != "none"

    def predict(self, sentences: Iterable[str] | Iterable[Sequence[str]]) -> list[Tagging]:
        """The answers for sentences, in order.

        Args:
            sentences: each a string, which is divided into words, or a list of words.

        Raises:
            TypeError: one string instead of several, or something that is neither.
        """
        return list(self.predict_stream(sentences))

    def predict_stream(
        self, sentences: Iterable[str] | Iterable[Sequence[str]], *, batch_size: int = _CHUNK_SENTENCES
    ) -> Iterator[Tagging]:
        """The answers for a stream of sentences, in order, in constant memory.

        Raises:
            TypeError: as :meth:`predict`.
            OptionError: ``batch_size`` below 1.
        """
        if batch_size < 1:
            raise OptionError(f"batch_size must be at least 1, not {batch_size}.")
        if isinstance(sentences, str):
            raise TypeError("expected a list of sentences, got one string: put it into a list, [sentence]")
        source = iter(sentences)
        while part := list(islice(source, batch_size)):
            split = [self._split(sentence) for sentence in part]
            words = [one for one, _ in split]
            tags, sure = self._tag(words)
            place = 0
            for sentence, (own, offsets) in zip(part, split, strict=True):
                stop = place + len(own)
                yield self._answer(sentence, own, offsets, tags[place:stop], sure[place:stop])
                place = stop

    def tag_words(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tags alone, of sentences that are divided into words: the quickest way.

        Returns:
            for each sentence a tag a word, in the scheme of the training data.
        """
        tags, _ = self._tag(sentences, sure=False)
        names = self._tags
        found, place = [], 0
        for words in sentences:
            stop = place + len(words)
            found.append(self._written([names[tag] for tag in tags[place:stop].tolist()]))
            place = stop
        return found

    def evaluate(self, sentences: Iterable[Tagged]) -> dict[str, Any]:
        """Figures on tagged sentences, which are taken as they are divided into words.

        Args:
            sentences: of :func:`unrolled.data.open_tagged`, in the scheme that their ``scheme`` names if they
                have one, else in that of the model.

        Returns:
            ``task``, and the entries of :class:`unrolled.runtime.tag_metrics.SpanReport` for spans, or of
            :class:`unrolled.runtime.tag_metrics.TagReport` for plain tags.

        Raises:
            DataError: no sentences, or tags of another kind than the model's.
        """
        scheme: Scheme = getattr(sentences, "scheme", self._manifest.scheme)
        if (scheme == "none") == self.is_span_model:
            wanted = "spans" if self.is_span_model else "plain tags"
            raise DataError(
                f"the model gives {wanted}, but the tags here are of the other kind: check the column",
                source=getattr(sentences, "name", None),
            )
        spans, plain = SpanScorer(), TagScorer(self._seen)
        source, count = iter(sentences), 0
        while part := list(islice(source, _CHUNK_SENTENCES)):
            count += len(part)
            words = [one.words for one in part]
            tags, _ = self._tag(words, sure=False)
            place = 0
            for one in part:
                own = [self._tags[tag] for tag in tags[place : place + len(one.words)].tolist()]
                place += len(one.words)
                if self.is_span_model:
                    spans.add(decode_spans(one.tags, scheme), decode_spans(own, "bioes"), len(own))
                else:
                    plain.add(one.words, one.tags, own)
        if not count:
            raise DataError("there is no sentence in it: nothing to evaluate")
        report = spans.report() if self.is_span_model else plain.report()
        return {"task": "tag", **report}

    def info(self) -> dict[str, Any]:
        """What the model is, trained on what, how good, how large; ready for JSON."""
        manifest, raw = self._manifest, self._manifest.raw
        return {
            "path": None if self.path is None else str(self.path),
            "task": "tag",
            "labels": list(self.labels),
            "unrolled_version": raw.get("unrolled_version"),
            "format_version": raw["format_version"],
            "scheme": manifest.scheme,
            "wide": raw.get("wide"),
            "crf": manifest.crf,
            "by_character": manifest.by_character,
            "parameters": manifest.parameters,
            "bytes": sum(array.nbytes for array in self._model.weights.values())
            + len(self._model.tokenizer_json.encode("utf-8")),
            "storage": raw["storage"]["embedding"],
            "metrics": raw.get("metrics", {}),
            "training": raw.get("training", {}),
            "options": self.options.to_dict(),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as a folder, or as a zip if the name ends in ``.zip``.

        Raises:
            ModelFileError: as :func:`unrolled.runtime.save_model`.
        """
        from unrolled.runtime.saving import save_model

        save_model(path, self._manifest.raw, self._model.tokenizer_json, self._model.weights)

    def _split(self, sentence: str | Sequence[str]) -> tuple[list[str], list[tuple[int, int]] | None]:
        if isinstance(sentence, str):
            return self._segmenter.segment(sentence)
        words = list(sentence)
        for word in words:
            if not isinstance(word, str):
                raise TypeError(f"a sentence is a string or a list of strings, but holds {word!r}")
        return words, None

    def _tag(self, sentences: Sequence[Sequence[str]], *, sure: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the best tags ``(tokens,)`` and their probabilities ``(tokens,)``."""
        lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
        total = int(lengths.sum())
        places, tables = self._memory.find(chain.from_iterable(sentences), total)
        tags = np.zeros(total, dtype=np.int64)
        probabilities = np.ones(total, dtype=np.float32)
        if not total:
            return tags, probabilities
        first = begin = 0
        ends = np.cumsum(lengths)
        while first < len(lengths):
            last = max(first + 1, int(np.searchsorted(ends, begin + _GROUP_TOKENS, side="right")))
            stop = int(ends[last - 1])
            group = SequenceBatch(places[begin:stop], lengths[first:last])
            scores = self._scores(tables, group)
            best = decoded(scores, group.lengths, self._crf)
            tags[begin:stop] = best
            if sure and stop > begin:
                found = tag_probabilities(scores, group.lengths, self._crf)
                probabilities[begin:stop] = found[np.arange(stop - begin), best]
            first, begin = last, stop
        return tags, probabilities

    def _scores(self, tables: list[np.ndarray], words: SequenceBatch) -> np.ndarray:
        """Mean of the members' scores, and those of the wide part, by their shares.

        In probabilities: their product, in a CRF that of whole paths.
        """
        scores = self._networks[0].scores(tables[0], words)
        for network, table in zip(self._networks[1:], tables[1 : len(self._networks)], strict=True):
            scores += network.scores(table, words)
        if len(self._networks) > 1:
            scores /= len(self._networks)
        if self._wide is not None:
            features, bag = self._wide
            mine, other = self._manifest.shares
            scores *= np.float32(mine)
            wide = bag(features.encode(tables[-1], words.values, words.lengths))
            wide *= np.float32(other)
            scores += wide
        if self._manifest.outside:
            scores[:, self._tags.index("O")] += np.float32(self._manifest.outside)
        return scores

    def _word_vectors(self, words: Sequence[str]) -> list[np.ndarray]:
        encoded = self._features.encode(words)
        fixed = [] if self._fixed is None else [self._fixed.of(words)]
        found = [
            np.concatenate([network.word_vectors(encoded), *fixed], axis=1) for network in self._networks
        ]
        return found if self._wide is None else [*found, word_columns(words)]

    def _written(self, tags: list[str]) -> list[str]:
        """The model's own tags in the scheme of the user."""
        scheme = self._manifest.scheme
        if scheme in ("none", "bioes"):
            return tags
        return encode_spans(decode_spans(tags, "bioes"), len(tags), scheme)

    def _answer(
        self,
        sentence: str | Sequence[str],
        words: list[str],
        offsets: list[tuple[int, int]] | None,
        numbers: np.ndarray,
        sure: np.ndarray,
    ) -> Tagging:
        tags = [self._tags[number] for number in numbers.tolist()]
        probabilities = sure.tolist()
        spans = []
        if self.is_span_model:
            found = decode_spans(tags, "bioes")
            placed = [None] * len(found) if offsets is None else spans_in_text(found, offsets)
            for (start, end, label), place in zip(found, placed, strict=True):
                first, last = (None, None) if place is None else place[:2]
                text = " ".join(words[start:end]) if place is None else str(sentence)[first:last]
                spans.append(TaggedSpan(start, end, label, min(probabilities[start:end]), text, first, last))
        return Tagging(words, offsets, self._written(tags), probabilities, spans)
