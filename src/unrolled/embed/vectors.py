"""Word vectors as users meet them: options, ``fit``, questions, files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np

from unrolled.embed.checkpoint import VectorCheckpoint
from unrolled.embed.evaluation import evaluate_analogies, evaluate_pairs
from unrolled.embed.neighbours import nearest
from unrolled.embed.opening import read_table
from unrolled.embed.options import VectorOptions
from unrolled.embed.output import discard_output, prepare_output
from unrolled.embed.progress import SilentVectors, VectorProgress
from unrolled.embed.saved import load_vectors, save_vectors
from unrolled.embed.table import VectorTable, unit
from unrolled.embed.texts import Texts
from unrolled.embed.training import Trained, train_vectors
from unrolled.embed.writing import write_vectors
from unrolled.errors import OptionError, TrainingError, UnrolledError
from unrolled.interrupt import stop_on_signal

#: A word and its cosine to what was asked.
Neighbour = tuple[str, float]


class WordVectors:
    """A vector for each word of a text, so that words with similar neighbours lie near each other.

    Example:
        >>> text = ["the king rules the land", "the queen rules the land", "a dog eats a bone"] * 200
        >>> vectors = WordVectors(dim=16, sample=0, seed=1).fit(text)
        >>> vectors.most_similar("king", n=1)[0][0]
        'queen'
        >>> "dog" in vectors, "cat" in vectors, vectors.vector("dog").shape
        (True, False, (16,))

    Args:
        options: names and meanings are those of :class:`unrolled.embed.options.VectorOptions`.

    Attributes:
        options: all of them; ``None`` for vectors that other tools trained.
        training: figures of the training: tokens, words, seconds, loss and the checksum of the text.

    Raises:
        OptionError: an unknown option (names the nearest), or a bad value.
    """

    def __init__(self, **options: Any) -> None:
        self.options: VectorOptions | None = VectorOptions.from_dict(options)
        self.training: dict[str, Any] = {}
        self._table: VectorTable | None = None

    @classmethod
    def of(
        cls, table: VectorTable, options: VectorOptions | None = None, training: dict[str, Any] | None = None
    ) -> Self:
        """Vectors that are there already."""
        made = cls.__new__(cls)
        made.options, made.training, made._table = options, training or {}, table
        return made

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Vectors of a folder that :meth:`save` or ``unrolled vectors train`` wrote, or of a file of another
        tool: word2vec text or binary, fastText ``.vec``, GloVe text, these also as ``.gz``; fastText ``.bin``
        or safetensors.

        Raises:
            ModelFileError, DataError: missing, damaged, or not word vectors.
        """
        place = Path(path)
        if not place.is_dir():
            return cls.of(read_table(place))
        table, content = load_vectors(place)
        options = content.get("options")
        return cls.of(
            table, None if options is None else VectorOptions.from_dict(options), content.get("training")
        )

    def fit(
        self,
        text: Any,
        *,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        encoding: str = "utf-8",
        checkpoint_minutes: float = 10.0,
        progress: VectorProgress | None = None,
    ) -> Self:
        """Train.

        The same text, options and seed give the same vectors, bit for bit, whatever the number of threads and
        whether interrupted or not; with the option ``fast`` they do not.

        Args:
            text: a path (also ``.gz``), ``"-"`` for standard input, a folder of files, or an iterable of
                sentences, each a string or a list of tokens. It is read once, and need not fit into memory.
            out: folder for the vectors and, until the end, their ``checkpoint/``. ``None`` keeps the vectors
                in memory until :meth:`save`.
            resume: go on with an interrupted training in ``out``.
            overwrite: replace vectors or checkpoint in ``out``.
            encoding: of files.
            checkpoint_minutes: time between checkpoints within an epoch; one is also written after each
                epoch.
            progress: told of what happens.

        Raises:
            DataError: text that cannot be read, or too few words.
            TrainingError: an ``out`` in use, a checkpoint of other text or options.
            TrainingInterrupted: Ctrl-C while ``out`` is given; the state was saved.
        """
        if self.options is None:
            raise OptionError("vectors of another tool cannot be trained further: make new WordVectors.")
        listener = progress or SilentVectors()
        texts = Texts(text, encoding=encoding, without=out)
        target = None if out is None else Path(out)
        new = target is not None and not target.exists()
        if target is not None:
            prepare_output(target, resume=resume, overwrite=overwrite)
        with TemporaryDirectory(prefix="unrolled-") as temporary:
            checkpoint = VectorCheckpoint(Path(temporary) if target is None else target / "checkpoint")
            try:
                trained = train_vectors(
                    texts,
                    self.options,
                    checkpoint,
                    listener,
                    resume=resume,
                    checkpoint_minutes=checkpoint_minutes,
                    kept=target is not None,
                )
                self._take(trained, texts.name)
            except BaseException as error:
                if target is not None:
                    discard_output(target, new=new)
                if isinstance(error, MemoryError):
                    raise TrainingError(self._too_large(self.options)) from None
                raise
            finally:
                listener.stop()
            del trained  # its table is as large as the vectors
            if target is not None:
                with stop_on_signal(True):  # so near the end, nobody wants to stop
                    self.save(target)
                    checkpoint.remove()
        return self

    @staticmethod
    def _too_large(options: VectorOptions) -> str:
        return (
            f"the training does not fit into memory. Give a smaller dim (now {options.dim}), fewer words "
            f"(max_words, now {options.max_words}; min_count, now {options.min_count}), or fewer inputs a "
            f"window (window, now {options.window}; negative, now {options.negative})."
        )

    def _take(self, trained: Trained, name: str) -> None:
        assert self.options is not None
        counted = trained.counted
        words = len(counted.words)
        table, subwords = trained.table, trained.subwords
        ngrams = None
        if subwords is None:
            vectors = np.ascontiguousarray(table)
        else:
            ngrams = np.ascontiguousarray(table[words:])
            starts, rows = subwords.of_words(counted.words)
            lengths = np.diff(starts)
            vectors = np.array(table[:words])
            for begin in range(0, words, 4096):
                end = min(begin + 4096, words)
                owner = np.repeat(np.arange(end - begin), lengths[begin:end])
                np.add.at(vectors[begin:end], owner, ngrams[rows[starts[begin] : starts[end]]])
            vectors /= (lengths + 1).astype(np.float32)[:, None]
        self._table = VectorTable(counted.words, vectors, counted.counts, subwords, ngrams)
        self.training = {
            "text": name,
            "sha256": counted.sha256,
            "tokens": counted.tokens,
            "different_words": counted.types,
            "kept_tokens": counted.kept_tokens,
            "seconds": round(trained.seconds, 3),
            "loss": round(trained.loss, 5) if np.isfinite(trained.loss) else None,
        }

    @property
    def table(self) -> VectorTable:
        """Words and vectors.

        Raises:
            UnrolledError: not trained yet.
        """
        if self._table is None:
            raise UnrolledError("these word vectors are not trained yet: call fit, or load some.")
        return self._table

    @property
    def words(self) -> list[str]:
        """The vocabulary, the most frequent word first."""
        return self.table.words

    @property
    def vectors(self) -> np.ndarray:
        """``(words, dim)`` float32, a row a word."""
        return self.table.vectors

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self.table.dim

    def __len__(self) -> int:
        return len(self.table.words)

    def __contains__(self, word: object) -> bool:
        return word in self.table

    def __repr__(self) -> str:
        if self._table is None:
            return "WordVectors(not trained)"
        extra = "" if self.table.subwords is None else " with sub-words"
        return f"WordVectors({len(self):,} words x {self.dim}{extra})"

    def vector(self, word: str) -> np.ndarray:
        """``(dim,)``: the word's vector; of an unknown word, made from its n-grams if there are sub-words.

        Raises:
            UnknownWordError: the word has none; names words that look alike.
        """
        return self.table.vector(word)

    def similarity(self, first: str, second: str) -> float:
        """Cosine of two words' vectors, between -1 and 1.

        Raises:
            UnknownWordError: one has none.
        """
        return float(unit(self.vector(first)) @ unit(self.vector(second)))

    def most_similar(
        self, words: str | Sequence[str], without: str | Sequence[str] = (), n: int = 10
    ) -> list[Neighbour]:
        """The words nearest to the mean direction of ``words``, away from ``without``; these left out.

        Raises:
            UnknownWordError: one has no vector.
        """
        positive, negative = _listed(words), _listed(without)
        if not positive and not negative:
            raise OptionError("most_similar needs a word.")
        total = sum(unit(self.vector(word)) for word in positive) - sum(
            (unit(self.vector(word)) for word in negative), np.zeros(self.dim, dtype=np.float32)
        )
        return self._nearest(np.asarray(total)[None], n, [[*positive, *negative]])[0]

    def nearest(self, words: Sequence[str], n: int = 10) -> list[list[Neighbour]]:
        """The nearest words of each of many words; thousands of questions are one matrix product.

        Raises:
            UnknownWordError: one has no vector.
        """
        if isinstance(words, str):
            raise TypeError("nearest takes a list of words; for one word there is most_similar")
        if all(word in self.table.index for word in words):
            asked = self.table.vectors[[self.table.index[word] for word in words]]
        else:
            asked = np.stack([self.vector(word) for word in words])
        return self._nearest(asked, n, [[word] for word in words])

    def analogy(self, a: str, b: str, c: str, n: int = 10) -> list[Neighbour]:
        """What is to ``c`` as ``b`` is to ``a``: the words nearest to ``b - a + c`` (Mikolov et al. 2013,
        "Linguistic Regularities in Continuous Space Word Representations").

        Raises:
            UnknownWordError: one has no vector.
        """
        return self.most_similar([b, c], [a], n)

    def doesnt_match(self, words: Sequence[str]) -> str:
        """The word that is farthest from the mean direction of all.

        Raises:
            UnknownWordError: one has no vector.
            OptionError: fewer than three words.
        """
        if len(words) < 3:
            raise OptionError("doesnt_match needs three words or more.")
        rows = np.stack([unit(self.vector(word)) for word in words])
        return words[int((rows @ rows.mean(axis=0)).argmin())]

    def evaluate(self, *, pairs: Any = None, analogies: Any = None) -> dict[str, Any]:
        """How good the vectors are.

        Args:
            pairs: file of word pairs with people's judgement (WordSim-353, SimLex-999).
            analogies: file of analogies (questions-words).

        Returns:
            ``{"pairs": ..., "analogies": ...}``; see :mod:`unrolled.embed.evaluation`.

        Raises:
            DataError: a file that cannot be read.
        """
        found = {}
        if pairs is not None:
            found["pairs"] = evaluate_pairs(self.table, pairs)
        if analogies is not None:
            found["analogies"] = evaluate_analogies(self.table, analogies)
        return found

    def info(self) -> dict[str, Any]:
        """What these vectors are, as plain values."""
        table = self.table
        return {
            "task": "vectors",
            "words": len(table.words),
            "dim": table.dim,
            "ngram_rows": None if table.subwords is None else table.subwords.rows,
            "options": None if self.options is None else self.options.to_dict(),
            "training": self.training,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a folder; see :mod:`unrolled.embed.saved`.

        Raises:
            ModelFileError: the target is something else, or cannot be written.
        """
        save_vectors(path, self.table, self.options, self.training, version=_own_version())

    def export(self, path: str | os.PathLike[str], *, format: str | None = None) -> None:
        """Write a file for other tools: word2vec text or binary, GloVe text, or safetensors, by the name.

        Raises:
            OptionError: a name that tells no format.
            DataError: a word that the format cannot hold, or a file that cannot be written.
        """
        write_vectors(Path(path), self.table.words, self.table.vectors, format=format)

    @classmethod
    def from_gensim(cls, keyed: Any) -> Self:
        """Vectors of a gensim ``KeyedVectors``, copied."""
        words = list(keyed.index_to_key)
        vectors = np.array(keyed.vectors, dtype=np.float32)
        counts = (
            [int(keyed.get_vecattr(word, "count")) for word in words] if "count" in keyed.expandos else None
        )
        return cls.of(VectorTable(words, vectors, None if counts is None else np.array(counts)))

    def to_gensim(self) -> Any:
        """A gensim ``KeyedVectors`` with the same words, vectors and counts.

        Raises:
            UnrolledError: gensim is not installed.
        """
        try:
            models = import_module("gensim.models")
        except ImportError:
            raise UnrolledError("to_gensim needs gensim: pip install gensim") from None
        keyed = models.KeyedVectors(self.dim)
        keyed.add_vectors(self.words, self.vectors)
        if self.table.counts is not None:
            for word, count in zip(self.words, self.table.counts.tolist(), strict=True):
                keyed.set_vecattr(word, "count", count)
        return keyed

    def _nearest(self, asked: np.ndarray, n: int, left_out: list[list[str]]) -> list[list[Neighbour]]:
        if n < 1:
            raise OptionError(f"the number of neighbours is {n}; give at least 1.")
        index, words = self.table.index, self.table.words
        excluded = [[index[word] for word in group if word in index] for group in left_out]
        rows, cosines = nearest(self.table.unit, asked, n, excluded)
        return [
            [(words[row], cosine) for row, cosine in zip(*found, strict=True) if cosine > -np.inf]
            for found in zip(rows.tolist(), cosines.tolist(), strict=True)
        ]


def _listed(words: str | Iterable[str]) -> list[str]:
    return [words] if isinstance(words, str) else list(words)


def _own_version() -> str:
    try:
        return version("unrolled")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"
