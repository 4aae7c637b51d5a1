"""Word vectors from a file as the first rows of the embedding table."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from unrolled.errors import DataError
from unrolled.options import ClassifierOptions
from unrolled.train.corpus import Corpus


@dataclass(frozen=True)
class InitialRows:
    """Rows of the table that a file gives.

    Attributes:
        rows: ``(table_rows, dim)`` float32.
        given: ``(table_rows,)`` bool, true where the file has the token.
        note: how many tokens have a vector.
    """

    rows: Tensor
    given: Tensor
    note: str


def initial_rows(options: ClassifierOptions, corpus: Corpus) -> InitialRows:
    """Look up the vocabulary's tokens in a file in word2vec's text format (also that of fastText and GloVe).

    Each line is a token and its numbers; a first line with two numbers is the header. The file is read as a
    stream: vectors of other tokens take no memory. ``.gz`` is unpacked.

    Raises:
        DataError: the file cannot be read, its vectors have another width than ``embed_dim``, or it has none
            of the tokens.
    """
    path, dim = Path(options.vectors), options.embed_dim
    tokenizer = corpus.tokenizer
    place = {tokenizer.id_to_token(index): index for index in range(len(tokenizer))}
    rows = torch.zeros(corpus.table_rows, dim)
    given = torch.zeros(corpus.table_rows, dtype=torch.bool)
    with _lines(path) as lines:
        for number, line in enumerate(lines, 1):
            parts = line.rstrip("\n").rstrip(" ").split(" ")
            if number == 1 and len(parts) == 2:
                continue
            if len(parts) != dim + 1:
                raise DataError(
                    f"{len(parts) - 1} numbers, but embed_dim is {dim}: "
                    "set embed_dim to the width of the vectors",
                    source=path,
                    line=number,
                )
            index = place.get(parts[0])
            if index is not None:
                try:
                    vector = np.array(parts[1:], dtype=np.float32)
                except ValueError as error:
                    raise DataError(f"not a vector ({error})", source=path, line=number) from None
                if not np.isfinite(vector).all():
                    raise DataError("the vector holds values that are not finite", source=path, line=number)
                rows[index] = torch.from_numpy(vector)
                given[index] = True
    found = int(given.sum())
    if not found:
        raise DataError(
            "has no vector for any token of the training data: check language and case", source=path
        )
    return InitialRows(rows, given, f"{found} of {len(tokenizer)} tokens start from the vectors in {path}.")


def check_vectors(path: str) -> None:
    """Refuse a path that cannot hold vectors before time is spent on the data.

    Raises:
        DataError: there is no such file, or it is a folder.
    """
    if not Path(path).exists():
        raise DataError("there is no such file of word vectors: check the path", source=path)
    if Path(path).is_dir():
        raise DataError("is a folder: give the file with the word vectors", source=path)


@contextmanager
def _lines(path: Path) -> Iterator[IO[str]]:
    try:
        with path.open("rb") as raw, gzip.open(raw) if path.suffix == ".gz" else raw as unpacked:
            yield io.TextIOWrapper(unpacked, encoding="utf-8")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"cannot be read ({getattr(error, 'strerror', None) or error})", source=path
        ) from None
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text in word2vec's format", source=path) from None
