"""How good the tags of words are: spans as conlleval counts them, plain tags word by word.

Both are counted a sentence at a time, and give plain values, ready for JSON.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import TypedDict

from unrolled.data.spans import Span
from unrolled.runtime.metrics import ClassScores, class_scores, ratio

_CONFUSIONS = 20
# (other borders, other type) -> kind of error
_MIXED = {(False, True): "wrong_type", (True, False): "wrong_border", (True, True): "wrong_type_and_border"}


class SpanScores(ClassScores):
    """Figures of spans. A figure whose denominator is 0 is 0.

    ``support`` counts the true spans, ``predicted`` those of the model, ``hits`` those with the same
    borders and type.
    """

    predicted: int
    hits: int


class SpanErrors(TypedDict):
    """Spans that are not hits, each once.

    * ``wrong_type``: the right words, another type;
    * ``wrong_border``: the right type, and some of the words;
    * ``wrong_type_and_border``: some of the words, another type;
    * ``missed``: true spans of which the model has no word in a span that is left over;
    * ``spurious``: the model's spans that have no such true one.

    With ``hits`` the first four add up to the true spans; the first three and ``spurious`` to the model's.
    """

    wrong_type: int
    wrong_border: int
    wrong_type_and_border: int
    missed: int
    spurious: int


class SpanReport(SpanScores):
    """Figures of spans over all types (micro-averaged, as conlleval), of each, and what went wrong."""

    sentences: int
    words: int
    per_type: dict[str, SpanScores]
    errors: SpanErrors


class Confusion(TypedDict):
    """How often one tag was taken for another."""

    truth: str
    predicted: str
    count: int


class TagReport(TypedDict):
    """Figures of plain tags.

    ``unknown_accuracy`` is that of the words that training did not have, ``None`` if there are none.
    """

    sentences: int
    words: int
    accuracy: float
    unknown_words: int
    unknown_accuracy: float | None
    per_tag: dict[str, ClassScores]
    confusions: list[Confusion]


class SpanScorer:
    """Counts spans: precision, recall and F1 (Tjong Kim Sang & De Meulder 2003), and kinds of errors."""

    def __init__(self) -> None:
        self._hits: Counter[str] = Counter()
        self._truth: Counter[str] = Counter()
        self._predicted: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._sentences = 0
        self._words = 0

    def add(self, truth: Iterable[Span], predicted: Iterable[Span], words: int) -> None:
        """One more sentence.

        Args:
            truth: its spans; those of one side do not overlap.
            predicted: the model's.
            words: number of its words.
        """
        true, guessed = set(truth), set(predicted)
        hits = true & guessed
        self._hits.update(span.type for span in hits)
        self._truth.update(span.type for span in true)
        self._predicted.update(span.type for span in guessed)
        self._sentences += 1
        self._words += words
        if len(hits) < len(true) or len(hits) < len(guessed):
            self._errors.update(_kinds(sorted(true - hits), sorted(guessed - hits)))

    @property
    def f1(self) -> float:
        """Of all types together, so far."""
        return _scores(self._hits.total(), self._predicted.total(), self._truth.total())["f1"]

    def report(self) -> SpanReport:
        """The figures so far."""
        errors = self._errors
        return SpanReport(
            **_scores(self._hits.total(), self._predicted.total(), self._truth.total()),
            sentences=self._sentences,
            words=self._words,
            per_type={
                kind: _scores(self._hits[kind], self._predicted[kind], self._truth[kind])
                for kind in sorted(self._truth | self._predicted)
            },
            errors=SpanErrors(
                wrong_type=errors["wrong_type"],
                wrong_border=errors["wrong_border"],
                wrong_type_and_border=errors["wrong_type_and_border"],
                missed=errors["missed"],
                spurious=errors["spurious"],
            ),
        )


class TagScorer:
    """Counts plain tags.

    Args:
        known: the words of the training data, as they stand there; anything that ``in`` can ask. ``None``:
            nothing is said about unknown words.
    """

    def __init__(self, known: Collection[str] | None = None) -> None:
        self._known = known
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._sentences = 0
        self._unknown = 0
        self._unknown_right = 0

    def add(self, words: Sequence[str], truth: Sequence[str], predicted: Sequence[str]) -> None:
        """One more sentence: its words, and as many true and predicted tags."""
        self._sentences += 1
        self._pairs.update(zip(truth, predicted, strict=True))
        if self._known is None:
            return
        for word, true, guess in zip(words, truth, predicted, strict=True):
            if word not in self._known:
                self._unknown += 1
                self._unknown_right += true == guess

    @property
    def accuracy(self) -> float:
        """Share of words whose tag is right, so far."""
        right = sum(count for (true, guess), count in self._pairs.items() if true == guess)
        return ratio(right, self._pairs.total())

    def report(self) -> TagReport:
        """The figures so far; tags by how frequent they are, the most frequent confusions first."""
        truth: Counter[str] = Counter()
        predicted: Counter[str] = Counter()
        for (true, guess), count in self._pairs.items():
            truth[true] += count
            predicted[guess] += count
        tags = sorted(truth | predicted, key=lambda tag: (-truth[tag], tag))
        wrong = [(pair, count) for pair, count in self._pairs.items() if pair[0] != pair[1]]
        wrong.sort(key=lambda item: (-item[1], item[0]))
        return TagReport(
            sentences=self._sentences,
            words=self._pairs.total(),
            accuracy=self.accuracy,
            unknown_words=self._unknown,
            unknown_accuracy=self._unknown_right / self._unknown if self._unknown else None,
            per_tag={tag: class_scores(self._pairs[tag, tag], predicted[tag], truth[tag]) for tag in tags},
            confusions=[
                Confusion(truth=true, predicted=guess, count=count)
                for (true, guess), count in wrong[:_CONFUSIONS]
            ],
        )


def _kinds(true: Sequence[Span], guessed: Sequence[Span]) -> Counter[str]:
    """What kind of error each span is; none of either side is a hit.

    Spans are paired one to one: first those of the same words, then those of the same type, then the rest,
    each time those that share most words; of equals the first in the sentence.
    """
    pairs = []
    for number, one in enumerate(true):
        for other, two in enumerate(guessed):
            shared = min(one.end, two.end) - max(one.start, two.start)
            if shared > 0:
                border, kind = one[:2] != two[:2], one.type != two.type
                pairs.append((border, kind, -shared, number, other))
    kinds: Counter[str] = Counter()
    true_left, guessed_left = set(range(len(true))), set(range(len(guessed)))
    for border, kind, _, number, other in sorted(pairs):
        if number in true_left and other in guessed_left:
            true_left.remove(number)
            guessed_left.remove(other)
            kinds[_MIXED[border, kind]] += 1
    kinds["missed"] += len(true_left)
    kinds["spurious"] += len(guessed_left)
    return kinds


def _scores(hits: int, predicted: int, support: int) -> SpanScores:
    return SpanScores(**class_scores(hits, predicted, support), predicted=predicted, hits=hits)
