"""A convolutional encoder: sees windows of neighbouring tokens, without a memory of what came before."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unrolled.layers.layout import Layout

WIDTHS = (3, 4, 5)


class ConvolutionEncoder(nn.Module):
    """Convolutions of three widths over time, side by side (Kim 2014, "Convolutional Neural Networks for
    Sentence Classification").

    Each text is padded with ``width // 2`` zeros on the left and ``(width - 1) // 2`` on the right, so that
    every step has an output.

    Args:
        dim: size of a token's vector.
        hidden: outputs of each width; a step's output has ``3 * hidden``.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(dim, hidden, width) for width in WIDTHS)

    def forward(self, values: Tensor, layout: Layout) -> Tensor:
        """``(total, dim) -> (total, 3 * hidden)``."""
        if layout.total == 0:
            return values.new_zeros(0, sum(layer.out_channels for layer in self.convolutions))  # type: ignore[misc]
        # One long signal: the texts in a row, with as many zeros between them as the widest window reaches.
        gap = max(WIDTHS) - 1
        place = torch.arange(layout.total) + gap * layout.sequence + gap
        signal = values.new_zeros(layout.total + gap * (layout.batch + 1), values.shape[1]).index_copy(
            0, place, values
        )
        outputs = []
        for width, layer in zip(WIDTHS, self.convolutions, strict=True):
            # Output j of an unpadded convolution covers signal[j : j + width].
            outputs.append(layer(signal.T[None])[0].T[place - width // 2])
        return torch.relu(torch.cat(outputs, dim=1))
