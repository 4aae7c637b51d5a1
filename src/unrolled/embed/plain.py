"""Training of word vectors in numpy: what runs without the compiled engine, and what the engine is tested by.

The same model and the same definitions; random numbers and the size of a step differ, so that the vectors are
as good but not the same.
"""

from __future__ import annotations

import numpy as np

from unrolled.engine.word2vec import Word2vecModel

_PAIRS = 4  # of a window and step, about: skip-gram predicts from each neighbour


def train_plain(
    model: Word2vecModel,
    order: np.ndarray,
    epoch: int,
    first: int,
    last: int,
    *,
    lanes: int,
    threads: int | None = None,
) -> tuple[int, float]:
    """What :func:`unrolled.engine.word2vec.train_word2vec` does, with the same arguments and results;
    numpy chooses its threads itself.
    """
    windows, losses, loss = 0, 0, 0.0
    step = lanes * model.run * (1 if model.cbow else _PAIRS)
    for place in range(first, last):
        random = np.random.default_rng((model.seed, epoch, place))
        words, sentences = _sentences(model, int(order[place]), random)
        centres, neighbours = _pairs(words, sentences, model.window, random)
        windows += len(np.unique(centres))
        done = (epoch + place / model.chunks) / model.epochs
        rate = model.rate_first + (model.rate_last - model.rate_first) * done
        inputs, starts, targets = _inputs(model, words, centres, neighbours)
        for begin in range(0, len(targets), step):
            end = min(begin + step, len(targets))
            rows = inputs[starts[begin] : starts[end]]
            counts = np.diff(starts[begin : end + 1])
            loss += learn(
                model.input, model.output, rows, counts, *_outputs(model, targets[begin:end], random), rate
            )
            losses += end - begin
    return windows, loss / losses if losses else float("nan")


def learn(
    input: np.ndarray,
    output: np.ndarray,
    rows: np.ndarray,
    counts: np.ndarray,
    outputs: np.ndarray,
    labels: np.ndarray,
    used: np.ndarray,
    rate: float,
) -> float:
    """One step in place: h is the mean of input rows, and each output u says ``sigmoid(u . h)``.

    The loss is the cross-entropy of these with the labels (Mikolov et al. 2013, "Distributed Representations
    ...", equation 4). Its gradient by u is ``(sigmoid(u . h) - label) h``; each input row of h receives the
    whole gradient by h, as in word2vec's own program.

    Args:
        input: ``(input_rows, stride)``.
        output: ``(output_rows, stride)``.
        rows: rows of ``input``: ``counts[0]`` for the first prediction, and so on.
        counts: ``(n,)``, at least 1 each.
        outputs: ``(n, k)`` rows of ``output``.
        labels: ``(n, k)`` 0 or 1.
        used: ``(n, k)`` bool, false for outputs to leave out.
        rate: learning rate.

    Returns:
        The loss, summed.
    """
    h = np.add.reduceat(input[rows], np.cumsum(counts) - counts, axis=0) / counts[:, None]
    w = output[outputs]
    scores = np.einsum("nd,nkd->nk", h, w)
    # log(1 + exp(-x)) for the score of the right answer
    loss = float((np.logaddexp(0.0, np.where(labels, -scores, scores)) * used).sum())
    g = (rate * (labels - 0.5 * (np.tanh(0.5 * scores) + 1.0)) * used).astype(input.dtype)
    _add_rows(input, rows, np.repeat(np.einsum("nk,nkd->nd", g, w), counts, axis=0))
    _add_rows(output, outputs.ravel(), (g[:, :, None] * h[:, None, :]).reshape(-1, h.shape[1]))
    return loss


def _add_rows(table: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
    """``np.add.at``, several times faster: the values of a row are summed first."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    table[ordered[first]] += np.add.reduceat(values[order], first, axis=0)


def _sentences(
    model: Word2vecModel, chunk: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Words of the sentences that begin in a chunk, after subsampling, and the sentence of each."""
    begin, end = chunk * model.chunk, min((chunk + 1) * model.chunk, len(model.tokens))
    while 0 < begin < end and model.tokens[begin - 1] >= 0:
        begin += 1
    while begin < end < len(model.tokens) and model.tokens[end - 1] >= 0:
        end += 1
    entries = np.asarray(model.tokens[begin:end])
    sentences = np.cumsum(entries < 0)
    real = entries >= 0
    words, sentences = entries[real], sentences[real]
    kept = random.integers(0, 2**32, len(words), dtype=np.uint32) <= model.keep[words]
    return words[kept], sentences[kept]


def _pairs(
    words: np.ndarray, sentences: np.ndarray, window: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Places of words and of their neighbours, by word; the reach of each word is drawn from 1 to window."""
    reach = random.integers(1, window + 1, len(words))
    centres, neighbours = [], []
    place = np.arange(len(words))
    for distance in (*range(-window, 0), *range(1, window + 1)):
        other = place + distance
        inside = (other >= 0) & (other < len(words)) & (reach >= abs(distance))
        inside[inside] = sentences[other[inside]] == sentences[place[inside]]
        centres.append(place[inside])
        neighbours.append(other[inside])
    centre, neighbour = np.concatenate(centres), np.concatenate(neighbours)
    by_centre = np.argsort(centre, kind="stable")
    return centre[by_centre], neighbour[by_centre]


def _inputs(
    model: Word2vecModel, words: np.ndarray, centres: np.ndarray, neighbours: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Input rows of each prediction, where they start, and the word that is predicted."""
    if model.cbow:
        rows, lengths = _bags(model, words[neighbours])
        predicted, first = np.unique(centres, return_index=True)
        edges = np.append(first, len(centres))
        ends = np.append(0, np.cumsum(lengths))
        return rows, ends[edges], words[predicted]
    # As in word2vec's own program the neighbour is the input; as in fastText's, it is the word itself.
    source, target = (neighbours, centres) if model.bag_starts is None else (centres, neighbours)
    rows, lengths = _bags(model, words[source])
    return rows, np.append(0, np.cumsum(lengths)), words[target]


def _bags(model: Word2vecModel, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if model.bag_starts is None or model.bag_rows is None:
        return words, np.ones(len(words), dtype=np.int64)
    lengths = np.diff(model.bag_starts)[words]
    before = np.cumsum(lengths) - lengths
    places = np.repeat(model.bag_starts[words] - before, lengths) + np.arange(int(lengths.sum()))
    return model.bag_rows[places], lengths


def _outputs(
    model: Word2vecModel, targets: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(outputs, labels, used)`` of predictions of words."""
    if model.negative:
        assert model.threshold is not None and model.alias is not None
        shape = (len(targets), model.negative)
        drawn = random.integers(0, model.words, shape)
        low = random.integers(0, 2**32, shape, dtype=np.uint32) < model.threshold[drawn]
        noise = np.where(low, drawn, model.alias[drawn])
        outputs = np.concatenate([targets[:, None], noise], axis=1)
        labels = np.zeros(outputs.shape)
        labels[:, 0] = 1
        used = np.ones(outputs.shape, dtype=np.bool_)
        used[:, 1:] = noise != targets[:, None]
        return outputs, labels, used
    assert model.path_starts is not None and model.path_nodes is not None and model.path_labels is not None
    lengths = np.diff(model.path_starts)[targets]
    step = np.arange(int(lengths.max(initial=1)))
    used = step < lengths[:, None]
    places = np.where(used, model.path_starts[targets][:, None] + step, 0)
    return model.path_nodes[places], model.path_labels[places].astype(np.float64), used
