"""The members of a model, trained one after the other, with checkpoints that a later run goes on from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from unrolled.embed.opening import check_vectors, vectors_sha256
from unrolled.errors import TrainingError
from unrolled.interrupt import StopRequest, TrainingInterrupted
from unrolled.train.checkpoint import Checkpoint, differences
from unrolled.train.distributed import Ranks, join_ranks
from unrolled.train.learner import Learner
from unrolled.train.loop import (
    Course,
    StoppedError,
    Surroundings,
    epoch_batches,
    member_seed,
    table_rounded,
    train_member,
)
from unrolled.train.output import OutputFolder
from unrolled.train.progress import Progress, Silent
from unrolled.train.task import LearningOptions

#: Tensor of a finished member beside its weights.
DEV_LOGITS = "dev_logits"


@contextmanager
def training_place(
    options: LearningOptions,
    out: str | Path | None,
    *,
    resume: bool,
    overwrite: bool,
    progress: Progress | None,
    checkpoint_minutes: float,
) -> Iterator[tuple[Members, Path]]:
    """The processes, folders and listener of a training, given back at its end however it ends.

    Word vectors are looked at before a folder is touched.

    Yields:
        the members to train, and a folder for what the training needs on disk.
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
        yield Members(options, ranks, listener, output, checkpoint_minutes * 60), work


def _without_names(about: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint is compared by: the same data may be named by another path."""
    if "data" not in about:
        return about
    data = {
        part: {key: value for key, value in figures.items() if key != "name"}
        for part, figures in about["data"].items()
    }
    return {**about, "data": data}


class Members:
    """State of a training between the reading of its data and its finished members.

    Args:
        options: as the user gave them; a checkpoint goes on with the same alone.
        ranks: the processes that train together.
        progress: told of what happens.
        output: where the model and its checkpoint go; ``None`` keeps all in memory.
        interval: seconds between checkpoints within an epoch.

    Attributes:
        weights: of the finished members.
        courses: theirs.
        about: what a checkpoint belongs to.
    """

    def __init__(
        self,
        options: LearningOptions,
        ranks: Ranks,
        progress: Progress,
        output: OutputFolder | None,
        interval: float,
    ) -> None:
        self.options = options
        self.ranks = ranks
        self.progress = progress
        self.output = output
        self.checkpoint = Checkpoint(output.checkpoint_folder) if output is not None else None
        self.interval = interval
        self.last_save = time.monotonic()
        self.weights: list[dict[str, Tensor]] = []
        self.member_files: list[str] = []
        self.courses: list[dict[str, Any]] = []
        self.about: dict[str, Any] = {}

    def saved(self, resume: bool) -> tuple[dict[str, Any] | None, str | None]:
        """What an interrupted training left, and its tokenizer.

        Raises:
            TrainingError: it is damaged, or had other options.
        """
        if self.checkpoint is None or not resume or not self.checkpoint.exists:
            return None, None
        saved, tokenizer_json = self.checkpoint.load()
        self._refuse_other({"options": self.options.to_dict()}, saved)
        return saved, tokenizer_json

    def begin(self, about: dict[str, Any], saved: dict[str, Any] | None, tokenizer_json: str) -> None:
        """The data are read: compare them with those of the checkpoint, or begin one.

        Args:
            about: all that decides the result beside the options and their vectors.
            saved: of :meth:`saved`.
            tokenizer_json: to be kept with a new checkpoint.

        Raises:
            TrainingError: the interrupted training had other data.
        """
        self.about = {"options": self.options.to_dict(), **about}
        if self.options.vectors:
            digest = self.ranks.first(lambda: vectors_sha256(self.options.vectors))
            self.about["vectors"] = {"sha256": digest}
        if saved is not None:
            self._refuse_other(self.about, saved)
            self._load_members(saved)
        elif self.checkpoint is not None and self.ranks.writes:
            self.checkpoint.begin(tokenizer_json)

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
            self.weights.append({key: value.clone() for key, value in self.checkpoint.tensors(name).items()})
            self.member_files.append(name)
            self.courses.append(course)

    def train(
        self,
        around: Surroundings,
        build: Callable[[], nn.Module],
        saved: dict[str, Any] | None,
        request: StopRequest,
        *,
        rounded: Callable[[dict[str, Tensor]], dict[str, Tensor]] = table_rounded,
        vectors: tuple[Tensor, Tensor] | None = None,
        freeze: bool = False,
    ) -> None:
        """Train all members that are not finished yet.

        Args:
            around: data, options with all filled in, objective and listeners.
            build: makes a member's model.
            saved: of :meth:`saved`.
            request: whether to stop.
            rounded: makes of a member's weights what will be stored.
            vectors, freeze: as :class:`Learner` takes them.

        Raises:
            TrainingInterrupted: a stop was asked for; the state was saved.
        """
        recipe = around.options
        per_member = recipe.epochs * len(epoch_batches(around.corpus, recipe, 0, 0))
        made = int(saved["steps"]) if saved is not None and saved["course"] is not None else 0
        self.progress.start(per_member * recipe.members, per_member * len(self.weights) + made)
        for member in range(len(self.weights), recipe.members):
            learner = Learner(
                recipe,
                build,
                around.objective,
                seed=member_seed(recipe.seed, member),
                ranks=self.ranks,
                vectors=vectors,
                freeze=freeze,
            )
            best: dict[str, Tensor] = {}
            saver = _Saver(self, around, learner, Course(member), best)
            if saved is not None and saved["course"] is not None and saved["course"]["member"] == member:
                saver.load(saved)
            saver.train(request)
            weights = rounded(best)
            logits = learner.logits(
                {name: tensor.float() for name, tensor in weights.items()}, around.corpus.dev
            )
            self.weights.append({**weights, DEV_LOGITS: torch.from_numpy(logits)})
            self.courses.append(saver.course.as_dict())
            if self.checkpoint is not None and self.ranks.writes:
                self.member_files.append(self.checkpoint.keep(self.weights[-1]))
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
        training: Members,
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
