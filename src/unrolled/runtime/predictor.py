"""A saved model that answers: texts in, labels and probabilities out. Needs no torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unrolled.engine import Precision
from unrolled.errors import ModelFileError, OptionError
from unrolled.options import ClassifierOptions
from unrolled.runtime.classifier_manifest import WIDE_KEPT_NAME, ClassifierManifest
from unrolled.runtime.files import SavedModel, load_model
from unrolled.runtime.manifest import KEPT_NAME, TOKENIZER_NAME
from unrolled.runtime.network import Network
from unrolled.runtime.wide import Wide, joined, sigmoid, softmax
from unrolled.text.batch import SequenceBatch
from unrolled.text.ngrams import NgramHasher
from unrolled.text.pipeline import TextPipeline
from unrolled.text.tokenizer import Tokenizer, tokenizer_from_json

if TYPE_CHECKING:
    from concurrent.futures import Future

    from unrolled.runtime.evaluation import Labelled

    # Tokens of texts as positions in the rows of distinct tokens, these rows, and the texts' own n-grams.
    _Encoded = tuple[SequenceBatch, SequenceBatch, SequenceBatch | None]

THRESHOLD = 0.5

_CHUNK_TEXTS = 4096
_CHUNK_CHARACTERS = 1 << 20
# Streams of smaller batches are answered at once instead of one batch late.
_OVERLAP_FROM = 64


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one text.

    Attributes:
        label: the most probable label; for several labels a text the list of those with a probability of 0.5
            or more, most probable first; for a regression the number.
        probability: of ``label``, in [0, 1]; for several labels one each, in a list; for a regression
            ``None``.
        probabilities: label -> probability, in the order of the model's labels; empty for a regression.
    """

    label: str | list[str] | float
    probability: float | list[float] | None
    probabilities: dict[str, float]


class Predictor:
    """A model ready to answer. May be used from several threads.

    Args:
        model: what :func:`unrolled.runtime.load_model` read or :func:`unrolled.runtime.as_saved_model` put
            together.
        weights: how exactly the engine holds the recurrent weights, ``"float32"``, ``"bfloat16"`` or
            ``"int8"``; less is faster for single texts, and costs some accuracy, which ``unrolled evaluate
            --weights`` measures. The files stay as they are; without the engine it is float32.

    Attributes:
        labels: in the order of the columns of :meth:`probabilities`; empty for a regression.
        options: how the model was built.
        tokenizer: the model's own.

    Raises:
        ModelFileError: the model is none of a classifier, or its tokenizer is damaged or does not fit the
            embedding table.
        MissingExtraError: the tokenizer needs a package that is not installed.
        OptionError: reduced weights for a model without recurrent layers.
    """

    def __init__(self, model: SavedModel, *, weights: Precision = "float32") -> None:
        manifest = model.manifest
        if not isinstance(manifest, ClassifierManifest):
            raise ModelFileError(
                f"{model.path or 'the model'}: not a classifier. Open it with unrolled.load."
            )
        self._model = model
        self._manifest = manifest
        self.options: ClassifierOptions = manifest.options
        self.labels: list[str] = list(manifest.labels)
        self.tokenizer: Tokenizer = _tokenizer(model)
        options = self.options
        self._pipeline = TextPipeline(self.tokenizer, _hasher(model, options), options.max_length)
        if self._pipeline.table_rows != manifest.table_rows:
            raise ModelFileError(
                f"{model.path or 'the model'}: the embedding table has {manifest.table_rows} rows, but "
                f"tokenizer and n-grams need {self._pipeline.table_rows}. The files do not belong together: "
                "copy the model again."
            )
        self._wide = _wide(model)
        self._members = [
            Network(
                options,
                {
                    name.removeprefix(prefix): array
                    for name, array in model.weights.items()
                    if name.startswith(prefix)
                },
                weights,
            )
            for prefix in (f"members.{k}." for k in range(options.members))
        ]

    @property
    def path(self) -> Path | None:
        """Where the model was read from; ``None`` if it was not."""
        return self._model.path

    def predict(self, texts: Iterable[str]) -> list[Prediction]:
        """The answers for texts, in order. An empty text is a text like any other.

        Raises:
            TypeError: one string instead of several, or something that is not a string.
        """
        return [
            answer for part in _parts(texts, _CHUNK_TEXTS) for answer in self._answers(self._outputs(part))
        ]

    def predict_stream(self, texts: Iterable[str], *, batch_size: int = _CHUNK_TEXTS) -> Iterator[Prediction]:
        """The answers for a stream of texts, in order, in constant memory.

        While one batch is computed a thread tokenizes the next. Batches below 64 texts are answered before
        more of the stream is read, for a reader who waits at the other end.

        Args:
            texts: read as needed.
            batch_size: texts a batch.

        Raises:
            TypeError: as :meth:`predict`.
            OptionError: ``batch_size`` below 1.
        """
        if batch_size < 1:
            raise OptionError(f"batch_size must be at least 1, not {batch_size}.")
        parts = _parts(texts, batch_size)
        if batch_size < _OVERLAP_FROM:
            for part in parts:
                yield from self._answers(self._outputs(part))
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1, thread_name_prefix="unrolled-encode") as pool:
            waiting: Future[_Encoded] | None = None
            for part in parts:
                following = pool.submit(self._encode, part)
                if waiting is not None:
                    yield from self._answers(self._outputs_of(*waiting.result()))
                waiting = following
            if waiting is not None:
                yield from self._answers(self._outputs_of(*waiting.result()))

    def probabilities(self, texts: Iterable[str]) -> np.ndarray:
        """Probabilities ``(n, labels)`` float32. With one label a text they add up to 1.

        Raises:
            OptionError: the model is a regression; its numbers come from :meth:`values`.
            TypeError: as :meth:`predict`.
        """
        if self.options.task == "regression":
            raise OptionError("a regression has no probabilities: use values() or predict().")
        return self._all_outputs(texts)

    def values(self, texts: Iterable[str]) -> np.ndarray:
        """Numbers ``(n,)`` float32 of a regression, in the units of its training data.

        Raises:
            OptionError: the model is a classifier.
            TypeError: as :meth:`predict`.
        """
        if self.options.task != "regression":
            raise OptionError("a classifier gives no numbers: use probabilities() or predict().")
        return self._all_outputs(texts)[:, 0]

    def evaluate(self, records: Iterable[Labelled]) -> dict[str, Any]:
        """Figures on labelled data; see :mod:`unrolled.runtime.evaluation` for what each task gives.

        Args:
            records: of :func:`unrolled.data.open_records` or pairs ``(text, label)``.

        Raises:
            DataError: no records, or labels of another kind than the model's.
        """
        from unrolled.runtime import evaluation

        if self.options.task == "regression":
            figures = evaluation.evaluate_regression(records, self.values)
        elif self.options.task == "multi":
            figures = evaluation.evaluate_multi(records, self.labels, self.probabilities)
        else:
            figures = evaluation.evaluate_single(records, self.labels, self.probabilities)
        return {"task": self.options.task, **figures}

    def info(self) -> dict[str, Any]:
        """What the model is, trained on what, how good, how large; ready for JSON."""
        manifest, raw = self._manifest, self._manifest.raw
        return {
            "path": None if self.path is None else str(self.path),
            "task": self.options.task,
            "labels": list(self.labels),
            "unrolled_version": raw.get("unrolled_version"),
            "format_version": raw["format_version"],
            "tokenizer": self.tokenizer.kind,
            "vocabulary": len(self.tokenizer),
            "parameters": manifest.parameters,
            "bytes": sum(array.nbytes for array in self._model.weights.values())
            + len(self._model.tokenizer_json),
            "storage": raw["storage"]["embedding"],
            "temperature": manifest.temperature,
            "wide": raw.get("wide"),
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

    def _all_outputs(self, texts: Iterable[str]) -> np.ndarray:
        parts = [self._outputs(part) for part in _parts(texts, _CHUNK_TEXTS)]
        width = self._manifest.outputs
        return np.concatenate(parts) if parts else np.zeros((0, width), dtype=np.float32)

    def _outputs(self, texts: Sequence[str]) -> np.ndarray:
        return self._outputs_of(*self._encode(texts))

    def _encode(self, texts: Sequence[str]) -> _Encoded:
        wide = self._wide.encode(texts) if self._wide is not None else None
        return (*self._pipeline.encode_distinct(texts), wide)

    def _outputs_of(
        self, positions: SequenceBatch, rows: SequenceBatch, wide: SequenceBatch | None
    ) -> np.ndarray:
        """Mean of the members' probabilities or numbers, ``(n, outputs)``."""
        manifest = self._manifest
        multi = self.options.task == "multi"
        # Of float32 probabilities close to 1 the wide part's logits would see only steps.
        precision = np.float64 if multi and wide is not None else np.float32
        mean = np.zeros((len(positions), manifest.outputs), dtype=precision)
        for member in self._members:
            scores: np.ndarray = member(positions, rows).astype(precision, copy=False)
            if manifest.target is not None:
                mean += scores
            elif multi:
                mean += sigmoid(scores / np.float32(manifest.temperature))
            else:
                mean += softmax(scores / np.float32(manifest.temperature))
        mean /= len(self._members)
        if manifest.target is not None:
            mean *= np.float32(manifest.target[1])
            mean += np.float32(manifest.target[0])
        if self._wide is not None and wide is not None:
            mean = joined(mean, self._wide(wide), manifest.shares, self.options.task)
        return mean.astype(np.float32, copy=False)

    def _answers(self, outputs: np.ndarray) -> Iterator[Prediction]:
        if self.options.task == "regression":
            for number in outputs[:, 0].tolist():
                yield Prediction(number, None, {})
            return
        labels = self.labels
        if self.options.task == "multi":
            for row in outputs.tolist():
                chosen = sorted((-p, index) for index, p in enumerate(row) if p >= THRESHOLD)
                yield Prediction(
                    [labels[index] for _, index in chosen],
                    [-p for p, _ in chosen],
                    dict(zip(labels, row, strict=True)),
                )
            return
        for row, best in zip(outputs.tolist(), outputs.argmax(axis=1).tolist(), strict=True):
            yield Prediction(labels[best], row[best], dict(zip(labels, row, strict=True)))


def load(path: str | os.PathLike[str], *, weights: Precision = "float32") -> Predictor:
    """A saved model (folder or zip), ready to answer.

    Nothing in the files is executed. Sizes are checked before memory is taken, checksums after reading.

    Args:
        path: of the folder or zip.
        weights: as :class:`Predictor` takes it.

    Raises:
        ModelFileError: there is no model, or it is damaged, truncated, hostile, or of a newer format.
        MissingExtraError: its tokenizer needs a package that is not installed.
        OptionError: reduced weights for a model without recurrent layers.
    """
    return Predictor(load_model(path), weights=weights)


def _tokenizer(model: SavedModel) -> Tokenizer:
    try:
        return tokenizer_from_json(model.tokenizer_json)
    except ModelFileError as error:
        where = TOKENIZER_NAME if model.path is None else str(model.path / TOKENIZER_NAME)
        raise ModelFileError(f"{where}: {error} Copy or train the model again.") from None


def _hasher(model: SavedModel, options: ClassifierOptions) -> NgramHasher | None:
    if not options.ngram_max:
        return None
    try:
        return NgramHasher(
            options.ngram_min, options.ngram_max, options.ngram_buckets, model.weights.get(KEPT_NAME)
        )
    except OptionError as error:
        raise ModelFileError(f"{model.path or 'the model'}: {error} Copy or train the model again.") from None


def _wide(model: SavedModel) -> Wide | None:
    weights = model.weights
    if WIDE_KEPT_NAME not in weights:
        return None
    try:
        return Wide(weights[WIDE_KEPT_NAME], weights["wide.weight"], weights["wide.bias"])
    except OptionError as error:
        raise ModelFileError(f"{model.path or 'the model'}: {error} Copy or train the model again.") from None


def _parts(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Texts in lists of at most ``size``, shorter where the texts are long, so that memory stays bounded."""
    if isinstance(texts, str):
        raise TypeError("expected a list of texts, got one string: put it into a list, [text]")
    part: list[str] = []
    characters = 0
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {number} is {type(text).__name__}, not a string")
        part.append(text)
        characters += len(text)
        if len(part) >= size or characters >= _CHUNK_CHARACTERS:
            yield part
            part, characters = [], 0
    if part:
        yield part
