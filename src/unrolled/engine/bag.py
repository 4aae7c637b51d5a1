"""Sums of rows of a table; for training their gradient, and which rows a batch touches."""

from __future__ import annotations

import numpy as np

from unrolled.engine import library
from unrolled.engine.arrays import Array, check, check_lengths, check_rows, empty, suffix

_INT32 = np.dtype(np.int32)


def embedding_bag(table: Array, rows: Array, lengths: Array, weights: Array | None = None) -> Array:
    """Sums of table rows, one sum a token.

    Args:
        table: ``(entries, dim)`` float32, float64, or float16, whose rows are converted as they are read.
        rows: ``(lengths.sum(),)`` int32, the rows of token 0, then those of token 1 ...
        lengths: ``(tokens,)``, rows of each token; 0 gives zeros.
        weights: ``(lengths.sum(),)`` of the table's type, a factor of each row; ``None`` for ones. Not for
            float16.

    Returns:
        ``(tokens, dim)``, float32 for a float16 table, else of the table's type. Without the extension numpy
        computes it.

    Raises:
        ValueError: a row outside the table, or lengths that do not add up.
    """
    (entries, dim), half = table.shape, table.dtype == np.float16
    dtype = np.dtype(np.float32) if half else table.dtype
    check("table", table, (entries, dim), table.dtype)
    lengths = _check_bag(rows, lengths, weights, entries, table.dtype)
    if not library.available():
        sums = np.zeros((len(lengths), dim), dtype)
        some = lengths > 0
        if some.any():
            taken = table.take(rows, axis=0).astype(dtype, copy=False)
            if weights is not None:
                taken *= weights[:, None]
            sums[some] = np.add.reduceat(taken, (np.cumsum(lengths) - lengths)[some], axis=0)
        return sums
    out = empty((len(lengths), dim), dtype)
    threads, isa = library.get_num_threads(), library.isa_number()
    if weights is None:
        run = getattr(library.native(), "embedding_bag" + suffix(dtype))
        stored = table.view(np.uint16) if half else table
        run(stored, half, rows, lengths, out, len(lengths), dim, threads, isa)
    else:
        run = getattr(library.native(), "weighted_bag" + suffix(dtype))
        run(table, rows, weights, lengths, out, len(lengths), dim, threads, isa)
    return out


def bag_gradient(
    d_out: Array, rows: Array, lengths: Array, entries: int, weights: Array | None = None
) -> Array:
    """Gradient of :func:`embedding_bag` with respect to the table: ``(entries, dim)``, written in full.

    Args:
        d_out: ``(tokens, dim)``.
        rows, lengths, weights: as there.
        entries: rows of the table.

    Raises:
        ValueError: as there.
        RuntimeError: the extension is missing.
    """
    extension = library.native()
    (tokens, dim), dtype = d_out.shape, d_out.dtype
    check("d_out", d_out, (len(lengths), dim), dtype)
    lengths = _check_bag(rows, lengths, weights, entries, dtype)
    d_table = empty((entries, dim), dtype)
    run = getattr(extension, "bag_gradient" + suffix(dtype))
    threads, isa = library.get_num_threads(), library.isa_number()
    run(d_out, rows, weights, lengths, d_table, tokens, entries, dim, threads, isa)
    return d_table


def number_rows(rows: Array, entries: int) -> tuple[Array, Array]:
    """The distinct rows, ascending, and the place of each row among them.

    Args:
        rows: ``(count,)`` int32, each in ``[0, entries)``.
        entries: rows of the table.

    Returns:
        int32 ``touched (distinct,)`` and ``numbers (count,)``: ``touched[numbers]`` equals ``rows``. Without
        the extension numpy computes it.

    Raises:
        ValueError: a row outside the table.
    """
    check_rows("rows", rows, len(rows), entries)
    if not library.available():
        seen = np.zeros(entries, dtype=np.bool_)
        seen[rows] = True
        distinct = np.flatnonzero(seen).astype(np.int32)
        place = np.empty(entries, _INT32)
        place[distinct] = np.arange(len(distinct), dtype=np.int32)
        return distinct, place[rows]
    touched = np.empty(min(len(rows), entries), _INT32)
    numbers = np.empty(len(rows), _INT32)
    found = library.native().number_rows(rows, len(rows), entries, touched, numbers)
    return touched[:found], numbers


def gather(table: Array, ids: Array) -> Array:
    """``table[ids]``: table ``(entries, dim)``, ids ``(count,)`` int32 -> ``(count, dim)``.

    Raises:
        ValueError: an id outside the table.
    """
    entries, dim = table.shape
    check("table", table, (entries, dim), table.dtype)
    check_rows("ids", ids, len(ids), entries)
    if not library.available():
        result: Array = table[ids]
        return result
    out = empty((len(ids), dim), table.dtype)
    getattr(library.native(), "gather" + suffix(table.dtype))(
        table, ids, out, len(ids), dim, library.get_num_threads()
    )
    return out


def _check_bag(
    rows: Array, lengths: Array, weights: Array | None, entries: int, dtype: np.dtype[np.generic]
) -> Array:
    check_rows("rows", rows, len(rows), entries)
    check("weights", weights, (len(rows),), dtype)
    return check_lengths(lengths, len(rows))
