"""The gated recurrent unit layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unrolled.layers.inputs import FormT
from unrolled.layers.recurrent import RecurrentLayer
from unrolled.layers.scan import Tier


class GRU(RecurrentLayer):
    """Gated recurrent unit (Cho et al. 2014), drop-in for ``torch.nn.GRU``; the equations are in
    ``unrolled.cells.gru``.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        num_layers: layers on top of each other.
        bias: whether the cells have biases.
        batch_first: padded tensors are ``(batch, seq, features)`` instead of ``(seq, batch, features)``.
        dropout: probability of dropping a feature between layers, in training.
        bidirectional: a second direction reads each sequence from its end; outputs are concatenated.
        device: where the parameters live.
        dtype: of the parameters.
        recurrent_dropout: probability of dropping a feature of ``h_{t-1}``, one mask a sequence, in training
            (Gal and Ghahramani 2016).
        tier: how to compute, see ``unrolled.layers.scan``.

    Raises:
        OptionError: if an argument is out of range.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        recurrent_dropout: float = 0.0,
        tier: Tier = "auto",
    ) -> None:
        super().__init__(
            "GRU",
            input_size,
            hidden_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            recurrent_dropout=recurrent_dropout,
            tier=tier,
            device=device,
            dtype=dtype,
        )

    def forward(
        self,
        input: FormT,
        hx: Tensor | None = None,
        *,
        lengths: Tensor | np.ndarray | Sequence[int] | None = None,
    ) -> tuple[FormT, Tensor]:
        """Outputs in the form of the input, and the final states ``h_n``; forms and shapes: see the base
        class.

        Args:
            input: the sequences.
            hx: initial states ``(layers * directions, batch, hidden)``; zero if ``None``.
            lengths: tokens a sequence, ``(batch,)``, if ``input`` is padded.

        Raises:
            ValueError: if a shape or type does not fit; names the expected one.
        """
        out, (h_n,) = self._run(input, [hx], lengths)
        return out, h_n
