"""From labelled records to a model that answers: the whole training."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unrolled.data.records import Record
from unrolled.errors import TrainingError
from unrolled.interrupt import stop_on_signal
from unrolled.models import TextClassifier
from unrolled.options import ClassifierOptions
from unrolled.train.corpus import Corpus, build_corpus
from unrolled.train.finish import Trained, finish
from unrolled.train.log import TrainingLog
from unrolled.train.loop import Clock, Surroundings
from unrolled.train.members import DEV_LOGITS, Members, training_place
from unrolled.train.objective import SCORE_NAMES, Objective
from unrolled.train.progress import Progress
from unrolled.train.targets import check_learnable
from unrolled.train.vectors import initial_rows
from unrolled.train.wide import WidePart, fit_wide

if TYPE_CHECKING:
    from unrolled.runtime import Predictor


def fit(
    options: ClassifierOptions,
    train: Iterable[Record],
    dev: Iterable[Record] | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    checkpoint_minutes: float = 10.0,
    names: tuple[str, str] = ("train", "dev"),
) -> Predictor:
    """Train a classifier.

    The same data, options and number of threads give the same weights, bit for bit, interrupted or not.
    Under ``torchrun`` or ``accelerate launch`` the processes share the work of each batch.

    Args:
        options: how the model is built and trained.
        train: labelled records; read once.
        dev: labelled records to choose the best epoch by, or ``None`` to hold out a tenth of ``train``.
        out: folder for the model, its ``training/`` log and, until the end, its ``checkpoint/``. ``None``
            keeps the model in memory; nothing is then left of a training that is interrupted.
        resume: go on with the checkpoint in ``out``, if there is one.
        overwrite: replace a model or checkpoint in ``out``. The old model stays until the new one is
            complete.
        progress: told of what happens.
        checkpoint_minutes: time between checkpoints within an epoch; one is also written after each epoch.
        names: of the two sources, for messages and the saved model.

    Raises:
        TrainingError: nothing to learn, a loss that is not a number, a checkpoint of other data or options,
            an ``out`` that is in use.
        DataError: data or word vectors that cannot be read.
        TrainingInterrupted: Ctrl-C or SIGTERM; the state was saved.
    """

    with training_place(
        options,
        out,
        resume=resume,
        overwrite=overwrite,
        progress=progress,
        checkpoint_minutes=checkpoint_minutes,
    ) as (members, work):
        trained = _train(options, members, train, dev, work, names, resume)
        return finish(trained, members.output, members.ranks)


def _train(
    options: ClassifierOptions,
    members: Members,
    train: Iterable[Record],
    dev: Iterable[Record] | None,
    work: Path,
    names: tuple[str, str],
    resume: bool,
) -> Trained:
    """Read the data, train all members that are not finished yet."""
    started = time.time()
    ranks, progress, output = members.ranks, members.progress, members.output
    saved, tokenizer_json = members.saved(resume)

    def build_corpus_once() -> Corpus:
        work.mkdir(parents=True, exist_ok=True)
        corpus = build_corpus(options, train, dev, work, names=names, tokenizer_json=tokenizer_json)
        _check_rest(options.task, corpus, names[0])
        return corpus

    corpus = ranks.first(build_corpus_once)
    recipe = options.for_rows(len(corpus.train))
    for note in corpus.notes:
        progress.message(note)
    members.begin({"data": corpus.fingerprint}, saved, corpus.tokenizer.to_json())
    outputs = 1 if options.task == "regression" else len(corpus.labels)
    objective = Objective(options, corpus.train.targets, outputs)
    folder = output.log_folder if output is not None and ranks.writes else None
    log = TrainingLog(SCORE_NAMES[options.task], folder, saved["log"] if saved else [])
    clock = Clock(saved["seconds"] if saved else 0.0)
    wide = _wide(members, corpus, objective)
    vectors = initial_rows(options, corpus) if options.vectors else None
    if vectors is not None:
        progress.message(vectors.note)
    with stop_on_signal(members.checkpoint is not None) as request:
        around = Surroundings(corpus, recipe, objective, log, progress, clock, lambda: request.asked)
        members.train(
            around,
            lambda: TextClassifier(recipe, corpus.table_rows, objective.outputs),
            saved,
            request,
            vectors=None if vectors is None else (vectors.rows, vectors.given),
            freeze=options.freeze_vectors,
        )
    dev_logits = np.stack([member.pop(DEV_LOGITS).numpy() for member in members.weights])
    return Trained(
        options,
        corpus,
        objective,
        members.weights,
        dev_logits,
        wide,
        members.courses,
        log,
        clock.seconds,
        started,
    )


def _check_rest(task: str, corpus: Corpus, name: str) -> None:
    """Refuse a training part that is all alike, which a varied file can be once rows are held out of it."""
    values = corpus.train.targets.values
    labels = [corpus.labels[index] for index in np.unique(values)] if task == "single" else corpus.labels
    try:
        check_learnable(task, labels, corpus.train.targets, f"{name} without the rows held out for dev")
    except TrainingError as error:
        raise TrainingError(f"{error} Or give dev data of its own, so that no rows are held out.") from None


def _wide(members: Members, corpus: Corpus, objective: Objective) -> WidePart | None:
    """Fitted anew when a training is resumed: it takes seconds and gives the same."""
    kept, train, dev = corpus.wide_kept, corpus.train, corpus.dev
    if kept is None or train.texts.wide is None or dev.texts.wide is None:
        return None
    store, began = train.texts.wide, time.monotonic()
    wide = members.ranks.first(lambda: fit_wide(kept, store, train.rows, train.targets, objective))
    score = objective.score(wide.scores(dev.texts.wide, dev.rows), dev.targets)
    members.progress.message(
        f"Wide part: {len(kept):,} n-grams fitted in {time.monotonic() - began:.1f} s; alone it reaches "
        f"a dev {SCORE_NAMES[objective.task]} of {score:.4f}."
    )
    return wide
