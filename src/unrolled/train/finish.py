"""From trained members to a saved model: temperature, figures, manifest, learning curve."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from unrolled.options import ClassifierOptions
from unrolled.runtime import metrics
from unrolled.runtime.manifest import KEPT_NAME
from unrolled.runtime.wide import joined
from unrolled.train.calibration import EQUAL_SHARES, fit_shares, fit_temperature, probabilities
from unrolled.train.corpus import Corpus
from unrolled.train.curve import draw_curve
from unrolled.train.distributed import Ranks
from unrolled.train.learner import TABLE
from unrolled.train.log import TrainingLog
from unrolled.train.objective import Objective, label_counts_of
from unrolled.train.output import OutputFolder
from unrolled.train.targets import Targets, label_counts
from unrolled.train.wide import WidePart

if TYPE_CHECKING:
    from unrolled.runtime import Predictor


@dataclass(frozen=True)
class Trained:
    """All that training has found out.

    Attributes:
        options, corpus, objective, log: as given.
        members: best weights of each member, the table in the precision in which it is stored.
        dev_logits: ``(members, dev rows, outputs)``, under these weights.
        wide: the wide part, or ``None``.
        courses: how each member's training went.
        seconds: of training.
        started: seconds since the epoch (Unix time).
    """

    options: ClassifierOptions
    corpus: Corpus
    objective: Objective
    members: list[dict[str, Tensor]]
    dev_logits: np.ndarray
    wide: WidePart | None
    courses: list[dict[str, Any]]
    log: TrainingLog
    seconds: float
    started: float


def finish(trained: Trained, output: OutputFolder | None, ranks: Ranks) -> Predictor:
    """Calibrate, measure, save if there is a folder, and give the model that answers."""
    from unrolled.runtime import Predictor, as_saved_model, load

    manifest = manifest_of(trained)
    # Members may differ in whether their table fits half precision; numpy widens the others.
    weights = {
        f"members.{number}.{name}": tensor.numpy()
        for number, member in enumerate(trained.members)
        for name, tensor in member.items()
    }
    if trained.corpus.ngram_buckets is not None:
        weights[KEPT_NAME] = trained.corpus.ngram_buckets
    if trained.wide is not None:
        weights["wide.kept"] = trained.wide.kept
        weights["wide.weight"] = trained.wide.weight
        weights["wide.bias"] = trained.wide.bias
    tokenizer = trained.corpus.tokenizer.to_json()
    if output is None:
        return Predictor(as_saved_model(manifest, tokenizer, weights))
    if ranks.writes:
        trained.log.write()
        draw_curve(trained.log, output.log_folder / "learning_curve.png")
        output.publish(manifest, tokenizer, weights)
    ranks.wait()
    return load(output.folder)


def manifest_of(trained: Trained) -> dict[str, Any]:
    """The content of ``model.json``."""
    options, corpus, objective = trained.options, trained.corpus, trained.objective
    # Calibrating on texts that were trained on would make the model surer still.
    calibrate = options.calibrate and options.task != "regression" and not corpus.dev_is_train
    temperature = 1.0
    if calibrate and trained.wide is None:
        temperature = fit_temperature(trained.dev_logits, corpus.dev.targets, options.task)
    wide = _wide_figures(trained, calibrate)
    half = all(member[TABLE].dtype == torch.float16 for member in trained.members)
    return {
        "format": "unrolled-model",
        "format_version": 1,
        "unrolled_version": own_version(),
        "task": "classify",
        "options": options.to_dict(),
        "labels": corpus.labels,
        "table_rows": corpus.table_rows,
        "ngram_rows": None if corpus.ngram_buckets is None else len(corpus.ngram_buckets),
        "temperature": temperature,
        "wide": None if wide is None else wide.manifest,
        "target": {"mean": objective.mean, "std": objective.std} if options.task == "regression" else None,
        "metrics": {
            "train" if corpus.dev_is_train else "dev": dev_figures(
                trained.dev_logits, corpus.dev.targets, objective, temperature, wide
            )
        },
        "training": {
            "data": corpus.fingerprint,
            "label_counts": label_counts(corpus.labels, corpus.train.targets),
            "seconds": round(trained.seconds, 3),
            "epochs_run": [course["epoch"] for course in trained.courses],
            "best_epoch": [course["best_epoch"] + 1 for course in trained.courses],
            "dev_score": [course["best_score"] for course in trained.courses],
            "created": utc(trained.started),
            "parameters": sum(tensor.numel() for member in trained.members for tensor in member.values()),
            "torch": torch.__version__,
            "notes": corpus.notes,
        },
        "storage": {"embedding": "float16" if half else "float32"},
    }


@dataclass(frozen=True)
class _WideFigures:
    """The wide part on the dev data: its scores ``(rows, labels)``, and the fitted shares."""

    scores: np.ndarray
    shares: tuple[float, float]
    rows: int

    @property
    def manifest(self) -> dict[str, Any]:
        """The entry ``wide`` of ``model.json``."""
        return {"rows": self.rows, "network_share": self.shares[0], "wide_share": self.shares[1]}


def _wide_figures(trained: Trained, calibrate: bool) -> _WideFigures | None:
    if trained.wide is None:
        return None
    dev, task = trained.corpus.dev, trained.options.task
    assert dev.texts.wide is not None
    scores = trained.wide.scores(dev.texts.wide, dev.rows)
    shares = EQUAL_SHARES
    if calibrate:
        given = probabilities(trained.dev_logits, 1.0, task)
        shares = fit_shares(given, scores, dev.targets, task)
    return _WideFigures(scores, shares, len(trained.wide.kept))


def dev_figures(
    logits: np.ndarray,
    targets: Targets,
    objective: Objective,
    temperature: float,
    wide: _WideFigures | None = None,
) -> dict[str, Any]:
    """Figures of the finished model on the dev data; labels that training never saw count as wrong.

    ``calibration_error`` is that of the calibrated probabilities, ``calibration_error_before`` that at
    temperature 1. For several labels a text each decision counts as one.

    Args:
        logits: ``(members, rows, outputs)``.
        wide: the wide part, whose scores and share then enter the probabilities.
    """
    task = objective.task
    if task == "regression":
        return {
            "n": len(targets),
            **metrics.regression_scores(targets.values, objective.in_units(logits.mean(axis=0))),
        }
    after, before = (probabilities(logits, t, task) for t in (temperature, 1.0))
    figures: dict[str, Any] = {"n": len(targets)}
    if wide is not None:
        alone = {"network_alone": before, "wide_alone": wide.scores}
        threshold = {"network_alone": 0.5, "wide_alone": 0.0}
        for name, scores in alone.items():
            figures[name] = (
                label_counts_of(scores >= threshold[name], targets).micro_f1
                if task == "multi"
                else metrics.accuracy(targets.values, scores.argmax(axis=1))
            )
        after, before = (joined(before, wide.scores, shares, task) for shares in (wide.shares, EQUAL_SHARES))
    if task == "multi":
        found = after >= 0.5
        counts = label_counts_of(found, targets)
        exact = (found == targets.values).all(axis=1) & (np.asarray(targets.unseen) == 0)
        figures |= {
            "micro_f1": counts.micro_f1,
            "macro_f1": counts.macro_f1,
            "exact_match": float(exact.mean()),
        }
    else:
        guess = after.argmax(axis=1)
        # Unseen labels become a class of their own, which is never predicted.
        classes = logits.shape[2] + 1
        truth = np.where(targets.values < 0, classes - 1, targets.values)
        counts = metrics.Counts.of_classes(truth, guess, classes)
        figures |= {"accuracy": metrics.accuracy(truth, guess), "macro_f1": counts.macro_f1}
    figures["calibration_error"] = _calibration_error(after, targets, task)
    figures["calibration_error_before"] = _calibration_error(before, targets, task)
    return figures


def _calibration_error(given: np.ndarray, targets: Targets, task: str) -> float:
    if task == "multi":
        confidence = np.maximum(given, 1 - given).ravel()
        correct = ((given >= 0.5) == targets.values).ravel()
    else:
        confidence = given.max(axis=1)
        correct = given.argmax(axis=1) == targets.values
    return metrics.expected_calibration_error(confidence, correct)


def utc(seconds: float) -> str:
    """A time since 1970 as ISO 8601."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")


def own_version() -> str:
    """Version of the installed package."""
    try:
        return version("unrolled")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"
