"""The classifier as users meet it: options, ``fit``, answers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from unrolled.errors import OptionError
from unrolled.options import ClassifierOptions
from unrolled.train.progress import BarProgress, Progress, Silent
from unrolled.train.source import Source

if TYPE_CHECKING:
    import numpy as np

    from unrolled.runtime import Prediction, Predictor


class Classifier:
    """A model that gives texts a label, several labels, or a number.

    Example:
        >>> texts = ["good film", "bad film", "a good story", "a bad story", "good", "bad"] * 10
        >>> labels = ["yes", "no"] * 30
        >>> options = {"hidden": 8, "embed_dim": 16, "epochs": 5, "batch_size": 8, "learning_rate": 0.02}
        >>> model = Classifier(**options).fit((texts, labels), quiet=True)
        >>> [answer.label for answer in model.predict(["a good film", "a bad film"])]
        ['yes', 'no']
        >>> model.evaluate((["good", "bad"], ["yes", "no"]))["accuracy"]
        1.0

    Args:
        preset: ``"fast"`` or ``"accurate"``.
        options: what to change of it; the names and meanings are those of
            :class:`unrolled.options.ClassifierOptions`.

    Attributes:
        options: all of them.

    Raises:
        OptionError: an unknown preset or option, or a bad value.
    """

    def __init__(self, preset: str = "fast", /, **options: Any) -> None:
        self.options = ClassifierOptions.of(preset, **options)
        self._predictor: Predictor | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """A saved model; ``unrolled.load`` gives the same answers without torch.

        Raises:
            ModelFileError: there is no model, or it is damaged.
        """
        from unrolled.runtime import load

        model = cls.__new__(cls)
        model._predictor = load(path)
        model.options = model._predictor.options
        return model

    def fit(
        self,
        train: Any,
        dev: Any = None,
        *,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        text_column: str | int | None = None,
        label_column: str | int | None = None,
        skip_bad_rows: bool = False,
        checkpoint_minutes: float = 10.0,
        quiet: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Train.

        Args:
            train: a path (CSV, TSV, JSON Lines, Parquet, gz), ``"-"`` for standard input, a tuple
                ``(texts, labels)``, a list or iterator of pairs, a list of dicts, a pandas or polars
                DataFrame, a Hugging Face ``Dataset``.
            dev: the same, to choose the best epoch by; ``None`` holds out a tenth of ``train``.
            out: folder for the model, written as training goes on; ``None`` keeps it in memory until
                :meth:`save`.
            resume: go on with an interrupted training in ``out``.
            overwrite: replace what is in ``out``.
            text_column, label_column: name or 1-based number; guessed if left out.
            skip_bad_rows: leave out rows that cannot be used, and count them, instead of raising.
            checkpoint_minutes: time between checkpoints within an epoch.
            quiet: show no progress.
            progress: shows progress instead of the bar.

        Raises:
            DataError: data that cannot be read.
            TrainingError: nothing to learn, a loss that is not a number, an ``out`` in use.
            TrainingInterrupted: Ctrl-C while ``out`` is given; the state was saved.
        """
        from unrolled.train import fit

        listener: Progress = progress or (Silent() if quiet else BarProgress())
        reading = {"text_column": text_column, "label_column": label_column, "skip_bad_rows": skip_bad_rows}
        sources = [
            Source(data, task=self.options.task, tell=listener.message, **reading)
            for data in (train, dev)
            if data is not None
        ]
        self._predictor = fit(
            self.options,
            sources[0],
            sources[1] if dev is not None else None,
            out=None if out is None else Path(out),
            resume=resume,
            overwrite=overwrite,
            progress=listener,
            checkpoint_minutes=checkpoint_minutes,
            names=(sources[0].name, sources[-1].name),
        )
        return self

    def predict(self, texts: Iterable[str]) -> list[Prediction]:
        """The answers for texts, in order.

        Raises:
            OptionError: the model is not trained yet.
        """
        return self.predictor.predict(texts)

    def probabilities(self, texts: Iterable[str]) -> np.ndarray:
        """Probabilities ``(n, labels)``, columns in the order of :attr:`labels`.

        Raises:
            OptionError: the model is not trained yet, or is a regression.
        """
        return self.predictor.probabilities(texts)

    def evaluate(
        self,
        source: Any,
        *,
        text_column: str | int | None = None,
        label_column: str | int | None = None,
        skip_bad_rows: bool = False,
    ) -> dict[str, Any]:
        """Figures on labelled data, given as for :meth:`fit`.

        Raises:
            DataError: data that cannot be read.
            OptionError: the model is not trained yet.
        """
        reading = {"text_column": text_column, "label_column": label_column, "skip_bad_rows": skip_bad_rows}
        return self.predictor.evaluate(Source(source, task=self.options.task, tell=lambda _: None, **reading))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as a folder, or as a zip if the name ends in ``.zip``.

        Raises:
            OptionError: the model is not trained yet.
            ModelFileError: the path holds something else, the disk is full.
        """
        self.predictor.save(path)

    @property
    def labels(self) -> list[str]:
        """The labels, in the order of :meth:`probabilities`; empty for a regression."""
        return self.predictor.labels

    @property
    def predictor(self) -> Predictor:
        """The trained model, free of torch.

        Raises:
            OptionError: the model is not trained yet.
        """
        if self._predictor is None:
            raise OptionError("this classifier is not trained yet: call fit() first, or load() a saved one.")
        return self._predictor

    def __repr__(self) -> str:
        state = "not trained" if self._predictor is None else f"{len(self.labels)} labels"
        return f"<Classifier {self.options.model}, {state}>"
