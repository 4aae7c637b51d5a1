"""Adam in two forms: for the embedding table, of which a batch touches a few rows, and for all the rest.

A batch of short texts touches a few thousand of a hundred thousand rows. Adam over the whole table reads and
writes four table-sized arrays a step and costs more than the recurrent layer. :class:`RowAdam` updates the
touched rows alone. All other parameters are one vector (see ``parameters.py``), updated by :class:`AdamW`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

#: Rows updated together: their values and both moments stay in the cache of a core between operations.
_BLOCK_ROWS = 1024


class RowAdam:
    """Lazy Adam: a row's moments decay only at steps that touch the row.

    The rule is that of ``torch.optim.SparseAdam`` (Kingma and Ba 2015, with the step size corrected by the
    count of all steps)::

        m = m + (1 - beta1) (g - m)        v = v + (1 - beta2) (g^2 - v)
        row = row - rate sqrt(1 - beta2^t) / (1 - beta1^t)  m / (sqrt(v) + eps)

    Args:
        table: ``(rows, dim)`` float32, changed in place.
        betas: decay of the first and second moment.
        eps: added to the root of the second moment.

    Attributes:
        first, second: ``(rows, dim)``, the moments.
        steps: steps made.
    """

    def __init__(
        self, table: Tensor, *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.table = table
        self.betas = betas
        self.eps = eps
        self.first = torch.zeros_like(table)
        self.second = torch.zeros_like(table)
        self.steps = 0
        self._buffers = [torch.empty(_BLOCK_ROWS, table.shape[1], dtype=table.dtype) for _ in range(3)]

    @torch.no_grad()
    def step(self, rows: Tensor, weights: Tensor, gradient: Tensor, rate: float) -> None:
        """One update of the touched rows.

        Args:
            rows: ``(n,)`` int64, no row twice.
            weights: ``(n, dim)``, the present values ``table[rows]``; changed in place too.
            gradient: ``(n, dim)``.
            rate: learning rate of this step.
        """
        self.steps += 1
        beta1, beta2 = self.betas
        size = rate * (1 - beta2**self.steps) ** 0.5 / (1 - beta1**self.steps)
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = rows[start : start + _BLOCK_ROWS]
            w = weights[start : start + _BLOCK_ROWS]
            g = gradient[start : start + _BLOCK_ROWS]
            m, v, root = (buffer[: len(block)] for buffer in self._buffers)
            torch.index_select(self.first, 0, block, out=m)
            torch.index_select(self.second, 0, block, out=v)
            m.lerp_(g, 1 - beta1)
            v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            self.first.index_copy_(0, block, m)
            self.second.index_copy_(0, block, v)
            torch.sqrt(v, out=root)
            w.addcdiv_(m, root.add_(self.eps), value=-size)
            self.table.index_copy_(0, block, w)

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on, beside the table."""
        return {"first": self.first, "second": self.second, "steps": torch.tensor(self.steps)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up a state given by :meth:`state`."""
        self.first.copy_(state["first"])
        self.second.copy_(state["second"])
        self.steps = int(state["steps"])


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019) for one vector of parameters.

    The rule is that of ``torch.optim.AdamW``. That class is not used because it brings in torch's compiler,
    which takes longer to import and more memory than all of a small training needs.

    Args:
        values: ``(n,)`` float32, changed in place.
        weight_decay: each step takes away this share of a weight, times the learning rate.
        betas: decay of the first and second moment.
        eps: added to the root of the second moment.
    """

    def __init__(
        self,
        values: Tensor,
        *,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.values = values
        self.weight_decay = weight_decay
        self.betas = betas
        self.eps = eps
        self.first = torch.zeros_like(values)
        self.second = torch.zeros_like(values)
        self.steps = 0
        self._root = torch.empty_like(values)

    @torch.no_grad()
    def step(self, gradient: Tensor, rate: float) -> None:
        """One update.

        Args:
            gradient: ``(n,)``.
            rate: learning rate of this step.
        """
        self.steps += 1
        beta1, beta2 = self.betas
        correction = (1 - beta2**self.steps) ** 0.5
        self.first.lerp_(gradient, 1 - beta1)
        self.second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        torch.sqrt(self.second, out=self._root)
        self._root.add_(self.eps * correction)  # eps belongs to the corrected root
        self.values.mul_(1 - rate * self.weight_decay)
        self.values.addcdiv_(self.first, self._root, value=-rate * correction / (1 - beta1**self.steps))

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on, beside the values."""
        return {"first": self.first, "second": self.second, "steps": torch.tensor(self.steps)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up a state given by :meth:`state`."""
        self.first.copy_(state["first"])
        self.second.copy_(state["second"])
        self.steps = int(state["steps"])


def clip_scale(gradients: list[Tensor], limit: float) -> tuple[float, float]:
    """Norm of all gradients taken as one vector, and the factor that brings it down to the limit.

    The touched rows of the table count like every other parameter, as ``torch.nn.utils.clip_grad_norm_`` over
    all parameters of the model would have it.

    Args:
        gradients: of any shapes.
        limit: largest norm wanted; 0 for no limit.

    Returns:
        the norm before scaling, and a factor of at most 1.
    """
    norm = float(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]).norm())
    if limit <= 0 or norm <= limit:
        return norm, 1.0
    return norm, limit / (norm + 1e-6)
