"""From text to trained tables: vocabulary, start values, epochs, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled import engine
from unrolled.embed.checkpoint import VectorCheckpoint
from unrolled.embed.counting import Counted, count_words
from unrolled.embed.frequencies import keep_thresholds, noise_table, word_tree
from unrolled.embed.mapped import MappedNumbers, give_back_memory
from unrolled.embed.options import VectorOptions
from unrolled.embed.plain import train_plain
from unrolled.embed.progress import VectorProgress
from unrolled.embed.subwords import Subwords
from unrolled.embed.table import all_finite
from unrolled.embed.team import Team
from unrolled.embed.texts import Texts
from unrolled.engine.arrays import empty
from unrolled.engine.word2vec import Word2vecModel, check_word2vec, row_stride, train_word2vec
from unrolled.errors import TrainingError
from unrolled.interrupt import StopRequest, TrainingInterrupted, stop_on_signal

#: Places of the text that advance side by side, unless ``fast``. Fixed, because results depend on it: more
#: lets more threads work, fewer lets each window see newer vectors.
LANES = 32
#: With few words every place would train the same ones, and the sum of their steps would be too long.
_WORDS_A_LANE = 32
#: Entries of the text that are visited as one, of short and of long texts. An epoch visits them in a random
#: order: a text in which one topic follows the other would otherwise leave the vectors of the last one.
CHUNK, LARGE_CHUNK = 512, 4096
_LARGE_TEXT = 1 << 28
#: Chunks of one call: between two calls a training can be stopped, saved and shown.
_CALL_CHUNKS = 512
_GROUP = 8  # neighbouring chunks that are visited in one call
_LAST_RATE = 1 / 250
_ROWS = 1 << 14  # of a table, at a time, so that temporary arrays stay small


@dataclass
class Trained:
    """What a training leaves.

    Attributes:
        counted: vocabulary and figures of the text.
        table: ``(words + n-gram rows, dim)`` float32, possibly with a stride.
        subwords: n-grams of the rows behind the words; ``None`` without.
        seconds: of training, without the reading of the text.
        loss: mean loss of a prediction in the last epoch, in nats.
    """

    counted: Counted
    table: np.ndarray
    subwords: Subwords | None
    seconds: float
    loss: float


def train_vectors(
    texts: Texts,
    options: VectorOptions,
    checkpoint: VectorCheckpoint,
    progress: VectorProgress,
    *,
    resume: bool = False,
    checkpoint_minutes: float = 10.0,
    kept: bool = True,
) -> Trained:
    """Train.

    Args:
        texts: sentences.
        options: how.
        checkpoint: where text and state lie while training goes on; its folder exists.
        progress: told of what happens.
        resume: go on with the state in ``checkpoint``, if there is one.
        checkpoint_minutes: time between saved states within an epoch; one is also saved after each epoch.
        kept: whether states are worth saving, now and then and when Ctrl-C asks to stop; false for a
            temporary folder. While the text is read there is nothing to save, and Ctrl-C does what it always
            does.

    Raises:
        DataError: text that cannot be read, or too few words.
        TrainingError: the state belongs to other text or options, or is damaged.
        TrainingInterrupted: a stop was asked for; the state was saved.
    """
    counted, state = _vocabulary(texts, options, checkpoint, progress, resume)
    subwords = None
    if options.subwords:
        subwords = Subwords(options.ngram_min, options.ngram_max, options.ngram_buckets)
        subwords = subwords.that_occur(counted.words)
    try:
        corpus = MappedNumbers(checkpoint.corpus)
        if len(corpus.numbers) != counted.entries:
            raise ValueError(f"{checkpoint.corpus.name} has another length")
        model = _model(options, counted, subwords, corpus.numbers)
        check_word2vec(model)
        place = (state["epoch"], state["place"])
        if place > (options.epochs, 0) or place[1] >= model.chunks:
            raise ValueError(f"epoch {place[0]}, place {place[1]} does not exist")
    except (OSError, ValueError) as error:
        raise checkpoint.damaged(error) from None
    corpus.release()
    _start(model.input, options.dim, options.seed)
    model.output[...] = 0
    with stop_on_signal(kept) as request:
        run = _Run(options, model, counted, checkpoint, progress, request, kept)
        run.release = corpus.release
        run.interval = checkpoint_minutes * 60
        loss = run.train(state)
    table = model.input[:, : options.dim]
    return Trained(counted, table, subwords, run.seconds, loss)


def _vocabulary(
    texts: Texts,
    options: VectorOptions,
    checkpoint: VectorCheckpoint,
    progress: VectorProgress,
    resume: bool,
) -> tuple[Counted, dict[str, Any]]:
    """Count the words, or take up what an interrupted training has counted in the same text."""
    if not (resume and checkpoint.exists):
        counted = count_words(texts, options, checkpoint.new_corpus, tell=progress.counting)
        checkpoint.begin(counted, options.to_dict())
        give_back_memory()  # of the words that were left out, before the tables are made
        progress.message(_about(counted, options))
        return counted, checkpoint.state()
    state, counted = checkpoint.state(), checkpoint.vocabulary()
    other = [name for name, value in options.to_dict().items() if state["options"].get(name) != value]
    if not other:
        for _ in texts.parts():
            pass
        other = [] if texts.sha256 == counted.sha256 else ["the text"]
    if other:
        raise TrainingError(
            f"{checkpoint.folder}: the interrupted training had other data or options ({', '.join(other)}). "
            "Give the same again, or start anew with overwrite."
        )
    return counted, state


def _about(counted: Counted, options: VectorOptions) -> str:
    text = (
        f"{counted.tokens:,} tokens, {counted.types:,} different words; {len(counted.words):,} occur "
        f"{options.min_count} times or more, {counted.kept_tokens / counted.tokens:.1%} of the text."
    )
    if counted.forgotten:
        text += " There were too many different words: counts of words that were rare at first are too low."
    return text


def _model(
    options: VectorOptions, counted: Counted, subwords: Subwords | None, tokens: np.ndarray
) -> Word2vecModel:
    words, stride = len(counted.words), row_stride(options.dim)
    bag_starts = bag_rows = None
    rows = words
    if subwords is not None:
        bag_starts, bag_rows = _bags(counted.words, subwords)
        rows += subwords.rows
    threshold = alias = path_starts = path_nodes = path_labels = None
    if options.negative:
        threshold, alias = noise_table(counted.counts)
    else:
        path_starts, path_nodes, path_labels = word_tree(counted.counts)
    single = np.dtype(np.float32)
    make = empty if engine.available() else np.empty
    table, output = make((rows, stride), single), make((words, stride), single)
    return Word2vecModel(
        tokens=tokens,
        words=words,
        input=table,
        output=output,
        cbow=options.model == "cbow",
        window=options.window,
        negative=options.negative,
        keep=keep_thresholds(counted.counts, options.sample),
        threshold=threshold,
        alias=alias,
        path_starts=path_starts,
        path_nodes=path_nodes,
        path_labels=path_labels,
        bag_starts=bag_starts,
        bag_rows=bag_rows,
        seed=options.seed,
        rate_first=options.learning_rate,
        rate_last=options.learning_rate * _LAST_RATE,
        epochs=options.epochs,
        chunk=CHUNK if len(tokens) < _LARGE_TEXT else LARGE_CHUNK,
    )


def _bags(words: list[str], subwords: Subwords) -> tuple[np.ndarray, np.ndarray]:
    """Rows of each word: its own, then those of its n-grams, which lie behind the words'."""
    starts, rows = subwords.of_words(words)
    count = len(words)
    own = np.arange(count, dtype=np.int64)
    bag_rows = np.insert(rows.astype(np.int32) + np.int32(count), starts[:-1], own.astype(np.int32))
    return starts + np.arange(count + 1), bag_rows


def _start(table: np.ndarray, dim: int, seed: int) -> None:
    """Start values: even between -1/dim and 1/dim (fastText's and gensim's; word2vec's own are half)."""
    random = np.random.default_rng(seed)
    for begin in range(0, len(table), _ROWS):
        block = table[begin : begin + _ROWS]
        block[:, :dim] = (random.random((len(block), dim), dtype=np.float32) * 2 - 1) / dim
        block[:, dim:] = 0


def visiting_order(chunks: int, seed: int, epoch: int) -> np.ndarray:
    """The chunks of a text in the order in which an epoch visits them: ``(chunks,)`` int32, a permutation.

    Groups of neighbours are shuffled, so that a call reads few places of the disk; then the chunks of each
    call, so that neighbours are not trained side by side.
    """
    random = np.random.default_rng((seed, epoch))
    groups = random.permutation(-(-chunks // _GROUP))
    order = (groups[:, None] * _GROUP + np.arange(_GROUP)).ravel()
    order = order[order < chunks].astype(np.int32)
    for begin in range(0, chunks, _CALL_CHUNKS):
        random.shuffle(order[begin : begin + _CALL_CHUNKS])
    return order


class _Run:
    """The epochs of one training. ``release`` is called after each piece of work."""

    interval = 600.0
    release: Callable[[], None]

    def __init__(
        self,
        options: VectorOptions,
        model: Word2vecModel,
        counted: Counted,
        checkpoint: VectorCheckpoint,
        progress: VectorProgress,
        request: StopRequest,
        kept: bool,
    ) -> None:
        self.options = options
        self.model = model
        self.counted = counted
        self.checkpoint = checkpoint
        self.progress = progress
        self.request = request
        self.kept = kept
        self.seconds = 0.0
        self._tables = {"input": model.input, "output": model.output}

    def train(self, state: dict[str, Any]) -> float:
        """All that is left after a state; the mean loss of the last epoch."""
        model, options = self.model, self.options
        self.checkpoint.fill(self._tables)
        self.seconds = float(state["seconds"])
        first_epoch, first_place = int(state["epoch"]), int(state["place"])
        engine.notify_missing()
        lanes = max(1, min(LANES, model.words // _WORDS_A_LANE))
        step = train_word2vec if engine.available() else train_plain
        if options.fast and engine.available():
            lanes = 0
        team = Team(engine.get_num_threads(), fixed=lanes == 0)
        share = self.counted.tokens / model.chunks
        begun = first_epoch * model.chunks + first_place
        self.progress.start(self.counted.tokens * options.epochs, int(begun * share))
        last_save = time.monotonic()
        loss = float("nan")
        for epoch in range(first_epoch, options.epochs):
            order = visiting_order(model.chunks, options.seed, epoch)
            total = weight = 0.0
            for place in range(first_place if epoch == first_epoch else 0, model.chunks, _CALL_CHUNKS):
                end = min(place + _CALL_CHUNKS, model.chunks)
                began = time.monotonic()
                windows, mean = step(model, order, epoch, place, end, lanes=lanes, threads=team.size)
                took = time.monotonic() - began
                team.worked(windows, took)
                self.release()
                self.seconds += took
                if windows:
                    total, weight = total + mean * windows, weight + windows
                self.progress.step(round((end - place) * share), mean, epoch + 1)
                over = end == model.chunks
                now = {"epoch": epoch + over, "place": 0 if over else end}
                if self.request.asked:
                    self._save(now)
                    raise TrainingInterrupted(self._farewell(epoch))
                if self.kept and (over or time.monotonic() - last_save >= self.interval):
                    self._save(now)
                    last_save = time.monotonic()
            loss = total / weight if weight else float("nan")
        self._check_finite()
        return loss

    def _check_finite(self) -> None:
        if all(map(all_finite, self._tables.values())):
            return
        rate = self.options.learning_rate
        raise TrainingError(
            f"the vectors are no longer finite numbers. Train with a lower learning_rate (now {rate:g}; "
            f"try {rate / 4:g})."
        )

    def _save(self, place: dict[str, int]) -> None:
        self._check_finite()
        state = {"options": self.options.to_dict(), "seconds": self.seconds, **place}
        self.checkpoint.save(state, self._tables)

    def _farewell(self, epoch: int) -> str:
        return (
            f"Training was stopped in epoch {epoch + 1} of {self.options.epochs}. Its state is kept in "
            f"{self.checkpoint.folder}: start it again with the same text and options and with resume, "
            "and it goes on from there."
        )
