"""The long short-term memory layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unrolled.errors import OptionError
from unrolled.layers.inputs import FormT
from unrolled.layers.recurrent import RecurrentLayer
from unrolled.layers.scan import Tier


class LSTM(RecurrentLayer):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), drop-in for ``torch.nn.LSTM``.

    The equations are in ``unrolled.cells.lstm``.

    Args:
        input_size: features of the input.
        hidden_size: features of the state.
        num_layers: layers on top of each other.
        bias: whether the cells have biases.
        batch_first: padded tensors are ``(batch, seq, features)`` instead of ``(seq, batch, features)``.
        dropout: probability of dropping a feature between layers, in training.
        bidirectional: a second direction reads each sequence from its end; outputs are concatenated.
        proj_size: only 0, no projection of the output, is supported.
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
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        recurrent_dropout: float = 0.0,
        tier: Tier = "auto",
    ) -> None:
        if proj_size:
            raise OptionError(
                f"proj_size must be 0, got {proj_size!r}: an LSTM with projected output is not supported. "
                "Use a torch.nn.Linear on the output."
            )
        super().__init__(
            "LSTM",
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
        hx: tuple[Tensor, Tensor] | None = None,
        *,
        lengths: Tensor | np.ndarray | Sequence[int] | None = None,
    ) -> tuple[FormT, tuple[Tensor, Tensor]]:
        """Outputs in the form of the input, and the final states ``(h_n, c_n)``; forms and shapes: see the
        base.

        Args:
            input: the sequences.
            hx: initial states ``(h0, c0)``, each ``(layers * directions, batch, hidden)``; zero if ``None``.
            lengths: tokens a sequence, ``(batch,)``, if ``input`` is padded.

        Raises:
            ValueError: if a shape or type does not fit; names the expected one.
        """
        if hx is not None and (isinstance(hx, Tensor) or len(hx) != 2):
            raise ValueError("expected hx as a pair (h0, c0)")
        out, (h_n, c_n) = self._run(input, (None, None) if hx is None else hx, lengths)
        return out, (h_n, c_n)
