"""Exponential moving average of the weights, at no cost for rows of the table that stand still."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class WeightAverage:
    """Average of the weights after each step, the latest weighing most (Polyak averaging with decay).

    After ``t`` steps with weights ``w_1 .. w_t``::

        average = (1 - decay) sum_i decay^(t - i) w_i / (1 - decay^t)

    so the average is unbiased from the first step on. A row of the table keeps its weight between two
    touches, and ``n`` steps with the same weight have the closed form ``s = decay^n s + (1 - decay^n) w``. So
    each row remembers up to which step its sum reaches and catches up just before it changes: exact, and paid
    for touched rows only.

    Args:
        dense: ``(n,)``, all other parameters as one vector; read after each step.
        table: ``(rows, dim)``; read when rows are touched.
        decay: between 0 and 1.
    """

    def __init__(self, dense: Tensor, table: Tensor, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self._dense = dense
        self._table = table
        self._dense_sum = torch.zeros_like(dense)
        self._table_sum = torch.zeros_like(table)
        self._reached = torch.zeros(len(table), dtype=torch.int32)

    @torch.no_grad()
    def before_step(self, rows: Tensor, weights: Tensor) -> None:
        """Account for the weights that are about to change.

        Args:
            rows: ``(n,)`` int32 or int64, no row twice.
            weights: ``(n, dim)``, the present values ``table[rows]``.
        """
        rows = rows.long()
        share = self._share(self._reached[rows])
        self._table_sum.index_copy_(0, rows, self._table_sum[rows].lerp_(weights, share))
        self._reached[rows] = self.steps

    @torch.no_grad()
    def after_step(self) -> None:
        """A step was made: the present weights enter the average."""
        self.steps += 1
        self._dense_sum.lerp_(self._dense, 1 - self.decay)

    @torch.no_grad()
    def averaged(self) -> tuple[Tensor, Tensor]:
        """The averages of ``dense`` and ``table``, as new tensors; the weights before the first step."""
        if self.steps == 0:
            return self._dense.clone(), self._table.clone()
        whole = -math.expm1(self.steps * math.log(self.decay))
        table = torch.lerp(self._table_sum, self._table, self._share(self._reached))
        return self._dense_sum / whole, table.div_(whole)

    def _share(self, reached: Tensor) -> Tensor:
        """What all steps that a row missed weigh together: ``1 - decay^missed``, of shape ``(n, 1)``."""
        missed = (self.steps - reached).to(torch.float64)
        # expm1, because 1 - decay is far smaller than 1: the difference of two float32 would lose its digits.
        return torch.expm1(missed * math.log(self.decay)).neg_().to(self._table.dtype)[:, None]

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on, beside the weights."""
        return {
            "dense_sum": self._dense_sum,
            "table_sum": self._table_sum,
            "reached": self._reached,
            "steps": torch.tensor(self.steps),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up a state given by :meth:`state`."""
        self._dense_sum.copy_(state["dense_sum"])
        self._table_sum.copy_(state["table_sum"])
        self._reached.copy_(state["reached"])
        self.steps = int(state["steps"])
