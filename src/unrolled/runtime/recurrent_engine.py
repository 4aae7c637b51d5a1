"""The same layers on the compiled engine, where it is available."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unrolled import engine

_KINDS = {"lstm": "lstm", "gru": "gru", "rnn": "rnn_tanh"}


class EngineStack:
    """All recurrent layers of a model.

    Args:
        kind: ``"lstm"``, ``"gru"`` or ``"rnn"`` (tanh).
        weights: as :class:`unrolled.runtime.recurrent.RecurrentLayer` takes them.
        layers: number of layers.
        bidirectional: whether there is a backward direction.
        precision: of the weights, see :func:`unrolled.engine.prepare`.
    """

    def __init__(
        self,
        kind: str,
        weights: Mapping[str, np.ndarray],
        layers: int,
        bidirectional: bool,
        precision: engine.Precision = "float32",
    ) -> None:
        self._kind = _KINDS[kind]
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ends = ("", "_reverse") if bidirectional else ("",)
        self._layers = [
            engine.prepare(
                self._kind,
                [
                    engine.Weights(
                        *(np.ascontiguousarray(weights[f"{name}_l{layer}{end}"]) for name in names)
                    )
                    for end in ends
                ],
                precision=precision,
            )
            for layer in range(layers)
        ]

    def __call__(self, vectors: np.ndarray, rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """States ``(total, directions * hidden)``, text after text.

        Args:
            vectors: ``(distinct tokens, input)``.
            rows: ``(total,)`` int32, the row of ``vectors`` of each token.
            lengths: ``(batch,)``.
        """
        states = engine.infer_layer(self._kind, vectors, lengths, self._layers[0], rows=rows).out
        for layer in self._layers[1:]:
            states = engine.infer_layer(self._kind, states, lengths, layer).out
        return states
