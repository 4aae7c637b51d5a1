"""From labelled records to a model that answers: the whole training."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from unrolled.data.records import Record
from unrolled.embed.opening import check_vectors, vectors_sha256
from unrolled.errors import TrainingError
from unrolled.interrupt import StopRequest, TrainingInterrupted, stop_on_signal
from unrolled.options import ClassifierOptions
from unrolled.train.checkpoint import Checkpoint, differences
from unrolled.train.corpus import Corpus, build_corpus
from unrolled.train.distributed import Ranks, join_ranks
from unrolled.train.finish import Trained, finish
from unrolled.train.learner import TABLE, Learner
from unrolled.train.log import TrainingLog
from unrolled.train.loop import (
    Clock,
    Course,
    StoppedError,
    Surroundings,
    epoch_batches,
    member_seed,
    rounded,
    train_member,
)
from unrolled.train.objective import SCORE_NAMES, Objective
from unrolled.train.output import OutputFolder
from unrolled.train.progress import Progress, Silent
from unrolled.train.targets import check_learnable
from unrolled.train.vectors import initial_rows
from unrolled.train.wide import WidePart, fit_wide

if TYPE_CHECKING:
    from unrolled.runtime import Predictor

#: Tensor of a finished member beside its weights.
_DEV_LOGITS = "dev_logits"


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
    with ExitStack() as stack:
        ranks = join_ranks()
        stack.callback(torch.default_generator.set_state, torch.default_generator.get_state())
        listener: Progress = progress if progress is not None and ranks.writes else Silent()
        stack.callback(listener.stop)
        if options.vectors:
            ranks.first(lambda: check_vectors(options.vectors))
        output = OutputFolder(Path(out)) if out is not None else None
        if output is not None:
            ranks.first(lambda: output.prepare(resume=resume, overwrite=overwrite))
            if ranks.writes:
                stack.callback(output.clean)
        if output is None:
            work = Path(ranks.first(lambda: stack.enter_context(TemporaryDirectory(prefix="unrolled-"))))
        else:
            work = output.checkpoint_folder / "corpus"
        checkpoint = Checkpoint(output.checkpoint_folder) if output is not None else None
        training = _Training(options, ranks, listener, checkpoint, output, checkpoint_minutes * 60)
        trained = training.run(train, dev, work, names, resume)
        return finish(trained, output, ranks)


def _check_rest(task: str, corpus: Corpus, name: str) -> None:
    """Refuse a training part that is all alike, which a varied file can be once rows are held out of it."""
    values = corpus.train.targets.values
    labels = [corpus.labels[index] for index in np.unique(values)] if task == "single" else corpus.labels
    try:
        check_learnable(task, labels, corpus.train.targets, f"{name} without the rows held out for dev")
    except TrainingError as error:
        raise TrainingError(f"{error} Or give dev data of its own, so that no rows are held out.") from None


def _without_names(about: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint is compared by: the same data may be named by another path."""
    if "data" not in about:
        return about
    data = {
        part: {key: value for key, value in figures.items() if key != "name"}
        for part, figures in about["data"].items()
    }
    return {**about, "data": data}


class _Training:
    """State of :func:`fit` between the reading of the data and the finished members."""

    def __init__(
        self,
        options: ClassifierOptions,
        ranks: Ranks,
        progress: Progress,
        checkpoint: Checkpoint | None,
        output: OutputFolder | None,
        interval: float,
    ) -> None:
        self.options = self.recipe = options
        self.ranks = ranks
        self.progress = progress
        self.checkpoint = checkpoint
        self.output = output
        self.interval = interval
        self.last_save = time.monotonic()
        self.members: list[dict[str, Tensor]] = []
        self.member_files: list[str] = []
        self.courses: list[dict[str, Any]] = []

    def run(
        self,
        train: Iterable[Record],
        dev: Iterable[Record] | None,
        work: Path,
        names: tuple[str, str],
        resume: bool,
    ) -> Trained:
        """Read the data, train all members that are not finished yet."""
        started = time.time()
        saved, tokenizer_json = None, None
        if self.checkpoint is not None and resume and self.checkpoint.exists:
            saved, tokenizer_json = self.checkpoint.load()
            self._refuse_other({"options": self.options.to_dict()}, saved)
        corpus = self._corpus(train, dev, work, names, tokenizer_json)
        self.about: dict[str, Any] = {"options": self.options.to_dict(), "data": corpus.fingerprint}
        if self.options.vectors:
            self.about["vectors"] = {"sha256": self.ranks.first(lambda: vectors_sha256(self.options.vectors))}
        self.recipe = self.options.for_rows(len(corpus.train))
        for note in corpus.notes:
            self.progress.message(note)
        if saved is not None:
            self._refuse_other(self.about, saved)
        elif self.checkpoint is not None and self.ranks.writes:
            self.checkpoint.begin(corpus.tokenizer.to_json())
        outputs = 1 if self.options.task == "regression" else len(corpus.labels)
        objective = Objective(self.options, corpus.train.targets, outputs)
        folder = self.output.log_folder if self.output is not None and self.ranks.writes else None
        log = TrainingLog(SCORE_NAMES[self.options.task], folder, saved["log"] if saved else [])
        clock = Clock(saved["seconds"] if saved else 0.0)
        if saved is not None:
            self._load_members(saved)
        wide = self._wide(corpus, objective)
        with stop_on_signal(self.checkpoint is not None) as request:
            around = Surroundings(
                corpus, self.recipe, objective, log, self.progress, clock, lambda: request.asked
            )
            self._train_all(around, saved, request)
        dev_logits = np.stack([member.pop(_DEV_LOGITS).numpy() for member in self.members])
        return Trained(
            self.options,
            corpus,
            objective,
            self.members,
            dev_logits,
            wide,
            self.courses,
            log,
            clock.seconds,
            started,
        )

    def _corpus(
        self,
        train: Iterable[Record],
        dev: Iterable[Record] | None,
        work: Path,
        names: tuple[str, str],
        tokenizer_json: str | None,
    ) -> Corpus:
        def build() -> Corpus:
            work.mkdir(parents=True, exist_ok=True)
            corpus = build_corpus(self.options, train, dev, work, names=names, tokenizer_json=tokenizer_json)
            _check_rest(self.options.task, corpus, names[0])
            return corpus

        return self.ranks.first(build)

    def _wide(self, corpus: Corpus, objective: Objective) -> WidePart | None:
        """Fitted anew when a training is resumed: it takes seconds and gives the same."""
        kept, train, dev = corpus.wide_kept, corpus.train, corpus.dev
        if kept is None or train.texts.wide is None or dev.texts.wide is None:
            return None
        store, began = train.texts.wide, time.monotonic()
        wide = self.ranks.first(lambda: fit_wide(kept, store, train.rows, train.targets, objective))
        score = objective.score(wide.scores(dev.texts.wide, dev.rows), dev.targets)
        self.progress.message(
            f"Wide part: {len(kept):,} n-grams fitted in {time.monotonic() - began:.1f} s; alone it reaches "
            f"a dev {SCORE_NAMES[self.options.task]} of {score:.4f}."
        )
        return wide

    def _refuse_other(self, now: dict[str, Any], saved: dict[str, Any]) -> None:
        """A checkpoint continues only with the data and options that it began with."""
        then = {name: saved["about"].get(name, {}) for name in now}
        found = differences(_without_names(then), _without_names(now))
        if found:
            assert self.checkpoint is not None
            raise TrainingError(
                f"{self.checkpoint.folder}: the interrupted training had other data or options "
                f"({'; '.join(found[:8])}). Give the same again, or start anew with overwrite."
            )

    def _load_members(self, saved: dict[str, Any]) -> None:
        assert self.checkpoint is not None
        for name, course in zip(saved["member_files"], saved["courses"], strict=True):
            self.members.append({key: value.clone() for key, value in self.checkpoint.tensors(name).items()})
            self.member_files.append(name)
            self.courses.append(course)

    def _train_all(self, around: Surroundings, saved: dict[str, Any] | None, request: StopRequest) -> None:
        per_member = self.recipe.epochs * len(epoch_batches(around.corpus, self.recipe, 0, 0))
        made = int(saved["steps"]) if saved is not None and saved["course"] is not None else 0
        self.progress.start(per_member * self.options.members, per_member * len(self.members) + made)
        vectors = initial_rows(self.options, around.corpus) if self.options.vectors else None
        if vectors is not None:
            self.progress.message(vectors.note)
        for member in range(len(self.members), self.options.members):
            seed = member_seed(self.options.seed, member)
            learner = Learner(
                self.recipe,
                around.corpus.table_rows,
                around.objective,
                seed=seed,
                ranks=self.ranks,
                vectors=None if vectors is None else (vectors.rows, vectors.given),
            )
            best: dict[str, Tensor] = {}
            saver = _Saver(self, around, learner, Course(member), best)
            if saved is not None and saved["course"] is not None and saved["course"]["member"] == member:
                saver.load(saved)
            saver.train(request)
            weights = rounded(best)
            logits = learner.logits({**weights, TABLE: weights[TABLE].float()}, around.corpus.dev)
            self.members.append({**weights, _DEV_LOGITS: torch.from_numpy(logits)})
            self.courses.append(saver.course.as_dict())
            if self.checkpoint is not None and self.ranks.writes:
                self.member_files.append(self.checkpoint.keep(self.members[-1]))
                self.checkpoint.commit(self._content(around, None, None, 0), {}, self.member_files)

    def _content(
        self, around: Surroundings, course: Course | None, best_file: str | None, steps: int
    ) -> dict[str, Any]:
        """The plain values of a checkpoint."""
        return {
            "about": self.about,
            "course": course.as_dict() if course is not None else None,
            "steps": steps,
            "best_file": best_file,
            "member_files": self.member_files,
            "courses": self.courses,
            "log": around.log.as_dicts(),
            "seconds": around.clock.seconds,
        }


class _Saver:
    """One member's training and its checkpoints."""

    def __init__(
        self,
        training: _Training,
        around: Surroundings,
        learner: Learner,
        course: Course,
        best: dict[str, Tensor],
    ) -> None:
        self.training = training
        self.around = around
        self.learner = learner
        self.course = course
        self.best = best
        self.best_file: str | None = None
        self.best_file_epoch = -1

    def load(self, saved: dict[str, Any]) -> None:
        """Take up the member where the checkpoint left it."""
        checkpoint = self.training.checkpoint
        assert checkpoint is not None
        self.course = Course(**saved["course"])
        self.learner.load_state(checkpoint.tensors())
        if saved["best_file"] is not None:
            self.best_file, self.best_file_epoch = saved["best_file"], self.course.best_epoch
            self.best.update({k: v.clone() for k, v in checkpoint.tensors(saved["best_file"]).items()})

    def train(self, request: StopRequest) -> None:
        """All epochs that are left.

        Raises:
            TrainingInterrupted: a stop was asked for; the state was saved.
        """
        try:
            train_member(self.learner, self.course, self.best, self.around, save=self.save_if_due)
        except StoppedError:
            self.write()
            # A process that ended now would have its launcher stop the others, the writing one too.
            self.training.ranks.wait()
            raise TrainingInterrupted(self._farewell()) from None

    def save_if_due(self, epoch_ended: bool) -> None:
        """Write a checkpoint after an epoch, or when the last one is old."""
        training = self.training
        if epoch_ended or time.monotonic() - training.last_save >= training.interval:
            self.write()

    def write(self) -> None:
        """Write a checkpoint."""
        training = self.training
        checkpoint = training.checkpoint
        training.last_save = time.monotonic()
        if checkpoint is None or not training.ranks.writes:
            return
        if self.best and self.best_file_epoch != self.course.best_epoch:
            self.best_file, self.best_file_epoch = checkpoint.keep(self.best), self.course.best_epoch
        kept = [*training.member_files, *([self.best_file] if self.best_file else [])]
        content = training._content(self.around, self.course, self.best_file, self.learner.steps)
        checkpoint.commit(content, self.learner.state(), kept)

    def _farewell(self) -> str:
        assert self.training.output is not None
        course, options = self.course, self.training.options
        return (
            f"Training was stopped in epoch {course.epoch + 1} of {options.epochs}, after "
            f"{self.learner.steps} steps. Its state is kept in {self.training.output.checkpoint_folder}: "
            "start it again with the same data and options and with resume, and it goes on from there."
        )
