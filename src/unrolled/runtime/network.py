"""One member of a model as numpy: vectors of tokens in, scores out. The twin of ``models.TextClassifier``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from unrolled import engine
from unrolled.errors import OptionError
from unrolled.options import ClassifierOptions
from unrolled.runtime import pooling
from unrolled.runtime.embedding_bag import EmbeddingBag
from unrolled.runtime.packing import Packed
from unrolled.runtime.recurrent import RecurrentLayer
from unrolled.runtime.recurrent_engine import EngineStack
from unrolled.runtime.shapes import CNN_WIDTHS, GATES
from unrolled.text.batch import SequenceBatch

_GROUP_TEXTS = 512
_GROUP_VALUES = 1 << 22  # numbers in the widest array of a group: 16 MiB

# vectors (distinct, dim), positions of one group batch-major, its layout -> states (total, width), packed
_Encoder = Callable[[np.ndarray, SequenceBatch, Packed], np.ndarray]
# vectors (distinct, dim), positions (total,), lengths (batch,) -> states (total, width), text after text
_Stack = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Network:
    """Embedding, encoder, pooling, output.

    Args:
        options: of the model.
        weights: name -> array of one member, named as in :func:`unrolled.runtime.shapes.member_shapes`.
        precision: of the recurrent weights while the engine computes with them.

    Raises:
        OptionError: less than float32 for a model without recurrent layers.
    """

    def __init__(
        self,
        options: ClassifierOptions,
        weights: Mapping[str, np.ndarray],
        precision: engine.Precision = "float32",
    ) -> None:
        if precision not in engine.PRECISIONS:
            raise OptionError(f"weights must be one of {', '.join(engine.PRECISIONS)}, not {precision!r}.")
        if precision != "float32" and options.model not in GATES:
            raise OptionError(
                f"{precision} is for the weights of recurrent layers, and this model is of the kind "
                f"{options.model}: leave it out."
            )
        self._options = options
        self._bag = EmbeddingBag(weights["embedding.weight"])
        encoder = {
            name.removeprefix("encoder."): array for name, array in weights.items() if "encoder." in name
        }
        self._encoder: _Encoder = _gathered
        self._stack: _Stack | None = None
        self._hidden: tuple[np.ndarray, np.ndarray] | None = None
        widest = width = options.embed_dim  # numbers a token: in the largest array, and in a state
        if options.model in GATES:
            width = (2 if options.bidirectional else 1) * options.hidden
            widest = width * GATES[options.model]
            if engine.available():
                self._stack = EngineStack(
                    options.model, encoder, options.layers, options.bidirectional, precision
                )
            else:
                self._encoder = _recurrent(options, encoder)
        elif options.model == "cnn":
            width = len(CNN_WIDTHS) * options.hidden
            widest = max(CNN_WIDTHS) * options.embed_dim + width
            self._encoder = _Convolutions(encoder)
        else:
            self._hidden = (np.ascontiguousarray(encoder["weight"].T), encoder["bias"])
        self._group_tokens = max(_GROUP_VALUES // widest, 1)
        self._attention = (
            (weights["pooling.weight"], weights["pooling.bias"]) if "pooling.weight" in weights else None
        )
        self._no_states = np.zeros((0, width), dtype=np.float32)
        self._output = (np.ascontiguousarray(weights["output.weight"].T), weights["output.bias"])

    def __call__(self, positions: SequenceBatch, rows: SequenceBatch) -> np.ndarray:
        """Scores ``(batch, outputs)`` float32, before softmax or sigmoid.

        Args:
            positions: the tokens of each text, as positions in ``rows``.
            rows: for every distinct token the rows of the embedding table that its vector is the sum of.
        """
        vectors = self._bag(rows)
        weight, bias = self._output
        few = len(positions) <= _GROUP_TEXTS and positions.total <= self._group_tokens
        if self._stack is not None and few:
            one: np.ndarray = self._pooled(self._stack, vectors, positions) @ weight + bias
            return one
        scores = np.empty((len(positions), weight.shape[1]), dtype=np.float32)
        for texts in _groups(positions.lengths, self._group_tokens):
            group = positions.select(texts)
            if self._stack is not None:
                scores[texts] = self._pooled(self._stack, vectors, group) @ weight + bias
                continue
            packed = Packed(group.lengths)
            # Texts without a token come last: a group of them alone has nothing to encode.
            states = self._encoder(vectors, group, packed) if packed.total else self._no_states
            scores[texts] = self._pool(states, packed) @ weight + bias
        return scores

    def _pooled(self, stack: _Stack, vectors: np.ndarray, group: SequenceBatch) -> np.ndarray:
        """One vector a text on the engine, which takes texts in any order."""
        lengths = group.lengths
        states = stack(vectors, group.values, lengths)
        kind = self._options.pooling
        if self._attention is not None or kind == "last":
            order = np.argsort(-lengths, kind="stable")
            packed = Packed(lengths[order])
            places = (np.cumsum(lengths) - lengths)[order][packed.sequence] + packed.step
            pooled = np.empty((len(group), states.shape[1]), dtype=np.float32)
            pooled[order] = self._pool(states.take(places, axis=0), packed)
            return pooled
        return engine.pool(states, lengths, mean="mean" in kind, largest="max" in kind)[0]

    def _pool(self, states: np.ndarray, packed: Packed) -> np.ndarray:
        if self._hidden is not None:
            weight, bias = self._hidden
            hidden: np.ndarray = np.maximum(pooling.mean(states, packed) @ weight + bias, 0)
            return hidden
        if self._attention is not None:
            return pooling.attention(states, packed, *self._attention)
        kind = self._options.pooling
        if kind == "last":
            return pooling.last(states, packed, self._options.bidirectional and self._options.model != "cnn")
        if kind == "mean":
            return pooling.mean(states, packed)
        if kind == "max":
            return pooling.maximum(states, packed)
        return np.concatenate([pooling.mean(states, packed), pooling.maximum(states, packed)], axis=1)


def _groups(lengths: np.ndarray, most_tokens: int) -> Iterator[np.ndarray]:
    """All texts, longest first, in groups of bounded size and similar length: indices ``(group,)``."""
    order = np.argsort(-lengths, kind="stable")
    ends = np.cumsum(lengths[order])
    first = 0
    while first < len(order):
        used = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, used + most_tokens, side="right")))
        last = min(last, first + _GROUP_TEXTS)
        yield order[first:last]
        first = last


def _places(positions: SequenceBatch, packed: Packed) -> np.ndarray:
    """Where the packed tokens stand text after text."""
    return positions.offsets[:-1][packed.sequence] + packed.step


def _gathered(vectors: np.ndarray, positions: SequenceBatch, packed: Packed) -> np.ndarray:
    """The tokens' vectors themselves, packed."""
    taken: np.ndarray = vectors.take(positions.values[_places(positions, packed)], axis=0)
    return taken


def _recurrent(options: ClassifierOptions, weights: Mapping[str, np.ndarray]) -> _Encoder:
    layers = [
        RecurrentLayer(options.model, weights, layer, options.bidirectional)
        for layer in range(options.layers)
    ]

    def on_numpy(vectors: np.ndarray, positions: SequenceBatch, packed: Packed) -> np.ndarray:
        states = _gathered(vectors, positions, packed)
        for layer in layers:
            states = layer(states, packed)
        return states

    return on_numpy


class _Convolutions:
    """Convolutions of three widths side by side, then relu (Kim 2014).

    Each text is padded with ``width // 2`` zeros on the left and ``(width - 1) // 2`` on the right.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self._filters = []
        for index, width in enumerate(CNN_WIDTHS):
            weight = weights[f"convolutions.{index}.weight"]  # (hidden, dim, width)
            flat = np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(-1, len(weight)))
            self._filters.append((width, flat, weights[f"convolutions.{index}.bias"]))

    def __call__(self, vectors: np.ndarray, positions: SequenceBatch, packed: Packed) -> np.ndarray:
        # The texts stand in one row, with as many zeros between them as the widest window reaches over an
        # edge.
        gap = max(CNN_WIDTHS) // 2
        signal = np.zeros((packed.total + gap * (packed.batch + 1), vectors.shape[1]), dtype=np.float32)
        places = _places(positions, packed)
        centre = places + gap * (packed.sequence + 1)
        signal[centre] = vectors[positions.values[places]]
        outputs = []
        for width, weight, bias in self._filters:
            windows = signal[centre[:, None] + (np.arange(width) - width // 2)]
            outputs.append(windows.reshape(packed.total, -1) @ weight + bias)
        states: np.ndarray = np.maximum(np.concatenate(outputs, axis=1), 0)
        return states
