"""What a tagger's training makes small, and what it is judged by on the dev data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unrolled import engine
from unrolled.data.spans import allowed_transitions
from unrolled.models.tagger import SentenceBatch, WordTagger
from unrolled.options import TaggerOptions
from unrolled.runtime.tagging import CrfArrays, decoded, tag_score
from unrolled.train.tagged_corpus import UNSEEN, TaggedCorpus, TagTargets

_CRF = ("crf.transitions", "crf.start", "crf.end")


class TagObjective:
    """Loss and score of a tagger.

    ======= =========================================== ==================================
    output  loss of a sentence                          dev score
    ======= =========================================== ==================================
    softmax cross-entropy of each word's tag            accuracy, or F1 of the spans
    crf     minus the log-probability of all its tags   F1 of the spans, or accuracy
    ======= =========================================== ==================================

    The loss of a batch is the mean over its words.

    Args:
        options: output, label smoothing.
        corpus: labels and scheme.
    """

    def __init__(self, options: TaggerOptions, corpus: TaggedCorpus) -> None:
        self.outputs = len(corpus.labels)
        self.labels = corpus.labels
        self.spans = corpus.spans
        self.crf = options.output == "crf" or (options.output == "auto" and corpus.spans)
        self._smoothing = options.label_smoothing

    @property
    def score_name(self) -> str:
        """What :meth:`judge` gives."""
        return "span F1" if self.spans else "accuracy"

    def allowed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Transitions, first and last tags that the scheme allows, as bool arrays."""
        return allowed_transitions(self.labels, "bioes" if self.spans else "none")

    def model(self, options: TaggerOptions, corpus: TaggedCorpus) -> WordTagger:
        """A new model for the corpus."""
        allowed = tuple(map(torch.from_numpy, self.allowed())) if self.crf else None
        return WordTagger(
            options,
            corpus.features.table_rows,
            corpus.features.character_count,
            self.outputs,
            vectors=0 if corpus.fixed is None else corpus.fixed.dim,
            crf=cast("tuple[Tensor, Tensor, Tensor] | None", allowed),
        )

    def numbers(self, targets: TagTargets) -> Tensor:
        """The tags as the tensor that the loss takes."""
        return torch.from_numpy(targets.values)

    def weight(self, numbers: Tensor) -> float:
        """Words of a batch that count."""
        return float((numbers != UNSEEN).sum())

    def loss(self, model: nn.Module, batch: SentenceBatch, rows: Tensor, numbers: Tensor) -> Tensor:
        """Sum over the words, or the sentences, of a batch."""
        scores = model(batch, rows=rows)
        if self.crf:
            total: Tensor = cast(WordTagger, model).crf(scores, batch.layout, numbers).sum()  # type: ignore[misc]
            return total
        return F.cross_entropy(
            scores, numbers, reduction="sum", label_smoothing=self._smoothing, ignore_index=UNSEEN
        )

    def judge(
        self, weights: Mapping[str, Tensor], logits: np.ndarray, targets: TagTargets
    ) -> tuple[float, float]:
        """Mean loss of a word, and score.

        Args:
            weights: of the model, for those of the CRF.
            logits: ``(tokens, tags)``.
            targets: theirs.
        """
        crf = self.crf_arrays(weights)
        loss = self._dev_loss(crf, logits, targets)
        found = decoded(logits, targets.lengths, crf)
        return loss, tag_score(self.labels, targets.values, found, targets.lengths, spans=self.spans)

    def crf_arrays(self, weights: Mapping[str, Tensor]) -> CrfArrays | None:
        """Transitions, start and end scores, minus infinity where the scheme forbids them."""
        if not self.crf:
            return None
        arrays = []
        for name, allowed in zip(_CRF, self.allowed(), strict=True):
            arrays.append(np.where(allowed, weights[name].numpy(), -np.inf).astype(np.float32))
        return arrays[0], arrays[1], arrays[2]

    def _dev_loss(
        self,
        crf: CrfArrays | None,
        logits: np.ndarray,
        targets: TagTargets,
    ) -> float:
        if crf is None:
            numbers = torch.from_numpy(targets.values)
            total = F.cross_entropy(torch.from_numpy(logits), numbers, reduction="sum", ignore_index=UNSEEN)
            return float(total) / max(self.weight(numbers), 1.0)
        # A path through a tag that training never saw, or a forbidden one, has no probability.
        sentence = np.repeat(np.arange(len(targets.lengths)), targets.lengths)
        odd = np.zeros(len(targets.lengths), dtype=np.bool_)
        odd[sentence[targets.values == UNSEEN]] = True
        kept = ~odd[sentence]
        losses = engine.crf_loss(
            np.ascontiguousarray(logits[kept]),
            targets.lengths[~odd],
            *crf,
            targets.values[kept].astype(np.int32),
        )[0]
        return float(losses.sum(dtype=np.float64)) / max(int(kept.sum()), 1)
