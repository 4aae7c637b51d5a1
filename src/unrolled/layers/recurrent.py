"""What the recurrent layers share: parameters, input forms, layers, directions and dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from unrolled.cells import CellWeights, Kind
from unrolled.errors import OptionError
from unrolled.layers.inputs import FormT, Ragged, read_input
from unrolled.layers.library import library_stack
from unrolled.layers.scan import TIERS, Tier
from unrolled.layers.traced import Traced, is_traced, read_traced


class RecurrentLayer(nn.RNNBase):
    """Base of :class:`RNN`, :class:`LSTM` and :class:`GRU`; not for direct use.

    The parameters come from torch's own base class, so their names, shapes, initialisation and order of
    random draws are torch's: the same seed gives the same weights, and a ``state_dict`` loads either way. The
    computation is ours.

    Input forms of ``forward(input, hx=None, *, lengths=None)``:

    - a tensor ``(seq, batch, input)``, or ``(batch, seq, input)`` with ``batch_first``; one sequence ``(seq,
      input)``;
    - the same padded, with ``lengths (batch,)``: what lies after the end is ignored, and the output is zero
      there;
    - a ``PackedSequence``, sorted or not;
    - a ``SequenceBatch`` of tensors, values ``(total, input)``.

    The output has the form of the input, with ``directions * hidden`` features. Final states belong to the
    true end of each sequence, ``(layers * directions, batch, hidden)``, or without the batch axis for one
    sequence. Sequences of length 0 are allowed wherever lengths are given: their final states are their
    initial states.
    """

    kind: Kind

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        recurrent_dropout: float,
        tier: Tier,
        device: Any,
        dtype: torch.dtype | None,
    ) -> None:
        for name, size in (
            ("input_size", input_size),
            ("hidden_size", hidden_size),
            ("num_layers", num_layers),
        ):
            if not isinstance(size, int) or size < 1:
                raise OptionError(f"{name} must be an integer of at least 1, got {size!r}")
        if not 0 <= dropout <= 1:
            raise OptionError(f"dropout must be a probability between 0 and 1, got {dropout!r}")
        if not 0 <= recurrent_dropout < 1:
            raise OptionError(f"recurrent_dropout must be at least 0 and below 1, got {recurrent_dropout!r}")
        if tier not in TIERS:
            raise OptionError(f"tier must be one of {', '.join(TIERS)}, got {tier!r}")
        super().__init__(
            mode,
            input_size,
            hidden_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
        )
        self.kind: Kind = mode.lower()  # type: ignore[assignment]
        self.recurrent_dropout = recurrent_dropout
        self.tier: Tier = tier

    def extra_repr(self) -> str:
        """As torch's, with what it does not know."""
        text: str = super().extra_repr()
        text += f", recurrent_dropout={self.recurrent_dropout}" if self.recurrent_dropout else ""
        return text + (f", tier={self.tier}" if self.tier != "auto" else "")

    def weights(self, layer: int, direction: int) -> CellWeights:
        """The weights of one layer (0 is the first) and direction (0 forward, 1 backward)."""
        return self._cell_weights()[layer][direction]

    def _cell_weights(self) -> list[list[CellWeights]]:
        # Looking into the dictionary spares half a microsecond a weight; a parametrized one is not there.
        own = self._parameters
        found = [
            CellWeights(*(own[name] if name in own else getattr(self, name) for name in names))
            for names in self._all_weights
        ]
        directions = 2 if self.bidirectional else 1
        return [found[row : row + directions] for row in range(0, len(found), directions)]

    def _run(
        self,
        data: FormT,
        states: Sequence[Tensor | None],
        lengths: Tensor | np.ndarray | Sequence[int] | None,
    ) -> tuple[FormT, list[Tensor]]:
        """The whole layer: from ``h0`` (and ``c0``) as the user gave them to output and final states."""
        batch: Ragged | Traced
        if not is_traced():
            batch = read_input(data, lengths, input_size=self.input_size, batch_first=self.batch_first)
        elif not isinstance(data, PackedSequence):
            batch = read_traced(data, lengths, input_size=self.input_size, batch_first=self.batch_first)
        elif torch.compiler.is_compiling():
            # The shapes depend on the contents of a PackedSequence: a break of the graph.
            run = torch.compiler.disable(self._run)  # type: ignore[no-untyped-call]
            return cast(tuple[FormT, list[Tensor]], run(data, states, lengths))
        else:
            raise TypeError(
                "a PackedSequence cannot be traced; use a SequenceBatch, or a tensor with lengths"
            )
        self._check_dtype(batch.values)
        initial = [
            self._initial(state, name, batch) for state, name in zip(states, ("h0", "c0"), strict=False)
        ]
        out, finals = self._stack(batch, initial)
        if not batch.batched:
            finals = [final.squeeze(1) for final in finals]
        return cast(FormT, batch.restore(out)), finals

    def _stack(self, batch: Ragged | Traced, initial: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        x = batch.values
        h0, c0 = initial[0], initial[1] if len(initial) == 2 else None
        weights = self._cell_weights()
        variational = self.recurrent_dropout if self.training else 0.0
        if (
            isinstance(batch, Ragged) and x.is_cuda and not variational and self.tier in ("auto", "torch")
        ):  # fmt: skip
            out, h_n, c_n = library_stack(
                self.kind,
                x.flatten(0, -2),
                batch.layout,
                h0,
                c0,
                [weight for layer in weights for w in layer for weight in w if weight is not None],
                bias=self.bias,
                layers=self.num_layers,
                bidirectional=self.bidirectional,
                dropout=self.dropout,
                training=self.training,
            )
            return out.view(*x.shape[:-1], -1), [h_n] if c_n is None else [h_n, c_n]

        one = self.num_layers == 1
        directions = 2 if self.bidirectional else 1
        finals: list[list[Tensor]] = []
        for layer in range(self.num_layers):
            if layer > 0 and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            rows = slice(layer * directions, (layer + 1) * directions)
            h0_here, c0_here = h0 if one else h0[rows], c0 if one or c0 is None else c0[rows]
            mask = _variational_mask(h0_here, variational) if variational else None
            x, h_n, c_n = batch.scan(
                self.kind, x, h0_here, c0_here, weights[layer], mask=mask, tier=self.tier
            )
            finals.append([h_n] if c_n is None else [h_n, c_n])
        return x, finals[0] if one else [torch.cat(states) for states in zip(*finals, strict=True)]

    def _initial(self, state: Tensor | None, name: str, given: Ragged | Traced) -> Tensor:
        rows = self.num_layers * (2 if self.bidirectional else 1)
        batch = given.batch
        if state is None:
            return given.values.new_zeros(rows, batch, self.hidden_size)
        if not isinstance(state, Tensor):
            raise TypeError(f"expected {name} as a tensor, got {type(state).__name__}")
        expected = (rows, batch, self.hidden_size) if given.batched else (rows, self.hidden_size)
        if tuple(state.shape) != expected:
            axes = (
                "(layers * directions, batch, hidden)" if given.batched else "(layers * directions, hidden)"
            )
            raise ValueError(f"expected {name} of shape {expected} = {axes}, got {tuple(state.shape)}")
        return state if given.batched else state.unsqueeze(1)

    def _check_dtype(self, values: Tensor) -> None:
        weight = self.weight_ih_l0
        if values.dtype != weight.dtype and not torch.is_autocast_enabled(values.device.type):
            raise ValueError(
                f"expected an input of {weight.dtype}, the type of the weights, got {values.dtype}"
            )


def _variational_mask(like: Tensor, probability: float) -> Tensor:
    """One dropout mask a sequence for all its steps (Gal and Ghahramani 2016), scaled to keep the mean."""
    return torch.empty_like(like).bernoulli_(1 - probability).div_(1 - probability)
