"""Word vectors as the first rows of the embedding table."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unrolled.embed.opening import vectors_of
from unrolled.errors import DataError
from unrolled.options import ClassifierOptions
from unrolled.text.tokenizer import PAD_TOKEN, UNK_TOKEN
from unrolled.train.corpus import Corpus


@dataclass(frozen=True)
class InitialRows:
    """Rows of the table that a file gives.

    Attributes:
        rows: ``(table_rows, dim)`` float32.
        given: ``(table_rows,)`` bool, true where the vectors have the token.
        note: how many tokens have a vector.
    """

    rows: Tensor
    given: Tensor
    note: str


def initial_rows(options: ClassifierOptions, corpus: Corpus) -> InitialRows:
    """Look up the vocabulary's tokens in word vectors of any kind (:mod:`unrolled.embed.opening`).

    Raises:
        DataError, ModelFileError: the vectors cannot be read, have another width than ``embed_dim``, or none
            for any of the tokens.
    """
    path, dim = options.vectors, options.embed_dim
    tokenizer = corpus.tokenizer
    place = {tokenizer.id_to_token(index): index for index in range(len(tokenizer))}
    width, found = vectors_of(path, place, special=(PAD_TOKEN, UNK_TOKEN))
    if width != dim:
        raise DataError(
            f"its vectors have {width} numbers, but embed_dim is {dim}: set embed_dim to {width}", source=path
        )
    if not found:
        raise DataError(
            "has no vector for any token of the training data: check language and case", source=path
        )
    rows = torch.zeros(corpus.table_rows, dim)
    given = torch.zeros(corpus.table_rows, dtype=torch.bool)
    for word, vector in found.items():
        rows[place[word]] = torch.from_numpy(vector.copy())
        given[place[word]] = True
    note = f"{len(found)} of {len(tokenizer)} tokens start from the vectors in {path}."
    return InitialRows(rows, given, note)
