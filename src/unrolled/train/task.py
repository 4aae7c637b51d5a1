"""What the training loop asks of a task, whatever it learns: its data in batches, its loss and its score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn


class LearningOptions(Protocol):
    """The options that every training has."""

    @property
    def seed(self) -> int: ...
    @property
    def vectors(self) -> str: ...
    @property
    def members(self) -> int: ...
    @property
    def epochs(self) -> int: ...
    @property
    def patience(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def clip_norm(self) -> float: ...
    @property
    def average(self) -> float: ...
    def to_dict(self) -> dict[str, Any]: ...


class Batch(Protocol):
    """Some texts of a part."""

    @property
    def rows(self) -> np.ndarray:
        """``(n,)`` int32, the rows of the embedding table that they touch, in the order in which they do."""

    def encoded(self, numbers: np.ndarray) -> Any:
        """The input of the model, with ``numbers`` in place of :attr:`rows`."""


class Answers(Protocol):
    """What the model should answer, one entry a text or one a token."""

    def __len__(self) -> int: ...
    def select(self, texts: np.ndarray) -> Any:
        """The answers of some texts, in that order."""


class Part(Protocol):
    """The training data, or the dev data."""

    def __len__(self) -> int:
        """Number of texts."""

    @property
    def lengths(self) -> np.ndarray:
        """``(texts,)`` int64, tokens of each text."""

    @property
    def targets(self) -> Any:
        """:class:`Answers` of all texts."""

    def input(self, indices: np.ndarray) -> Batch:
        """Some texts, in that order."""

    def places(self, indices: np.ndarray) -> np.ndarray:
        """Where their answers stand among those of all."""


class Goal(Protocol):
    """What training makes small, and what it is judged by."""

    @property
    def outputs(self) -> int:
        """Scores an answer."""

    def numbers(self, targets: Any) -> Tensor:
        """The answers as the tensor that the loss takes."""

    def weight(self, numbers: Tensor) -> float:
        """What the answers of a batch weigh together."""

    def loss(self, model: nn.Module, batch: Any, rows: Tensor, numbers: Tensor) -> Tensor:
        """Sum of the weighted losses; ``rows`` stand for the embedding table."""

    def judge(self, weights: Mapping[str, Tensor], logits: np.ndarray, targets: Any) -> tuple[float, float]:
        """Loss (mean) and score (larger is better) of the scores of all texts of a part."""


class Data(Protocol):
    """All that a training reads."""

    @property
    def train(self) -> Part: ...
    @property
    def dev(self) -> Part: ...
    @property
    def fingerprint(self) -> dict[str, Any]:
        """What tells this data from other data."""

    @property
    def notes(self) -> list[str]:
        """What the user should know about the data, a sentence each."""
