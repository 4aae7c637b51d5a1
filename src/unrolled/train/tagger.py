"""The tagger as users meet it: options, ``fit``, answers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from unrolled.data.tagged import open_tagged, tagged_notes
from unrolled.errors import OptionError
from unrolled.options import TaggerOptions
from unrolled.train.progress import BarProgress, Progress, Silent

if TYPE_CHECKING:
    from unrolled.runtime import Tagging, TagPredictor


class Tagger:
    """A model that gives each word of a sentence a tag, or finds spans such as names.

    Example:
        >>> people = ["Kim", "Lee", "Park", "Choi"]
        >>> sentences = [(["Dr", name, "works"], ["O", "B-person", "O"]) for name in people] * 10
        >>> options = {"hidden": 8, "embed_dim": 16, "char_hidden": 8, "batch_size": 4, "learning_rate": 0.02}
        >>> model = Tagger(**options).fit(sentences, dev=sentences, quiet=True)
        >>> [(span.text, span.label, span.start_char) for span in model.predict(["Dr  Kim works"])[0].spans]
        [('Kim', 'person', 4)]

    Args:
        preset: ``"accurate"`` or ``"fast"``.
        options: what to change of it; the names and meanings are those of
            :class:`unrolled.options.TaggerOptions`.

    Attributes:
        options: all of them.

    Raises:
        OptionError: an unknown preset or option, or a bad value.
    """

    def __init__(self, preset: str = "accurate", /, **options: Any) -> None:
        self.options = TaggerOptions.of(preset, **options)
        self._predictor: TagPredictor | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """A saved model; ``unrolled.load`` gives the same answers without torch.

        Raises:
            ModelFileError: there is no tagger, or it is damaged.
        """
        from unrolled.runtime import TagPredictor, load_model

        model = cls.__new__(cls)
        model._predictor = TagPredictor(load_model(path))
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
        column: str | int | None = None,
        format: str | None = None,
        encoding: str = "utf-8",
        repair: bool = False,
        checkpoint_minutes: float = 10.0,
        quiet: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Train.

        Args:
            train: a path (CoNLL-U, columns divided by tabs or spaces, characters as rows; also ``.gz``),
                ``"-"`` for standard input, or a list of pairs ``(words, tags)``.
            dev: the same, to choose the best epoch by; ``None`` holds out a tenth of ``train``.
            out: folder for the model, written as training goes on; ``None`` keeps it in memory until
                :meth:`save`.
            resume: go on with an interrupted training in ``out``.
            overwrite: replace what is in ``out``.
            column, format, encoding, repair: as :func:`unrolled.data.open_tagged` takes them.
            checkpoint_minutes: time between checkpoints within an epoch.
            quiet: show no progress.
            progress: shows progress instead of the bar.

        Raises:
            DataError: data that cannot be read.
            TrainingError: nothing to learn, a loss that is not a number, an ``out`` in use.
            TrainingInterrupted: Ctrl-C while ``out`` is given; the state was saved.
        """
        from unrolled.train.tag_fitting import fit_tagger

        listener: Progress = progress or (Silent() if quiet else BarProgress())
        readers = []
        for data in (train, dev):
            if data is not None:
                readers.append(
                    open_tagged(data, column=column, format=format, encoding=encoding, repair=repair)
                )
                for note in tagged_notes(readers[-1]):
                    listener.message(note)
        self._predictor = fit_tagger(
            self.options,
            readers[0],
            readers[1] if dev is not None else None,
            scheme=readers[0].scheme,
            by_character=readers[0].characters,
            out=None if out is None else Path(out),
            resume=resume,
            overwrite=overwrite,
            progress=listener,
            checkpoint_minutes=checkpoint_minutes,
            names=(readers[0].name, readers[-1].name),
        )
        return self

    def predict(self, sentences: Iterable[str] | Iterable[Sequence[str]]) -> list[Tagging]:
        """The answers for sentences, in order: strings, or lists of words.

        Raises:
            OptionError: the model is not trained yet.
        """
        return self.predictor.predict(sentences)

    def evaluate(
        self,
        source: Any,
        *,
        column: str | int | None = None,
        format: str | None = None,
        encoding: str = "utf-8",
        repair: bool = False,
    ) -> dict[str, Any]:
        """Figures on tagged data, given as for :meth:`fit`.

        Raises:
            DataError: data that cannot be read.
            OptionError: the model is not trained yet.
        """
        reader = open_tagged(source, column=column, format=format, encoding=encoding, repair=repair)
        return self.predictor.evaluate(reader)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as a folder, or as a zip if the name ends in ``.zip``.

        Raises:
            OptionError: the model is not trained yet.
            ModelFileError: the path holds something else, the disk is full.
        """
        self.predictor.save(path)

    @property
    def labels(self) -> list[str]:
        """The kinds of spans, or the tags."""
        return self.predictor.labels

    @property
    def predictor(self) -> TagPredictor:
        """The trained model, free of torch.

        Raises:
            OptionError: the model is not trained yet.
        """
        if self._predictor is None:
            raise OptionError("this tagger is not trained yet: call fit() first, or load() a saved one.")
        return self._predictor

    def __repr__(self) -> str:
        state = "not trained" if self._predictor is None else f"{len(self.labels)} labels"
        return f"<Tagger {self.options.model}, {state}>"
