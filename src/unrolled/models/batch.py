"""The input of a model: which rows of the embedding table make up each token of each text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unrolled.layers.layout import Layout
from unrolled.text.pipeline import TextBatch


@dataclass(frozen=True)
class EncodedBatch:
    """A batch of texts as torch tensors.

    Attributes:
        rows: ``(total_rows,)`` int32 or int64, row ids of all tokens, one token after the other.
        starts: ``(total_tokens,)`` int64, where each token's rows begin in ``rows``.
        layout: how the tokens lie in the texts, ``lengths (batch,)``.
    """

    rows: Tensor
    starts: Tensor
    layout: Layout

    @classmethod
    def of(cls, batch: TextBatch) -> EncodedBatch:
        """From the numpy side. The arrays are copied, so memory-mapped batches are fine."""
        bags = batch.rows
        starts = np.zeros(len(bags.lengths), dtype=np.int64)
        np.cumsum(bags.lengths[:-1], out=starts[1:])
        return cls(
            rows=torch.from_numpy(bags.values.astype(np.int64)),
            starts=torch.from_numpy(starts),
            layout=Layout(batch.tokens.lengths),
        )

    def localised(self) -> tuple[EncodedBatch, Tensor]:
        """The same batch over only those rows of the table that it touches.

        Returns:
            the batch with rows numbered from 0, and ``touched (unique_rows,)`` int64, the sorted row of the
            table behind each new number: ``model(local, rows=table[touched])`` equals ``model(batch)``.
        """
        touched, numbers = torch.unique(self.rows, return_inverse=True)
        return EncodedBatch(numbers, self.starts, self.layout), touched

    def __len__(self) -> int:
        """Number of texts."""
        return self.layout.batch
