"""LSTM, GRU and RNN over packed texts, in numpy.

The input's part of every gate is one large product over all tokens. What is left to do step by step is the
product with the previous state and the gates, on as many texts as are still running, in place. A sigmoid is
taken as ``(1 + tanh(x / 2)) / 2``: one function for all gates, no overflow, and the halves go into the
weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unrolled.runtime.packing import Packed


class RecurrentLayer:
    """One layer, one or both directions; the equations in the notation of torch's documentation.

    Args:
        kind: ``"lstm"``, ``"gru"`` or ``"rnn"`` (tanh).
        weights: ``weight_ih_l{layer}``, ``weight_hh_l..``, ``bias_ih_l..``, ``bias_hh_l..`` and, for the
            backward direction, the same with ``_reverse``; torch's shapes and gate order.
        layer: number of the layer in the names.
        bidirectional: whether there is a backward direction.
    """

    def __init__(self, kind: str, weights: Mapping[str, np.ndarray], layer: int, bidirectional: bool) -> None:
        scans: dict[str, type[LstmScan | GruScan | RnnScan]] = {
            "lstm": LstmScan,
            "gru": GruScan,
            "rnn": RnnScan,
        }
        scan = scans[kind]
        self._directions = [
            scan(
                *(
                    weights[f"{name}_l{layer}{end}"]
                    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                )
            )
            for end in (("", "_reverse") if bidirectional else ("",))
        ]

    def __call__(self, x: np.ndarray, packed: Packed) -> np.ndarray:
        """``(total, input) -> (total, directions * hidden)``, both packed, initial states zero."""
        forward = self._directions[0](x, packed)
        if len(self._directions) == 1:
            return forward
        backward = self._directions[1](x.take(packed.mirror, axis=0), packed)
        return np.concatenate([forward, backward.take(packed.mirror, axis=0)], axis=1)


class LstmScan:
    """``c_t = f c_{t-1} + i g``, ``h_t = o tanh(c_t)``; gates in the order i, f, o, g; states as ``2 h``."""

    def __init__(self, w_ih: np.ndarray, w_hh: np.ndarray, b_ih: np.ndarray, b_hh: np.ndarray) -> None:
        self.hidden = hidden = w_hh.shape[1]
        order = np.r_[0 : 2 * hidden, 3 * hidden : 4 * hidden, 2 * hidden : 3 * hidden]
        scale = np.ones((4 * hidden, 1), dtype=np.float32)
        scale[: 3 * hidden] = 0.5
        self._w_ih = np.ascontiguousarray((w_ih[order] * scale).T)
        self._w_hh = np.ascontiguousarray((w_hh[order] * scale).T) * np.float32(
            0.5
        )  # the state comes doubled
        self._bias = (b_ih + b_hh)[order] * scale[:, 0]

    def __call__(self, x: np.ndarray, packed: Packed) -> np.ndarray:
        """``(total, input) -> (total, hidden)`` in reading order."""
        hidden = self.hidden
        gates = x @ self._w_ih
        gates += self._bias
        out = np.empty((packed.total, hidden), dtype=np.float32)
        cell = np.zeros((packed.batch, hidden), dtype=np.float32)
        recurrent = np.empty((packed.batch, 4 * hidden), dtype=np.float32)
        scratch = np.empty((packed.batch, hidden), dtype=np.float32)
        before = 0
        for step, (start, count) in enumerate(zip(packed.starts, packed.counts, strict=True)):
            z = gates[start : start + count]
            if step:
                z += np.dot(out[before : before + count], self._w_hh, out=recurrent[:count])
            np.tanh(z, out=z)
            z[:, : 3 * hidden] += 1  # now i, f and o doubled
            c, s = cell[:count], scratch[:count]
            c *= z[:, hidden : 2 * hidden]
            np.multiply(z[:, :hidden], z[:, 3 * hidden :], out=s)
            c += s
            c *= 0.5
            np.tanh(c, out=s)
            np.multiply(z[:, 2 * hidden : 3 * hidden], s, out=out[start : start + count])
            before = start
        out *= 0.5
        return out


class GruScan:
    """``n = tanh(W_in x + b_in + r (W_hn h + b_hn))``, ``h_t = (1 - z) n + z h_{t-1}``; gates r, z, n."""

    def __init__(self, w_ih: np.ndarray, w_hh: np.ndarray, b_ih: np.ndarray, b_hh: np.ndarray) -> None:
        self.hidden = hidden = w_hh.shape[1]
        scale = np.ones((3 * hidden, 1), dtype=np.float32)
        scale[: 2 * hidden] = 0.5
        self._w_ih = np.ascontiguousarray((w_ih * scale).T)
        self._w_hh = np.ascontiguousarray((w_hh * scale).T)
        self._bias = b_ih * scale[:, 0]
        self._bias[: 2 * hidden] += 0.5 * b_hh[: 2 * hidden]
        self._bias_n = b_hh[2 * hidden :].copy()

    def __call__(self, x: np.ndarray, packed: Packed) -> np.ndarray:
        """``(total, input) -> (total, hidden)`` in reading order."""
        hidden = self.hidden
        gates = x @ self._w_ih
        gates += self._bias
        out = np.empty((packed.total, hidden), dtype=np.float32)
        recurrent = np.zeros((packed.batch, 3 * hidden), dtype=np.float32)
        none = np.zeros((packed.batch, hidden), dtype=np.float32)
        for step, (start, count) in enumerate(zip(packed.starts, packed.counts, strict=True)):
            before = out[packed.starts[step - 1] :][:count] if step else none[:count]
            z, r = gates[start : start + count], recurrent[:count]
            if step:
                np.dot(before, self._w_hh, out=r)
            both = z[:, : 2 * hidden]
            both += r[:, : 2 * hidden]
            np.tanh(both, out=both)
            both += 1
            both *= 0.5
            new, own = z[:, 2 * hidden :], r[:, 2 * hidden :]
            own += self._bias_n
            own *= z[:, :hidden]
            new += own
            np.tanh(new, out=new)
            h = np.subtract(before, new, out=out[start : start + count])
            h *= z[:, hidden : 2 * hidden]
            h += new
        return out


class RnnScan:
    """``h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``."""

    def __init__(self, w_ih: np.ndarray, w_hh: np.ndarray, b_ih: np.ndarray, b_hh: np.ndarray) -> None:
        self.hidden = w_hh.shape[1]
        self._w_ih = np.ascontiguousarray(w_ih.T)
        self._w_hh = np.ascontiguousarray(w_hh.T)
        self._bias = b_ih + b_hh

    def __call__(self, x: np.ndarray, packed: Packed) -> np.ndarray:
        """``(total, input) -> (total, hidden)`` in reading order."""
        out: np.ndarray = x @ self._w_ih
        out += self._bias
        recurrent = np.empty((packed.batch, self.hidden), dtype=np.float32)
        before = 0
        for step, (start, count) in enumerate(zip(packed.starts, packed.counts, strict=True)):
            h = out[start : start + count]
            if step:
                h += np.dot(out[before : before + count], self._w_hh, out=recurrent[:count])
            np.tanh(h, out=h)
            before = start
        return out
