"""The epochs of one member: batches, dev scores, early stop, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor

from unrolled.text.bucketing import length_batches
from unrolled.train.learner import TABLE, Learner
from unrolled.train.log import Epoch, TrainingLog
from unrolled.train.progress import Progress
from unrolled.train.schedule import learning_rate
from unrolled.train.task import Data, Goal, LearningOptions

#: Most tokens a step, whatever the batch size: bounds the memory that long texts take.
STEP_TOKENS = 16_384


@dataclass
class Course:
    """How far one member has come. Plain values, part of the checkpoint.

    Attributes:
        member, epoch, batch: the next batch to train on, all from 0.
        loss, weight, norm, tokens, batches: sums over the present epoch.
        epoch_seconds: spent on the steps of the present epoch.
        best_score, best_loss, best_epoch: of the best weights so far.
        stale: epochs since then.
        finished: the member has made its last epoch.
    """

    member: int
    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    weight: float = 0.0
    norm: float = 0.0
    tokens: int = 0
    batches: int = 0
    epoch_seconds: float = 0.0
    best_score: float | None = None
    best_loss: float = 0.0
    best_epoch: int = 0
    stale: int = 0
    finished: bool = False

    def as_dict(self) -> dict[str, float | int | bool | None]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass
class Clock:
    """Seconds of training, interruptions left out.

    Args:
        before: of the part of the training that was interrupted.
    """

    before: float = 0.0
    _started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Until now."""
        return self.before + time.monotonic() - self._started


@dataclass(frozen=True)
class Surroundings:
    """What all members' trainings share.

    Attributes:
        corpus: the data.
        options: of the training.
        objective: loss and score.
        log, progress, clock: where the course is told.
        stop_asked: whether this process was asked to stop.
    """

    corpus: Data
    options: LearningOptions
    objective: Goal
    log: TrainingLog
    progress: Progress
    clock: Clock
    stop_asked: Callable[[], bool]


class StoppedError(Exception):
    """Raised between two steps when a process was asked to stop."""


def member_seed(seed: int, member: int) -> int:
    """Seed of one member; members of neighbouring seeds have nothing in common."""
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])


def epoch_batches(corpus: Data, options: LearningOptions, member: int, epoch: int) -> list[np.ndarray]:
    """The batches of one epoch, each an array of training texts: the same for the same arguments."""
    return length_batches(
        corpus.train.lengths,
        max_tokens=max(STEP_TOKENS, int(corpus.train.lengths.max(initial=1))),
        max_batch=options.batch_size,
        seed=member_seed(options.seed, member),
        epoch=epoch,
    )


def train_member(
    learner: Learner,
    course: Course,
    best: dict[str, Tensor],
    around: Surroundings,
    *,
    save: Callable[[bool], None],
) -> None:
    """Train until the last epoch, or until the dev score has stopped rising.

    Args:
        learner: changed in place.
        course: where to begin; changed in place.
        best: weights of the best epoch so far; changed in place.
        around: data, options and listeners.
        save: called after each step with ``False`` and after each epoch with ``True``, to write a checkpoint
            if it is time for one.

    Raises:
        StoppedError: a stop was asked for; ``course`` tells where the training stands.
        TrainingError: the loss is no longer a finite number.
    """
    corpus, options = around.corpus, around.options
    total = options.epochs * len(epoch_batches(corpus, options, course.member, 0))
    lengths = corpus.train.lengths
    while not course.finished:
        batches = epoch_batches(corpus, options, course.member, course.epoch)
        rate = learning_rate(max(0, learner.steps - 1), total, options.learning_rate)
        while course.batch < len(batches):
            began = time.monotonic()
            indices = batches[course.batch]
            rate = learning_rate(learner.steps, total, options.learning_rate)
            step = learner.step(corpus.train, indices, rate, stop=around.stop_asked())
            tokens = int(lengths[indices].sum())
            course.batch += 1
            course.loss += step.loss
            course.weight += step.weight
            course.norm += step.norm
            course.tokens += tokens
            course.batches += 1
            course.epoch_seconds += time.monotonic() - began
            around.progress.step(step.loss / max(step.weight, 1e-12), tokens)
            if step.stop:
                raise StoppedError
            save(False)
        _judge(learner, course, best, around, rate)
        course.epoch += 1
        course.batch = course.batches = course.tokens = 0
        course.loss = course.weight = course.norm = course.epoch_seconds = 0.0
        course.finished = course.epoch == options.epochs or course.stale >= options.patience
        save(True)


def _judge(
    learner: Learner, course: Course, best: dict[str, Tensor], around: Surroundings, rate: float
) -> None:
    """Dev loss and score after an epoch; the weights are kept if they are the best so far."""
    dev = around.corpus.dev
    weights = learner.weights()
    logits = learner.logits(weights, dev)
    loss, score = around.objective.judge(weights, logits, dev.targets)
    # Small dev sets give equal scores often; the loss then tells which weights are surer of the right
    # answers.
    better = course.best_score is None or (score, -loss) > (course.best_score, -course.best_loss)
    course.stale = 0 if better else course.stale + 1
    if better:
        course.best_score, course.best_loss, course.best_epoch = score, loss, course.epoch
        best.clear()
        best.update(weights)
    row = Epoch(
        member=course.member + 1,
        epoch=course.epoch + 1,
        step=learner.steps,
        train_loss=course.loss / max(course.weight, 1e-12),
        dev_loss=loss,
        dev_score=score,
        learning_rate=rate,
        gradient_norm=course.norm / max(course.batches, 1),
        tokens_per_second=course.tokens / max(course.epoch_seconds, 1e-9),
        seconds=around.clock.seconds,
        best=better,
    )
    around.log.append(row)
    around.progress.epoch(row, around.log.score)


def table_rounded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights as they will be stored: the embedding table in half precision if its values fit.

    Half precision keeps 11 bits. A token's vector is the sum of a dozen rows, which are learned with noise
    far above that; the file is half as large.
    """
    table = weights[TABLE]
    half = table.to(torch.float16)
    return {**weights, TABLE: half if math.isfinite(float(half.abs().max())) else table}
