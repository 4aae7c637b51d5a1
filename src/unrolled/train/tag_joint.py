"""The parts of a tagger joined: how much network and wide part count, and how readily it says O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.runtime.tagging import CrfArrays, decoded, span_f1, tag_score
from unrolled.runtime.wide import softmax
from unrolled.train.calibration import EQUAL_SHARES, fit_shares
from unrolled.train.tagged_corpus import TaggedCorpus, TagTargets
from unrolled.train.targets import Targets

#: What is tried for the scores of O, and for the share of the wide part beside a CRF.
OUTSIDE = [round(0.1 * step, 1) for step in range(-30, 31)]
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.3)


@dataclass(frozen=True)
class Joint:
    """How the scores of a tagger come about.

    Attributes:
        shares: of the network's and of the wide part's scores.
        outside: is added to the scores of the tag O.
    """

    shares: tuple[float, float]
    outside: float

    def scores(self, logits: np.ndarray, wide: np.ndarray | None, labels: list[str]) -> np.ndarray:
        """``(tokens, tags)`` float32."""
        scores: np.ndarray = logits.astype(np.float32)
        if wide is not None:
            scores = np.float32(self.shares[0]) * scores + np.float32(self.shares[1]) * wide
        if self.outside:
            scores[:, labels.index("O")] += np.float32(self.outside)
        return scores


def fit_joint(
    corpus: TaggedCorpus,
    logits: np.ndarray,
    wide: np.ndarray | None,
    crf: CrfArrays | None,
    *,
    outside: bool,
) -> Joint:
    """Chosen on the dev data. Without any, all counts alike.

    Plain tags decided word by word: the shares that make the dev tags most probable, which calibrates the
    probabilities as well. With a CRF or spans: the share of the wide part, and then what is added for O, with
    the highest score.

    Args:
        corpus: with the dev data.
        logits: ``(tokens, tags)``, mean of the members' scores.
        wide: ``(tokens, tags)`` of the wide part, or ``None``.
        crf: of the members, or ``None``.
        outside: whether to fit what is added for O.
    """
    targets = corpus.dev.targets
    if corpus.dev_is_train:
        return Joint(EQUAL_SHARES if wide is not None else (1.0, 0.0), 0.0)
    shares = (1.0, 0.0)
    if wide is not None and crf is None and not corpus.spans:
        shares = fit_shares(softmax(logits), wide, Targets(targets.values, None), "single")
    elif wide is not None:
        tried = [Joint((1.0, share), 0.0) for share in SHARES]
        shares = max(
            tried, key=lambda joint: dev_score(corpus, joint.scores(logits, wide, corpus.labels), crf)
        ).shares
    if not (outside and corpus.spans and "O" in corpus.labels):
        return Joint(shares, 0.0)
    plain = Joint(shares, 0.0).scores(logits, wide, corpus.labels)
    return Joint(shares, fit_outside(corpus.labels, plain, targets, crf))


def fit_outside(labels: list[str], logits: np.ndarray, targets: TagTargets, crf: CrfArrays | None) -> float:
    """What to add to the scores of O for the highest F1 of the spans.

    A model that has seen few spans says O too readily for the F1, all the more on texts of another kind
    (Mohit et al. 2012, "Recall-Oriented Learning of Named Entities in Arabic Wikipedia"). Of equal values the
    one nearest to 0 is taken.

    Args:
        labels: tags, in BIOES.
        logits: ``(tokens, tags)`` of dev data.
        targets: theirs.
        crf: of the model.
    """
    column = labels.index("O")
    best, chosen = -1.0, 0.0
    for value in sorted(OUTSIDE, key=abs):
        scores = logits.copy()
        scores[:, column] += np.float32(value)
        found = decoded(scores, targets.lengths, crf)
        f1 = span_f1(labels, targets.values, found, targets.lengths)
        if f1 > best:
            best, chosen = f1, value
    return chosen


def dev_figures(
    corpus: TaggedCorpus, joint: Joint, logits: np.ndarray, wide: np.ndarray | None, crf: CrfArrays | None
) -> dict[str, Any]:
    """Figures of the finished model on the dev data, all parts together; and the score of each alone."""
    targets = corpus.dev.targets
    scores = joint.scores(logits, wide, corpus.labels)
    found = decoded(scores, targets.lengths, crf)
    figures: dict[str, Any] = {"sentences": len(corpus.dev), "words": len(targets)}
    if corpus.spans:
        figures["span_f1"] = span_f1(corpus.labels, targets.values, found, targets.lengths)
    figures["accuracy"] = float((found == targets.values).mean())
    if wide is not None:
        figures["network_alone"] = dev_score(corpus, logits, crf)
        figures["wide_alone"] = dev_score(corpus, wide, None)
    return figures


def dev_score(corpus: TaggedCorpus, scores: np.ndarray, crf: CrfArrays | None) -> float:
    """On the dev data: F1 of the spans, or the share of right tags."""
    targets = corpus.dev.targets
    found = decoded(scores, targets.lengths, crf)
    return tag_score(corpus.labels, targets.values, found, targets.lengths, spans=corpus.spans)
