"""A linear-chain conditional random field on top of tag scores: the loss of a tagger, and its decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unrolled import engine
from unrolled.errors import OptionError
from unrolled.layers.arrays import array_of
from unrolled.layers.layout import Layout

Lengths = Layout | Tensor | np.ndarray | Sequence[int]


class CRF(nn.Module):
    """Linear-chain conditional random field (Lafferty, McCallum and Pereira 2001) over ragged batches.

    A path of tags has the score ``start[first] + sum of scores + sum of transitions + end[last]`` and the
    probability ``exp(score) / Z``. The equations are in :mod:`unrolled.cells.crf`. Forward-backward and
    Viterbi run in the engine, on the CPU, in float64 inside. A second derivative is not to be had.

    Args:
        tags: number of tags, at least 1.
        allowed: ``(tags, tags)`` bool, ``[a, b]`` whether b may follow a; ``None``: always. What is forbidden
            has probability 0, whatever the weights, and gets no gradient.
        allowed_start, allowed_end: ``(tags,)`` bool, whether a sequence may start or end with the tag.
        device, dtype: of the weights.

    Attributes:
        transitions: ``(tags, tags)``, ``[a, b]`` for going from a to b; at first uniform in -0.1 .. 0.1.
        start, end: ``(tags,)``, likewise.

    Raises:
        OptionError: a number of tags below 1, or a mask of another shape or type.
    """

    allowed: Tensor | None
    allowed_start: Tensor | None
    allowed_end: Tensor | None

    def __init__(
        self,
        tags: int,
        *,
        allowed: Tensor | np.ndarray | None = None,
        allowed_start: Tensor | np.ndarray | None = None,
        allowed_end: Tensor | np.ndarray | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if tags < 1:
            raise OptionError(f"a CRF with {tags} tags; give at least 1.")
        self.tags = tags
        self.transitions = nn.Parameter(torch.empty(tags, tags, device=device, dtype=dtype))
        self.start = nn.Parameter(torch.empty(tags, device=device, dtype=dtype))
        self.end = nn.Parameter(torch.empty(tags, device=device, dtype=dtype))
        self.register_buffer("allowed", _mask("allowed", allowed, (tags, tags), device))
        self.register_buffer("allowed_start", _mask("allowed_start", allowed_start, (tags,), device))
        self.register_buffer("allowed_end", _mask("allowed_end", allowed_end, (tags,), device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew, uniform in -0.1 .. 0.1."""
        for weight in (self.transitions, self.start, self.end):
            nn.init.uniform_(weight, -0.1, 0.1)

    def extra_repr(self) -> str:
        return f"{self.tags}"

    def weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Transitions, start and end with -inf where they are forbidden; gradients pass to the parameters."""
        return (
            _forbidding(self.transitions, self.allowed),
            _forbidding(self.start, self.allowed_start),
            _forbidding(self.end, self.allowed_end),
        )

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, scores: Tensor, lengths: Lengths, targets: Tensor) -> Tensor:
        """Negative log-likelihood of each sequence, in nats.

        Args:
            scores: ``(total, tags)``, of each tag at each word of a ragged batch.
            lengths: words of each sequence, ``(batch,)``, zero allowed; or the layout of the batch.
            targets: ``(total,)`` integers, the true tag of each word.

        Returns:
            ``(batch,)``; an empty sequence has 0. Divide by the lengths, sum or average as you like.

        Raises:
            ValueError: shapes that do not fit, or targets that are forbidden; the message names the sequence.
        """
        losses: Tensor = _Loss.apply(  # type: ignore[no-untyped-call]
            scores, _lengths(lengths), targets, *self.weights()
        )
        return losses

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    @torch.no_grad()
    def decode(self, scores: Tensor, lengths: Lengths) -> tuple[Tensor, Tensor]:
        """The best tags ``(total,)`` int64 and the score of each sequence's path ``(batch,)``.

        Args:
            scores, lengths: as for :meth:`forward`.

        Returns:
            See :func:`unrolled.engine.crf_decode` for ties and for sequences that can have no tags.
        """
        decoded, best = engine.crf_decode(*_arrays(scores, _lengths(lengths), *self.weights()))
        return torch.from_numpy(decoded).long().to(scores.device), torch.from_numpy(best).to(scores)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    @torch.no_grad()
    def marginals(self, scores: Tensor, lengths: Lengths) -> Tensor:
        """Probability of each tag at each word, ``(total, tags)``; it carries no gradient.

        Args:
            scores, lengths: as for :meth:`forward`.

        Raises:
            ValueError: a sequence that can have no tags.
        """
        return torch.from_numpy(
            engine.crf_marginals(*_arrays(scores, _lengths(lengths), *self.weights()))
        ).to(scores)


class _Loss(torch.autograd.Function):
    """The engine gives the gradient of the sum of the losses along with the losses."""

    @staticmethod
    def forward(
        ctx: Any,
        scores: Tensor,
        lengths: Tensor,
        targets: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
    ) -> Tensor:
        result = engine.crf_loss(*_arrays(scores, lengths, transitions, start, end), array_of(targets.cpu()))
        # Kept as tensors, so that autograd frees them with the graph and notices a change in place.
        gradients = (torch.from_numpy(gradient) for gradient in result[1:])
        ctx.save_for_backward(scores, lengths, targets, transitions, start, end, *gradients)
        return torch.from_numpy(result.losses).to(scores)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        d_scores, *d_weights = _Gradient.apply(*upstream, *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return d_scores, None, None, *d_weights


class _Gradient(torch.autograd.Function):
    """The backward pass of :class:`_Loss`, a node of its own so that it can refuse a second derivative."""

    @staticmethod
    def forward(
        ctx: Any,
        d_losses: Tensor,
        scores: Tensor,
        lengths: Tensor,
        targets: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        *of_sum: Tensor,
    ) -> tuple[Tensor, ...]:
        factors = d_losses.cpu()
        found: Sequence[Tensor]
        if len(factors) and bool((factors == factors[0]).all()):
            factor = factors[0].item()
            found = of_sum if factor == 1.0 else [gradient * factor for gradient in of_sum]
        else:
            # The losses do not count alike: the pass over the words once more, with their weights.
            chain = _arrays(scores, lengths, transitions, start, end)
            again = engine.crf_loss(*chain, array_of(targets.cpu()), array_of(factors.to(of_sum[0].dtype)))
            found = [torch.from_numpy(gradient) for gradient in again[1:]]
        return tuple(d.to(t) for d, t in zip(found, (scores, transitions, start, end), strict=True))

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        raise RuntimeError("the loss of a CRF cannot be differentiated twice")


def _arrays(
    scores: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, end: Tensor
) -> tuple[Any, Any, Any, Any, Any]:
    """What the engine reads: on the CPU, all in the type of the scores, float32 for half precision."""
    dtype = torch.float64 if scores.dtype == torch.float64 else torch.float32
    numbers = (array_of(t.to("cpu", dtype)) for t in (scores, transitions, start, end))
    first, *rest = numbers
    return first, array_of(lengths), *rest  # type: ignore[return-value]


def _lengths(lengths: Lengths) -> Tensor:
    return lengths.lengths if isinstance(lengths, Layout) else Layout(lengths).lengths


def _forbidding(weight: Tensor, allowed: Tensor | None) -> Tensor:
    return weight if allowed is None else weight.masked_fill(~allowed, -torch.inf)


def _mask(
    name: str, mask: Tensor | np.ndarray | None, shape: tuple[int, ...], device: torch.device | str | None
) -> Tensor | None:
    if mask is None:
        return None
    tensor = torch.as_tensor(mask, device=device)
    if tensor.shape != shape or tensor.dtype != torch.bool:
        found = f"{tuple(tensor.shape)} of {tensor.dtype}"
        raise OptionError(f"{name} has shape {found}; give {shape} of torch.bool.")
    return tensor.clone()
