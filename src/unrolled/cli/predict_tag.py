"""What ``unrolled predict`` writes of a tagger's answers."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrolled.data import RowWriter
    from unrolled.runtime import Tagging, TagPredictor


class TagShower:
    """Writes the answer for one text.

    Args:
        predictor: whose answers they are.
        writer: of ``--out``, or ``None`` for standard output.
        as_json: one object a text.
    """

    def __init__(self, predictor: TagPredictor, writer: RowWriter | None, *, as_json: bool) -> None:
        self._spans = predictor.is_span_model
        self._writer = writer
        self._json = as_json
        self._count = 0

    def __call__(self, text: str, answer: Tagging) -> None:
        self._count += 1
        if self._writer is not None:
            for row in self._rows(answer):
                self._writer.write({"text": self._count, **row})
        elif self._json:
            sys.stdout.write(json.dumps(self._object(text, answer), ensure_ascii=False) + "\n")
        else:
            lines = zip(answer.words, answer.tags, answer.probabilities, strict=True)
            sys.stdout.write("".join(f"{word}\t{tag}\t{p:.4f}\n" for word, tag, p in lines) + "\n")

    def _object(self, text: str, answer: Tagging) -> dict[str, Any]:
        found: dict[str, Any] = {"text": text}
        if self._spans:
            found["spans"] = self._span_rows(answer)
        return found | {"words": self._word_rows(answer)}

    def _rows(self, answer: Tagging) -> list[dict[str, Any]]:
        return self._span_rows(answer) if self._spans else self._word_rows(answer)

    def _span_rows(self, answer: Tagging) -> list[dict[str, Any]]:
        return [
            {
                "span": span.text,
                "label": span.label,
                "start": span.start_char,
                "end": span.end_char,
                "probability": round(span.probability, 6),
            }
            for span in answer.spans
        ]

    def _word_rows(self, answer: Tagging) -> list[dict[str, Any]]:
        assert answer.offsets is not None
        return [
            {"word": word, "tag": tag, "start": start, "end": end, "probability": round(p, 6)}
            for word, tag, p, (start, end) in zip(
                answer.words, answer.tags, answer.probabilities, answer.offsets, strict=True
            )
        ]
