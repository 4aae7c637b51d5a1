"""The peer of `training_step.py`: the network of `unrolled train classify`, written plainly in torch.

The same architecture as `unrolled.models.TextClassifier` with its defaults, and the same dropouts, as a
practitioner would write it: `nn.EmbeddingBag` over the rows of words and n-grams, padding and
`pack_padded_sequence` for the ragged batch, `nn.LSTM`, masked mean and maximum, `torch.optim.AdamW`.

`tuned=True` is what a practitioner does who has profiled it: sparse gradients and `SparseAdam` for the table,
of which a step touches a few rows, and the fused AdamW for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


@dataclass
class Text:
    """One text with its ids ready: rows of the table, those of the first token first; how many each token has
    ``(tokens,)``; the number of the label."""

    rows: Tensor
    counts: Tensor
    label: int


@dataclass
class Batch:
    """All rows ``(total_rows,)``, where each token's begin ``(tokens,)``, tokens and label of each text."""

    rows: Tensor
    starts: Tensor
    lengths: Tensor
    labels: Tensor

    @classmethod
    def of(cls, texts: list[Text]) -> Batch:
        counts = torch.cat([text.counts for text in texts])
        return cls(
            torch.cat([text.rows for text in texts]),
            counts.cumsum(0) - counts,
            torch.tensor([len(text.counts) for text in texts]),
            torch.tensor([text.label for text in texts]),
        )


class Model(nn.Module):
    """Sum of word and n-gram vectors, bidirectional LSTM, mean and maximum over the steps, linear."""

    def __init__(self, rows: int, dim: int, hidden: int, outputs: int, *, sparse: bool) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(rows, dim, mode="sum", sparse=sparse)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.lstm = nn.LSTM(dim, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(4 * hidden, outputs)

    def forward(self, batch: Batch) -> Tensor:
        """Scores ``(texts, outputs)``."""
        inside = (torch.arange(int(batch.lengths.max())) < batch.lengths[:, None])[:, :, None]
        states = self.encode(self.look_up(batch, inside), batch.lengths)
        scores: Tensor = self.output(self.dropout(self.pool(states, batch.lengths, inside)))
        return scores

    def look_up(self, batch: Batch, inside: Tensor) -> Tensor:
        """Vectors of the tokens, padded: ``(texts, longest, dim)``."""
        keep = None
        if self.training:
            keep = (torch.rand(len(batch.rows)) >= 0.3).float()  # n-grams; the word's own row stays
            keep[batch.starts] = 1.0
        vectors = self.embedding(batch.rows, batch.starts, keep)
        if self.training:
            vectors = vectors * (torch.rand(len(vectors), 1) >= 0.1)
        padded = vectors.new_zeros(*inside.shape[:2], vectors.shape[1])
        padded[inside[:, :, 0]] = vectors
        if self.training:
            padded = padded * F.dropout(torch.ones(len(padded), 1, padded.shape[2]), 0.3)
        return padded

    def encode(self, padded: Tensor, lengths: Tensor) -> Tensor:
        """States ``(texts, longest, 2 * hidden)``."""
        packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]

    def pool(self, states: Tensor, lengths: Tensor, inside: Tensor) -> Tensor:
        """Mean and maximum ``(texts, 4 * hidden)``."""
        mean = (states * inside).sum(1) / lengths[:, None]
        return torch.cat([mean, states.masked_fill(~inside, -torch.inf).amax(1)], dim=1)


class Trainer:
    """The model and its optimisers.

    Args:
        model: to be trained; made with ``sparse=tuned``.
        weight_decay: of all weights but the table's.
        tuned: see the head of this file.
    """

    def __init__(self, model: Model, *, weight_decay: float, tuned: bool) -> None:
        self.model = model
        self.tuned = tuned
        table = [model.embedding.weight]
        rest = [weight for name, weight in model.named_parameters() if not name.startswith("embedding")]
        self.optimizers: list[torch.optim.Optimizer]
        if tuned:
            adamw = torch.optim.AdamW(rest, weight_decay=weight_decay, fused=True)
            self.optimizers = [torch.optim.SparseAdam(table), adamw]
        else:
            groups = [
                {"params": table, "weight_decay": 0.0},
                {"params": rest, "weight_decay": weight_decay},
            ]
            self.optimizers = [torch.optim.AdamW(groups)]

    def step(self, texts: list[Text], rate: float) -> float:
        """One update; the loss of the batch."""
        batch = Batch.of(texts)
        self.model.train()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
        loss = F.cross_entropy(self.model(batch), batch.labels)
        loss.backward()
        self._clip()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss.item()

    def _clip(self) -> None:
        if not self.tuned:
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            return
        # clip_grad_norm_ does not take sparse gradients.
        table = self.model.embedding.weight
        assert table.grad is not None
        table.grad = table.grad.coalesce()
        gradients = [
            weight.grad.values() if weight.grad.is_sparse else weight.grad
            for weight in self.model.parameters()
            if weight.grad is not None
        ]
        norm = nn.utils.get_total_norm(gradients)
        if norm > 1.0:
            for gradient in gradients:
                gradient.mul_(1.0 / (norm + 1e-6))


@torch.no_grad()
def accuracy(model: Model, texts: list[Text]) -> float:
    """Share of texts whose label the model finds; an empty text counts as wrong."""
    model.eval()
    order = sorted((text for text in texts if len(text.counts)), key=lambda text: len(text.counts))
    right = 0
    for start in range(0, len(order), 256):
        batch = Batch.of(order[start : start + 256])
        right += int((model(batch).argmax(1) == batch.labels).sum())
    return right / len(texts)
