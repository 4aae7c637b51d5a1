"""One model while it learns: its weights and all that changes with them, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from unrolled import engine
from unrolled.errors import TrainingError
from unrolled.train.average import WeightAverage
from unrolled.train.distributed import Ranks
from unrolled.train.optimizer import AdamW, RowAdam, clip_scale
from unrolled.train.parameters import FlatParameters
from unrolled.train.task import Goal, LearningOptions, Part

TABLE = "embedding.weight"
_EVALUATION_TOKENS = 16_384
_EVALUATION_TEXTS = 512


@dataclass(frozen=True)
class Step:
    """What one step did: summed loss of its texts, their weight, norm of the gradient, a request to stop."""

    loss: float
    weight: float
    norm: float
    stop: bool


class Learner:
    """Model, optimisers and average of one member.

    Random numbers (initial weights, dropout) depend on the member's seed, the step and the process alone, so
    a training that was interrupted continues with the same ones.

    Args:
        options: of the training.
        build: makes the model, whose table is its parameter :data:`TABLE`.
        objective: the loss.
        seed: of this member.
        ranks: the processes that train together.
        vectors: initial ``(table_rows, dim)`` and a mask ``(table_rows,)`` of the rows that it gives, or
            ``None``.
        freeze: keep the given vectors as they are.
    """

    def __init__(
        self,
        options: LearningOptions,
        build: Callable[[], nn.Module],
        objective: Goal,
        *,
        seed: int,
        ranks: Ranks,
        vectors: tuple[Tensor, Tensor] | None = None,
        freeze: bool = False,
    ) -> None:
        _seed(_mixed(seed))
        self.model = build()
        self._table = self.model.get_parameter(TABLE).requires_grad_(False).data
        self._frozen: Tensor | None = None
        if vectors is not None:
            given, where = vectors
            self._table[where] = given[where]
            self._frozen = where if freeze else None
        dense = {name: parameter for name, parameter in self.model.named_parameters() if name != TABLE}
        self._flat = FlatParameters(dense)
        self._dense_adam = AdamW(self._flat.values, weight_decay=options.weight_decay)
        self._row_adam = RowAdam(self._table)
        self._average = (
            WeightAverage(self._flat.values, self._table, options.average) if options.average else None
        )
        self._options = options
        self._objective = objective
        self._seed = seed
        self._ranks = ranks
        self.steps = 0

    def step(self, part: Part, indices: np.ndarray, rate: float, *, stop: bool = False) -> Step:
        """One update from one batch of texts, which the processes divide among them.

        Args:
            part: the training data.
            indices: texts of the batch, the same in all processes.
            rate: learning rate.
            stop: this process was asked to stop; all learn of it.

        Raises:
            TrainingError: the loss or the gradient is not a finite number; the weights are as before the
                step.
        """
        ranks = self._ranks
        mine = indices[ranks.rank :: ranks.size]
        batch = part.input(mine)
        rows = batch.rows
        if ranks.size == 1:
            touched, numbers = engine.number_rows(rows, len(self._table))
        else:
            touched = np.unique(part.input(indices).rows)
            numbers = np.searchsorted(touched, rows).astype(np.int32)
        touched_rows = torch.from_numpy(touched)
        weights = torch.from_numpy(engine.gather(self._table.numpy(), touched))
        if self._average is not None:
            self._average.before_step(touched_rows, weights)
        leaf = weights.detach().requires_grad_()
        weight = self._objective.weight(self._objective.numbers(part.targets.select(indices)))
        self._flat.gradient.zero_()
        _seed(_mixed(self._seed, self.steps + 1, ranks.rank))
        self.model.train()
        report = torch.zeros(2, dtype=torch.float64)
        gradient: Tensor | None = None
        if len(mine):
            targets = self._objective.numbers(part.targets.select(mine))
            loss = self._objective.loss(self.model, batch.encoded(numbers), leaf, targets)
            torch.autograd.backward(loss / weight)
            report[0] = loss.detach()
            gradient = leaf.grad
        if gradient is None:
            gradient = torch.zeros_like(weights)
        report[1] = float(stop)
        ranks.add_up(self._flat.gradient, gradient, report)
        if self._frozen is not None:
            gradient.masked_fill_(self._frozen[touched_rows.long()][:, None], 0.0)
        norm, scale = clip_scale([self._flat.gradient, gradient], self._options.clip_norm)
        total = float(report[0])
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise TrainingError(_not_finite(self.steps + 1, total, self._options))
        self._dense_adam.step(self._flat.gradient, rate, scale)
        self._row_adam.step(touched_rows, gradient, rate, scale)
        if self._average is not None:
            self._average.after_step()
        self.steps += 1
        return Step(total, weight, norm, bool(report[1] > 0))

    def weights(self) -> dict[str, Tensor]:
        """Copies of the weights to judge and keep, by name: the average if there is one, else the present."""
        if self._average is None:
            dense, table = self._flat.values.clone(), self._table.clone()
        else:
            dense, table = self._average.averaged()
        return {TABLE: table, **self._flat.named(dense)}

    @torch.no_grad()
    def logits(self, weights: Mapping[str, Tensor], part: Part) -> np.ndarray:
        """Scores of all texts, or tokens, of a part under given weights: ``(n, outputs)`` float32."""
        self.model.eval()
        ranks = self._ranks
        output = torch.zeros(len(part.targets), self._objective.outputs)
        order = np.argsort(part.lengths, kind="stable")
        for start, stop in _evaluation_batches(part.lengths[order])[ranks.rank :: ranks.size]:
            chosen = order[start:stop]
            batch = part.input(chosen)
            places = torch.from_numpy(part.places(chosen))
            output[places] = torch.func.functional_call(
                self.model, dict(weights), (batch.encoded(batch.rows),)
            )
        ranks.add_up(output)
        result: np.ndarray = output.numpy()
        return result

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on, as named tensors."""
        parts: dict[str, Mapping[str, Tensor]] = {
            "weights": {TABLE: self._table, "dense": self._flat.values},
            "dense_adam": self._dense_adam.state(),
            "row_adam": self._row_adam.state(),
            "average": self._average.state() if self._average is not None else {},
            "learner": {"steps": torch.tensor(self.steps)},
        }
        return {
            f"{part}.{name}": tensor for part, content in parts.items() for name, tensor in content.items()
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up a state given by :meth:`state`."""

        def part(name: str) -> dict[str, Tensor]:
            return {
                key.removeprefix(f"{name}."): value
                for key, value in state.items()
                if key.startswith(f"{name}.")
            }

        self._table.copy_(state[f"weights.{TABLE}"])
        self._flat.values.copy_(state["weights.dense"])
        self._dense_adam.load_state(part("dense_adam"))
        self._row_adam.load_state(part("row_adam"))
        if self._average is not None:
            self._average.load_state(part("average"))
        self.steps = int(state["learner.steps"])


def _mixed(*numbers: int) -> int:
    """One seed from several numbers; close numbers give unrelated seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _seed(seed: int) -> None:
    # torch.manual_seed also prepares devices and its compiler, which takes longer than a whole forward pass.
    torch.default_generator.manual_seed(seed)


def _evaluation_batches(lengths: np.ndarray) -> list[tuple[int, int]]:
    """Runs of neighbours in an ascending order of lengths, bounded in texts and tokens."""
    spans, start, tokens = [], 0, 0
    for position, length in enumerate(lengths.tolist()):
        if position > start and (
            tokens + length > _EVALUATION_TOKENS or position - start == _EVALUATION_TEXTS
        ):
            spans.append((start, position))
            start, tokens = position, 0
        tokens += length
    if start < len(lengths):
        spans.append((start, len(lengths)))
    return spans


def _not_finite(step: int, loss: float, options: LearningOptions) -> str:
    what = "the gradient" if math.isfinite(loss) else "the loss"
    clip = (
        f"clip_norm 1 (now {options.clip_norm:g})"
        if not 0 < options.clip_norm <= 1
        else "a smaller clip_norm"
    )
    rate = f"learning_rate (now {options.learning_rate:g}; try {options.learning_rate / 4:g})"
    return (
        f"At step {step} {what} is no longer a finite number, so training was stopped. "
        f"Train again with a lower {rate}, or with {clip}."
    )
