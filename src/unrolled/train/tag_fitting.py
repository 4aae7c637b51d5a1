"""From tagged sentences to a model that answers: the whole training of a tagger."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from unrolled.data.spans import Scheme
from unrolled.interrupt import stop_on_signal
from unrolled.options import TaggerOptions
from unrolled.runtime.manifest import KEPT_NAME
from unrolled.runtime.tag_manifest import FIXED_NAME, WIDE_KEPT_NAME, WIDE_NAME, WIDE_SCALE_NAME
from unrolled.runtime.tag_predictor import Tagged
from unrolled.train.curve import draw_curve
from unrolled.train.finish import own_version, utc
from unrolled.train.log import TrainingLog
from unrolled.train.loop import Clock, Surroundings
from unrolled.train.members import DEV_LOGITS, Members, training_place
from unrolled.train.progress import Progress
from unrolled.train.tag_joint import dev_figures, dev_score, fit_joint
from unrolled.train.tag_objective import TagObjective
from unrolled.train.tag_wide import WidePart, fit_wide_tags
from unrolled.train.tagged_corpus import TaggedCorpus, build_tagged_corpus

if TYPE_CHECKING:
    from unrolled.runtime import TagPredictor


def fit_tagger(
    options: TaggerOptions,
    train: Iterable[Tagged],
    dev: Iterable[Tagged] | None = None,
    *,
    scheme: Scheme | None = None,
    by_character: bool = False,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    checkpoint_minutes: float = 10.0,
    names: tuple[str, str] = ("train", "dev"),
) -> TagPredictor:
    """Train a tagger.

    The same data, options and number of threads give the same weights, bit for bit, interrupted or not.

    Args:
        options: how the model is built and trained.
        train: tagged sentences; read once.
        dev: tagged sentences to choose the best epoch by, or ``None`` to hold out a tenth of ``train``.
        scheme: how the tags write spans; recognised if ``None``.
        by_character: each character is a word, ``▁`` for a space; tells the model how to divide a string.
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
    ) as (members, _):
        return _train(options, members, train, dev, names, resume, scheme, by_character)


def _train(
    options: TaggerOptions,
    members: Members,
    train: Iterable[Tagged],
    dev: Iterable[Tagged] | None,
    names: tuple[str, str],
    resume: bool,
    scheme: Scheme | None,
    by_character: bool,
) -> TagPredictor:
    started = time.time()
    ranks, output = members.ranks, members.output
    saved, _ = members.saved(resume)
    corpus = ranks.first(
        lambda: build_tagged_corpus(
            options, train, dev, names=names, scheme=scheme, by_character=by_character
        )
    )
    for note in corpus.notes:
        members.progress.message(note)
    tokenizer = _tokenizer_json(corpus)
    members.begin({"data": corpus.fingerprint}, saved, tokenizer)
    recipe = options.for_task(spans=corpus.spans)
    objective = TagObjective(options, corpus)
    folder = output.log_folder if output is not None and ranks.writes else None
    log = TrainingLog(objective.score_name, folder, saved["log"] if saved else [])
    clock = Clock(saved["seconds"] if saved else 0.0)
    wide = _wide(options, members, corpus, objective) if options.wide else None
    with stop_on_signal(members.checkpoint is not None) as request:
        around = Surroundings(corpus, recipe, objective, log, members.progress, clock, lambda: request.asked)
        members.train(around, lambda: objective.model(recipe, corpus), saved, request, rounded=_rounded)
    logits = np.mean([member.pop(DEV_LOGITS).numpy() for member in members.weights], axis=0)
    crf = objective.crf_arrays(_mean_crf(members.weights))
    dev_wide = None if wide is None else wide.scores(corpus.dev)
    joint = fit_joint(corpus, logits, dev_wide, crf, outside=options.fit_outside)
    if wide is not None and joint.shares[1] == 0:
        wide = wide.without_rows()  # what does not count need not be stored, nor computed
    half = all(member["embedding.weight"].dtype == torch.float16 for member in members.weights)
    manifest = {
        "format": "unrolled-model",
        "format_version": 1,
        "unrolled_version": own_version(),
        "task": "tag",
        "options": options.to_dict(),
        "labels": corpus.labels,
        "scheme": corpus.scheme,
        "crf": objective.crf,
        "by_character": by_character,
        "outside": joint.outside,
        "table_rows": corpus.features.table_rows,
        "ngram_rows": None if corpus.features.hasher is None else corpus.features.hasher.rows,
        "characters": corpus.features.character_count,
        "fixed": None
        if corpus.fixed is None
        else {"words": len(corpus.fixed.words), "dim": corpus.fixed.dim},
        "wide": None
        if wide is None
        else {
            "rows": wide.features.rows,
            "network_share": joint.shares[0],
            "wide_share": joint.shares[1],
        },
        "metrics": {
            "train" if corpus.dev_is_train else "dev": dev_figures(corpus, joint, logits, dev_wide, crf)
        },
        "training": {
            "data": corpus.fingerprint,
            "seconds": round(clock.seconds, 3),
            "epochs_run": [course["epoch"] for course in members.courses],
            "best_epoch": [course["best_epoch"] + 1 for course in members.courses],
            "dev_score": [course["best_score"] for course in members.courses],
            "created": utc(started),
            "torch": torch.__version__,
            "notes": corpus.notes,
        },
        "storage": {"embedding": "float16" if half else "float32"},
    }
    weights = {
        f"members.{number}.{name}": tensor.numpy()
        for number, member in enumerate(members.weights)
        for name, tensor in member.items()
    }
    if corpus.features.hasher is not None and corpus.features.hasher.kept is not None:
        weights[KEPT_NAME] = corpus.features.hasher.kept
    if wide is not None and wide.features.kept is not None:
        weights[WIDE_KEPT_NAME] = wide.features.kept
        weights[WIDE_NAME], weights[WIDE_SCALE_NAME] = wide.steps, wide.scale
    if corpus.fixed is not None:
        weights[FIXED_NAME] = corpus.fixed.vectors.astype(np.float16)
    return _publish(members, manifest, tokenizer, weights, log)


def _publish(
    members: Members, manifest: dict[str, Any], tokenizer: str, weights: dict[str, Any], log: TrainingLog
) -> TagPredictor:
    from unrolled.runtime import TagPredictor, as_saved_model, load_model

    output = members.output
    if output is None:
        return TagPredictor(as_saved_model(manifest, tokenizer, weights))
    if members.ranks.writes:
        log.write()
        draw_curve(log, output.log_folder / "learning_curve.png")
        output.publish(manifest, tokenizer, weights)
    members.ranks.wait()
    return TagPredictor(load_model(output.folder))


def _tokenizer_json(corpus: TaggedCorpus) -> str:
    more: dict[str, Any] = {"seen": corpus.seen, "segmenter": corpus.segmenter.to_dict()}
    if corpus.fixed is not None:
        more["vector_words"] = corpus.fixed.words
    return corpus.features.to_json(**more)


def _wide(
    options: TaggerOptions, members: Members, corpus: TaggedCorpus, objective: TagObjective
) -> WidePart:
    """Fitted anew when a training is resumed: it takes seconds and gives the same."""
    began = time.monotonic()
    tags = len(corpus.labels)
    wide = members.ranks.first(lambda: fit_wide_tags(corpus.train, tags, options.wide_rows, options.seed))
    score = dev_score(corpus, wide.scores(corpus.dev), None)
    members.progress.message(
        f"Wide part: {wide.features.rows:,} features fitted in {time.monotonic() - began:.1f} s; alone it "
        f"reaches a dev {objective.score_name} of {score:.4f}."
    )
    return wide


def _mean_crf(members: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {
        name: torch.stack([member[name] for member in members]).mean(dim=0)
        for name in members[0]
        if name.startswith("crf.")
    }


def _rounded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights as they will be stored: in half precision if all fit, the CRF's as they are.

    Half precision keeps 11 bits of a weight, far below the noise with which it was learned, and the file is
    half as large.
    """
    half = {name: w if name.startswith("crf.") else w.to(torch.float16) for name, w in weights.items()}
    finite = all(math.isfinite(float(w.abs().max())) for w in half.values() if w.numel())
    return half if finite else weights
