"""One member of a tagger as numpy: words in, scores of tags out. The twin of ``models.tagger.WordTagger``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unrolled import engine
from unrolled.errors import OptionError
from unrolled.options import TaggerOptions
from unrolled.runtime.embedding_bag import EmbeddingBag
from unrolled.runtime.recurrent_engine import EngineStack
from unrolled.text.batch import SequenceBatch
from unrolled.text.word_features import EncodedWords

_KINDS = {"lstm": "lstm", "gru": "gru", "rnn": "rnn_tanh"}
_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class TagNetwork:
    """Word vectors, recurrent layers, output.

    Args:
        options: of the model.
        weights: name -> array of one member, named as in :func:`unrolled.runtime.tag_manifest.tagger_shapes`.
        precision: of the recurrent weights while the engine computes with them.

    Attributes:
        width: of a word's vector, without the fixed ones.
    """

    def __init__(
        self,
        options: TaggerOptions,
        weights: Mapping[str, np.ndarray],
        precision: engine.Precision = "float32",
    ) -> None:
        if precision not in engine.PRECISIONS:
            raise OptionError(f"weights must be one of {', '.join(engine.PRECISIONS)}, not {precision!r}.")
        self._bag = EmbeddingBag(weights["embedding.weight"])
        self.width = options.embed_dim
        self._characters: np.ndarray | None = None
        if options.characters == "lstm":
            self._characters = weights["characters.weight"].astype(np.float32)
            self._speller = _directions(weights, "speller", 0)
            self.width += 2 * options.char_hidden
        self._kind = _KINDS[options.model]
        self._stack: EngineStack | None = None
        if engine.available():
            encoder = {
                name.removeprefix("encoder."): np.asarray(array, dtype=np.float32)
                for name, array in weights.items()
                if name.startswith("encoder.")
            }
            self._stack = EngineStack(options.model, encoder, options.layers, True, precision)
            if self._characters is not None:
                self._prepared = engine.prepare("lstm", self._speller, precision=precision)
        else:
            self._layers = [_directions(weights, "encoder", layer) for layer in range(options.layers)]
        self._weight = np.ascontiguousarray(weights["output.weight"].astype(np.float32).T)
        self._bias = weights["output.bias"].astype(np.float32)

    def word_vectors(self, words: EncodedWords) -> np.ndarray:
        """``(words, width)``, of each word by itself."""
        sums = self._bag(words.rows)
        if self._characters is None:
            return sums
        spelled = words.characters
        prepared = self._prepared if self._stack is not None else self._speller
        h_n = engine.infer_layer(
            "lstm", self._characters, spelled.lengths, prepared, rows=np.ascontiguousarray(spelled.values)
        ).h_n
        return np.concatenate([sums, h_n[0], h_n[1]], axis=1)

    def scores(self, vectors: np.ndarray, words: SequenceBatch) -> np.ndarray:
        """``(tokens, tags)`` float32, before softmax or CRF.

        Args:
            vectors: ``(distinct words, width)``, fixed ones beside them.
            words: the words of each sentence, as rows of ``vectors``.
        """
        if self._stack is not None:
            states = self._stack(vectors, words.values, words.lengths)
        else:
            states = vectors[words.values]
            for layer in self._layers:
                states = engine.infer_layer(self._kind, states, words.lengths, layer).out
        scores: np.ndarray = states @ self._weight
        scores += self._bias
        return scores


def _directions(weights: Mapping[str, np.ndarray], part: str, layer: int) -> list[engine.Weights]:
    return [
        engine.Weights(
            *(
                np.ascontiguousarray(weights[f"{part}.{name}_l{layer}{end}"], dtype=np.float32)
                for name in _NAMES
            )
        )
        for end in ("", "_reverse")
    ]
