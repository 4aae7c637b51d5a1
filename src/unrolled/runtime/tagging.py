"""Scores of tags to tags: the best path, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unrolled import engine
from unrolled.data.spans import Span, decode_spans
from unrolled.runtime.wide import softmax

#: Transitions ``(tags, tags)``, start and end scores ``(tags,)`` float32, minus infinity where forbidden.
CrfArrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def wide_table(steps: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Rows of the wide part ``(rows, tags)`` float16, from what the file holds.

    Args:
        steps: ``(rows, tags)`` int8.
        scale: ``(tags,)`` float32, what one step of a tag is worth.
    """
    table: np.ndarray = (steps.astype(np.float32) * scale).astype(np.float16)
    return table


def decoded(scores: np.ndarray, lengths: np.ndarray, crf: CrfArrays | None) -> np.ndarray:
    """The best tags ``(tokens,)``: of each word, or with a CRF of each sentence (Viterbi).

    Args:
        scores: ``(tokens, tags)`` float32.
        lengths: ``(sentences,)`` int64.
        crf: of the model, or ``None``.
    """
    if crf is None:
        best: np.ndarray = scores.argmax(axis=1)
        return best
    return engine.crf_decode(np.ascontiguousarray(scores), lengths, *crf)[0].astype(np.int64)


def tag_probabilities(scores: np.ndarray, lengths: np.ndarray, crf: CrfArrays | None) -> np.ndarray:
    """``(tokens, tags)`` float32: the probability of each tag at each word; with a CRF the marginal one."""
    if crf is None:
        return softmax(scores)
    return engine.crf_marginals(np.ascontiguousarray(scores), lengths, *crf)


def spans_of(labels: Sequence[str], tags: np.ndarray, lengths: np.ndarray) -> list[list[Span]]:
    """The spans of each sentence, of BIOES tags as numbers ``(tokens,)``."""
    outside = labels.index("O") if "O" in labels else -1
    found: list[list[Span]] = []
    start = 0
    for length in lengths.tolist():
        part = tags[start : start + length]
        start += length
        if (part == outside).all():
            found.append([])
        else:
            found.append(decode_spans([labels[tag] if tag >= 0 else "O" for tag in part.tolist()], "bioes"))
    return found


def tag_score(
    labels: Sequence[str], truth: np.ndarray, guess: np.ndarray, lengths: np.ndarray, *, spans: bool
) -> float:
    """What a tagger is chosen by: :func:`span_f1`, or for plain tags the share of right ones."""
    return span_f1(labels, truth, guess, lengths) if spans else float((guess == truth).mean())


def span_f1(labels: Sequence[str], truth: np.ndarray, guess: np.ndarray, lengths: np.ndarray) -> float:
    """Micro F1 of the spans, 0 if there are none. Tags that training never saw are no spans here."""
    hits = wanted = given = 0
    for one, other in zip(spans_of(labels, truth, lengths), spans_of(labels, guess, lengths), strict=True):
        hits += len(set(one) & set(other))
        wanted += len(one)
        given += len(other)
    return 2 * hits / (wanted + given) if wanted + given else 0.0
