"""Training of word vectors in the compiled core, on all threads of the engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unrolled.engine import library
from unrolled.engine.arrays import Array, check

#: Floats that a row of a table is padded to.
ROW_FLOATS = 8
#: Input vectors and outputs of one update, at most.
MOST_INPUTS, MOST_OUTPUTS = 16, 6


def row_stride(dim: int) -> int:
    """Floats of a row whose vector has ``dim``."""
    return -(-dim // ROW_FLOATS) * ROW_FLOATS


@dataclass(frozen=True)
class Word2vecModel:
    """What is trained, on what. The arrays are used in place; the tables change.

    Attributes:
        tokens: ``(count,)`` int32 word ids, ``-1`` after each sentence.
        words: of the vocabulary.
        input: ``(input_rows, stride)`` float32, the vectors; columns beyond the vector's width are zero.
        output: ``(output_rows, stride)`` float32, a row a word, or a row an inner node of the tree.
        cbow: the neighbours predict the word; else the word and each neighbour each other.
        window: largest distance of a neighbour.
        negative: noise words a prediction, 0 to 64; 0: hierarchical softmax.
        keep: ``(words,)`` uint32, see ``unrolled.embed.frequencies``.
        threshold, alias: ``(words,)`` uint32 and int32, the noise distribution; ``None`` without negatives.
        path_starts, path_nodes, path_labels: the tree; ``None`` with negatives.
        bag_starts, bag_rows: rows of ``input`` whose mean is a word's vector; ``None``: row = id.
        seed: of all random choices.
        rate_first, rate_last: learning rate at the start and at the end of all epochs.
        epochs: of the whole training.
        chunk: entries of ``tokens`` that are visited as one; random numbers start anew in each.
        share: neighbours that share one draw of noise words, 1 to 16.
        run: windows of a sentence that a lane trains in a round.
    """

    tokens: Array
    words: int
    input: Array
    output: Array
    cbow: bool
    window: int
    negative: int
    keep: Array
    threshold: Array | None
    alias: Array | None
    path_starts: Array | None
    path_nodes: Array | None
    path_labels: Array | None
    bag_starts: Array | None
    bag_rows: Array | None
    seed: int
    rate_first: float
    rate_last: float
    epochs: int
    chunk: int
    share: int = MOST_INPUTS
    run: int = 4

    @property
    def chunks(self) -> int:
        """Chunks of the corpus."""
        return -(-len(self.tokens) // self.chunk)


def check_word2vec(model: Word2vecModel) -> None:
    """Check everything that :func:`train_word2vec` relies on; once, before the first call.

    Raises:
        ValueError: shapes or ranges that do not fit.
        TypeError: another type.
    """
    words, stride = model.words, model.input.shape[1]
    check("input", model.input, model.input.shape, np.dtype(np.float32))
    check("output", model.output, (len(model.output), stride), np.dtype(np.float32))
    check("tokens", model.tokens, (len(model.tokens),), np.dtype(np.int32))
    check("keep", model.keep, (words,), np.dtype(np.uint32))
    check("threshold", model.threshold, (words,), np.dtype(np.uint32))
    check("alias", model.alias, (words,), np.dtype(np.int32))
    if stride % ROW_FLOATS:
        raise ValueError(f"rows have {stride} floats, expected a multiple of {ROW_FLOATS}")
    sizes = 1 <= model.share <= MOST_INPUTS and 1 <= model.window <= 1000 and 1 <= model.run <= 64
    if words < 2 or model.chunk < 1 or not sizes:
        raise ValueError("words, chunk, share, window or run out of range")
    for block in range(0, len(model.tokens), 1 << 24):
        _check_range("tokens", model.tokens[block : block + (1 << 24)], -1, words)
    if model.negative:
        if model.threshold is None or model.alias is None or len(model.output) < words:
            raise ValueError("negative sampling needs the noise distribution and an output row a word")
        _check_range("alias", model.alias, 0, words)
    else:
        _check_lists("path", model.path_starts, model.path_nodes, words, len(model.output))
        nodes = 0 if model.path_nodes is None else len(model.path_nodes)
        check("path_labels", model.path_labels, (nodes,), np.dtype(np.uint8))
    if model.bag_starts is None:
        if len(model.input) < words:
            raise ValueError("input needs a row a word")
    else:
        _check_lists("bag", model.bag_starts, model.bag_rows, words, len(model.input))
        if int(np.diff(model.bag_starts).min()) < 1:
            raise ValueError("every bag needs a row")


def _check_lists(name: str, starts: Array | None, values: Array | None, words: int, rows: int) -> None:
    if starts is None or values is None:
        raise ValueError(f"{name}_starts is missing")
    check(f"{name}_starts", starts, (words + 1,), np.dtype(np.int64))
    check(name, values, (len(values),), np.dtype(np.int32))
    if int(starts[0]) != 0 or int(starts[-1]) != len(values) or int(np.diff(starts).min()) < 0:
        raise ValueError(f"{name}_starts must rise from 0 to {len(values)}")
    _check_range(name, values, 0, rows)


def _check_range(name: str, values: Array, low: int, high: int) -> None:
    if len(values) and not low <= int(values.min()) <= int(values.max()) < high:
        raise ValueError(f"{name} must lie in {low}..{high - 1}")


def train_word2vec(
    model: Word2vecModel,
    order: Array,
    epoch: int,
    first: int,
    last: int,
    *,
    lanes: int,
    threads: int | None = None,
) -> tuple[int, float]:
    """Train on the chunks ``order[first:last]`` of an epoch.

    Args:
        model: checked by :func:`check_word2vec`.
        order: ``(chunks,)`` int32, a permutation.
        epoch: from 0.
        first, last: places in ``order``.
        lanes: 0: every thread updates the tables as it goes. More: so many places of the chunks advance side
            by side, and the result does not depend on the number of threads.
        threads: at most; the engine's number if left out.

    Returns:
        ``(windows, loss)``: words predicted, and the mean loss of a prediction in nats, from every 16th.
    """
    arrays = {
        "tokens": model.tokens,
        "order": order,
        "input": model.input,
        "output": model.output,
        "keep": model.keep,
        "threshold": model.threshold,
        "alias": model.alias,
        "path_starts": model.path_starts,
        "path_nodes": model.path_nodes,
        "path_labels": model.path_labels,
        "bag_starts": model.bag_starts,
        "bag_rows": model.bag_rows,
    }
    numbers = {
        "count": len(model.tokens),
        "chunk": model.chunk,
        "chunks": model.chunks,
        "words": model.words,
        "stride": model.input.shape[1],
        "cbow": model.cbow,
        "window": model.window,
        "negative": model.negative,
        "share": model.share,
        "run": model.run,
        "seed": model.seed,
        "rate_first": model.rate_first,
        "rate_last": model.rate_last,
        "epochs": model.epochs,
    }
    threads = threads or library.get_num_threads()
    windows, losses, loss = library.native().word2vec_train(
        arrays, numbers, epoch, first, last, threads, lanes, library.isa_number()
    )
    return windows, loss / losses if losses else float("nan")


def word2vec_step(
    input: Array, output: Array, inputs: Array, outputs: Array, labels: Array, rate: float
) -> None:
    """One update in place, as :func:`train_word2vec` makes it; to be compared with the equations.

    Args:
        input, output: ``(rows, stride)`` float32.
        inputs: ``(n,)`` int32, rows of ``input``; each predicts all outputs. At most ``MOST_INPUTS``.
        outputs: ``(m,)`` int32, different rows of ``output``. At most ``MOST_OUTPUTS``.
        labels: ``(m,)`` uint8, what each output should say.
        rate: learning rate.
    """
    library.native().word2vec_step(input, output, inputs, outputs, labels, rate, library.isa_number())
