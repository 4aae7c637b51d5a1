"""Adam in two forms: for the embedding table, of which a batch touches a few rows, and for all the rest.

A batch of short texts touches a few thousand of a hundred thousand rows. Adam over the whole table reads and
writes four table-sized arrays a step and costs more than the recurrent layer. :class:`RowAdam` updates the
touched rows alone. All other parameters are one vector (see ``parameters.py``), updated by :class:`AdamW`.
Both are one pass over the memory on the engine, and a few passes in torch without it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from unrolled import engine

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

    @torch.no_grad()
    def step(self, rows: Tensor, gradient: Tensor, rate: float, scale: float = 1.0) -> None:
        """One update of the touched rows.

        Args:
            rows: ``(n,)`` int32, ascending, no row twice.
            gradient: ``(n, dim)``.
            rate: learning rate of this step.
            scale: factor of the gradient.
        """
        self.steps += 1
        beta1, beta2 = self.betas
        size = rate * (1 - beta2**self.steps) ** 0.5 / (1 - beta1**self.steps)
        if engine.available():
            rule = engine.AdamRule(scale, beta1, beta2, self.eps, size)
            table, first, second = (tensor.numpy() for tensor in (self.table, self.first, self.second))
            engine.adam_rows(rule, table, first, second, rows.numpy(), gradient.contiguous().numpy())
            return
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = rows[start : start + _BLOCK_ROWS].long()
            g = gradient[start : start + _BLOCK_ROWS] * scale
            w, m, v = (tensor.index_select(0, block) for tensor in (self.table, self.first, self.second))
            m.lerp_(g, 1 - beta1)
            v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            self.first.index_copy_(0, block, m)
            self.second.index_copy_(0, block, v)
            w.addcdiv_(m, v.sqrt_().add_(self.eps), value=-size)
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

    @torch.no_grad()
    def step(self, gradient: Tensor, rate: float, scale: float = 1.0) -> None:
        """One update.

        Args:
            gradient: ``(n,)``.
            rate: learning rate of this step.
            scale: factor of the gradient.
        """
        self.steps += 1
        beta1, beta2 = self.betas
        correction = (1 - beta2**self.steps) ** 0.5
        eps = self.eps * correction  # eps belongs to the corrected root
        size, keep = rate * correction / (1 - beta1**self.steps), 1 - rate * self.weight_decay
        if engine.available():
            rule = engine.AdamRule(scale, beta1, beta2, eps, size, keep)
            values, first, second = (tensor.numpy() for tensor in (self.values, self.first, self.second))
            engine.adam(rule, values, first, second, gradient.contiguous().numpy())
            return
        gradient = gradient * scale
        self.first.lerp_(gradient, 1 - beta1)
        self.second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        self.values.mul_(keep).addcdiv_(self.first, self.second.sqrt().add_(eps), value=-size)

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
    if engine.available():
        norm = engine.norm([gradient.contiguous().numpy() for gradient in gradients])
    else:
        norm = float(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]).norm())
    if limit <= 0 or norm <= limit:
        return norm, 1.0
    return norm, limit / (norm + 1e-6)
