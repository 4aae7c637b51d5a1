"""Recurrent layers on ragged batches: ours against torch.nn on a PackedSequence and on padding, in one run.

    python benchmarks/layers.py [shapes] [small] [dense] [kinds] [peak] [steps] [--rounds 15] [--json FILE]

Without a name all parts run. Ours and the peers alternate; a figure is the ratio of medians over the rounds,
in brackets that of the minima. Lengths are uniform in T/5..T. Each contender gets the form it likes best,
made beforehand: ours a ragged batch in the user's order; torch a PackedSequence sorted by length, or the
padded batch (whose reverse direction is then wrong: it begins in the padding). Training is forward and
backward with gradients of the input, of the initial states and of all weights. Before anything is timed,
outputs and gradients are compared with those of the PackedSequence; the largest differences are printed.

The batch of one sequence is in latency.py, whole training steps are in training_step.py.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from alternating import Times, alternate, geometric_mean, least_ratio, ratio
from measuring import machine
from torch.nn.utils.rnn import pack_padded_sequence

from unrolled import engine, nn
from unrolled.text import SequenceBatch

PARTS = ("shapes", "small", "dense", "kinds", "peak", "steps")


@dataclass(frozen=True)
class Shape:
    """Batch, longest sequence, input and hidden size, one direction or both, kind of cell."""

    batch: int
    steps: int
    inputs: int
    hidden: int
    both: bool
    kind: str = "LSTM"

    def __str__(self) -> str:
        kind = "" if self.kind == "LSTM" else f" {self.kind}"
        return f"{self.batch}, {self.steps}, {self.inputs}, {self.hidden}{', bi' if self.both else ''}{kind}"


SHAPES = (
    Shape(32, 30, 100, 128, True),
    Shape(32, 30, 256, 256, False),
    Shape(64, 100, 256, 256, True),
    Shape(64, 35, 512, 512, False),
    Shape(256, 30, 256, 256, False),
)
SMALL = tuple(Shape(32, 30, hidden, hidden, True) for hidden in (32, 50, 64, 100))
KINDS = tuple(Shape(32, 30, 256, 256, False, kind) for kind in ("GRU", "RNN"))


class Contest:
    """One shape: the same weights, the same sequences, in the form of each contender."""

    def __init__(self, shape: Shape, *, dense: bool = False) -> None:
        random = np.random.default_rng(0)
        torch.manual_seed(0)
        self.shape = shape
        size = {"num_layers": 1, "bidirectional": shape.both}
        self.theirs = getattr(torch.nn, shape.kind)(shape.inputs, shape.hidden, batch_first=True, **size)
        self.ours = getattr(nn, shape.kind)(shape.inputs, shape.hidden, batch_first=True, **size)
        self.ours.load_state_dict(self.theirs.state_dict())
        least = shape.steps if dense else max(1, shape.steps // 5)
        self.lengths = random.integers(least, shape.steps + 1, shape.batch)
        self.tokens = int(self.lengths.sum())
        # Texts lie in a random order for us, and sorted for the PackedSequence.
        values = torch.randn(self.tokens, shape.inputs)
        upstream = torch.randn(self.tokens, shape.hidden * (1 + shape.both))
        self.ragged = SequenceBatch(values, torch.from_numpy(self.lengths))
        self.upstream = upstream
        self.padded = torch.zeros(shape.batch, shape.steps, shape.inputs)
        padded_upstream = torch.zeros(shape.batch, shape.steps, upstream.shape[1])
        ends = np.cumsum(self.lengths)
        for b, (end, length) in enumerate(zip(ends, self.lengths, strict=True)):
            self.padded[b, :length] = values[end - length : end]
            padded_upstream[b, :length] = upstream[end - length : end]
        self.padded_upstream = padded_upstream
        order = np.argsort(-self.lengths, kind="stable")
        sizes = torch.from_numpy(self.lengths[order])
        self.packed = pack_padded_sequence(self.padded[order], sizes, batch_first=True)
        self.packed_upstream = pack_padded_sequence(padded_upstream[order], sizes, batch_first=True).data
        self.order = order
        states = (1 + shape.both, shape.batch, shape.hidden)
        self.h0, self.c0 = torch.randn(states), torch.randn(states)
        self.weights = [
            engine.Weights(*(w.detach().numpy() for w in self.ours.weights(0, d))) for d in range(states[0])
        ]

    def _initial(self, sort: bool, gradient: bool) -> tuple[object, list[torch.Tensor]]:
        order = self.order if sort else slice(None)
        states = [s[:, order].clone().requires_grad_(gradient) for s in (self.h0, self.c0)]
        return (tuple(states) if self.shape.kind == "LSTM" else states[0]), states

    def train_ours(self) -> list[torch.Tensor]:
        self.ours.zero_grad(set_to_none=True)
        x = self.ragged.values.detach().requires_grad_()
        hx, states = self._initial(sort=False, gradient=True)
        out, _ = self.ours(SequenceBatch(x, self.ragged.lengths), hx)
        out.values.backward(self.upstream)
        return [x.grad, *(s.grad for s in states if s.grad is not None)]

    def train_packed(self) -> list[torch.Tensor]:
        self.theirs.zero_grad(set_to_none=True)
        x = self.packed.data.detach().requires_grad_()
        hx, states = self._initial(sort=True, gradient=True)
        out, _ = self.theirs(self.packed._replace(data=x), hx)
        out.data.backward(self.packed_upstream)
        return [x.grad, *(s.grad for s in states if s.grad is not None)]

    def train_padded(self) -> None:
        self.theirs.zero_grad(set_to_none=True)
        x = self.padded.detach().requires_grad_()
        hx, _ = self._initial(sort=False, gradient=True)
        out, _ = self.theirs(x, hx)
        out.backward(self.padded_upstream)

    def infer_ours(self) -> torch.Tensor:
        with torch.inference_mode():
            return self.ours(self.ragged, self._initial(False, False)[0])[0].values

    def infer_packed(self) -> torch.Tensor:
        with torch.inference_mode():
            return self.theirs(self.packed, self._initial(True, False)[0])[0].data

    def infer_padded(self) -> torch.Tensor:
        with torch.inference_mode():
            return self.theirs(self.padded, self._initial(False, False)[0])[0]

    def prepared(self, precision: str) -> object:
        """A call of the runtime, on weights of that precision packed beforehand."""
        kind = {"RNN": "rnn_tanh"}.get(self.shape.kind, self.shape.kind.lower())
        weights = engine.prepare(kind, self.weights, precision=precision)
        x, lengths = self.ragged.values.numpy(), self.lengths
        h0, c0 = self.h0.numpy(), self.c0.numpy() if kind == "lstm" else None
        return lambda: engine.infer_layer(kind, x, lengths, weights, h0, c0).out

    def packed_rows(self, packed: torch.Tensor) -> torch.Tensor:
        """Rows of a PackedSequence in our order."""
        starts = np.concatenate([[0], np.cumsum(self.packed.batch_sizes.numpy())])
        rank = np.empty_like(self.order)
        rank[self.order] = np.arange(len(rank))
        rows = [starts[t] + rank[b] for b, length in enumerate(self.lengths) for t in range(length)]
        return packed[torch.tensor(rows)]

    def differences(self) -> tuple[float, float]:
        """Largest difference of outputs, and of gradients relative to the largest gradient, from torch."""
        out = (self.infer_ours() - self.packed_rows(self.infer_packed())).abs().max().item()
        mine, theirs = self.train_ours(), self.train_packed()
        theirs = [self.packed_rows(theirs[0]), *(g[:, np.argsort(self.order)] for g in theirs[1:])]
        pairs = [*zip(mine, theirs, strict=True)]
        pairs += [
            (p.grad, q.grad) for p, q in zip(self.ours.parameters(), self.theirs.parameters(), strict=True)
        ]
        return out, max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)

    def operations(self, *, training: bool) -> float:
        """Floating-point operations of the products over the valid tokens; training does them three times."""
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[self.shape.kind]
        one = 2.0 * self.tokens * gates * self.shape.hidden * (self.shape.inputs + self.shape.hidden)
        return one * (1 + self.shape.both) * (3 if training else 1)


def _cell(slow: Times, fast: Times) -> str:
    return f"{ratio(slow, fast):5.2f} ({least_ratio(slow, fast):.2f})"


def ragged_table(title: str, shapes: tuple[Shape, ...], rounds: int) -> list[dict[str, object]]:
    print(f"\n{title}: how many times faster than torch; batch, steps, input, hidden")
    print(
        f"{'':26}{'train/packed':>14}{'train/padded':>14}{'infer/packed':>14}{'infer/padded':>14}"
        f"{'bf16/packed':>14}{'int8/packed':>14}   ms: train, infer; differences"
    )
    rows: list[dict[str, object]] = []
    for shape in shapes:
        contest = Contest(shape)
        out, gradient = contest.differences()
        reference = contest.packed_rows(contest.infer_packed()).numpy()
        reduced = {name: contest.prepared(name) for name in ("bfloat16", "int8")}
        cost = {name: float(np.abs(call() - reference).max()) for name, call in reduced.items()}
        train = alternate(
            {"ours": contest.train_ours, "packed": contest.train_packed, "padded": contest.train_padded},
            rounds=rounds,
        )
        infer = alternate(
            {
                "ours": contest.infer_ours,
                "packed": contest.infer_packed,
                "padded": contest.infer_padded,
                **reduced,
            },
            rounds=rounds,
        )
        row = {
            "train/packed": ratio(train["packed"], train["ours"]),
            "train/padded": ratio(train["padded"], train["ours"]),
            "infer/packed": ratio(infer["packed"], infer["ours"]),
            "infer/padded": ratio(infer["padded"], infer["ours"]),
            "bf16/packed": ratio(infer["packed"], infer["bfloat16"]),
            "int8/packed": ratio(infer["packed"], infer["int8"]),
        }
        print(
            f"{shape!s:26}{_cell(train['packed'], train['ours']):>14}"
            f"{_cell(train['padded'], train['ours']):>14}"
            f"{_cell(infer['packed'], infer['ours']):>14}{_cell(infer['padded'], infer['ours']):>14}"
            f"{_cell(infer['packed'], infer['bfloat16']):>14}{_cell(infer['packed'], infer['int8']):>14}"
            f"   {train['ours'].median * 1e3:.2f}, {infer['ours'].median * 1e3:.2f}; "
            f"out {out:.0e}, gradients {gradient:.0e}, bf16 {cost['bfloat16']:.0e}, int8 {cost['int8']:.0e}",
            flush=True,
        )
        rows.append({"shape": str(shape), **row, "difference": out, "gradient difference": gradient, **cost})
    means = {name: geometric_mean([float(row[name]) for row in rows]) for name in row}  # type: ignore[arg-type]
    print(
        f"{'geometric mean':26}"
        + "".join(f"{mean:5.2f}".rjust(14 if i else 7).ljust(0) for i, mean in enumerate(means.values()))
    )
    return [*rows, {"shape": "geometric mean", **means}]


def dense_table(rounds: int) -> list[dict[str, object]]:
    print("\nAll lengths equal: how many times faster than torch on the same dense batch")
    rows: list[dict[str, object]] = []
    for shape in (*SHAPES, *SMALL):
        contest = Contest(shape, dense=True)
        train = alternate({"ours": contest.train_ours, "theirs": contest.train_padded}, rounds=rounds)
        infer = alternate({"ours": contest.infer_ours, "theirs": contest.infer_padded}, rounds=rounds)
        rows.append({
            "shape": str(shape),
            "train": ratio(train["theirs"], train["ours"]),
            "infer": ratio(infer["theirs"], infer["ours"]),
        })  # fmt: skip
        print(
            f"{shape!s:26}train {_cell(train['theirs'], train['ours'])}   "
            f"infer {_cell(infer['theirs'], infer['ours'])}",
            flush=True,
        )
    return rows


def peak_table(rounds: int) -> list[dict[str, object]]:
    """Share of the processor's peak of fused multiply-adds, which a loop on registers alone measures."""
    threads = engine.get_num_threads()
    print(f"\nGF/s of the matrix products, and share of the peak of {threads} threads, measured in turn")
    rows: list[dict[str, object]] = []
    for shape in (*SHAPES, Shape(64, 100, 512, 512, True)):
        contest = Contest(shape)
        peaks: list[float] = []
        times = alternate(
            {
                "peak": lambda peaks=peaks: peaks.append(engine.peak_flops()),
                "train": contest.train_ours,
                "infer": contest.infer_ours,
            },
            rounds=rounds,
        )
        peak = max(peaks)
        row: dict[str, object] = {"shape": str(shape), "peak": peak / 1e9}
        for part in ("train", "infer"):
            reached = contest.operations(training=part == "train") / times[part].median
            row[part] = reached / 1e9
            row[f"{part} share"] = reached / peak
        print(
            f"{shape!s:26}peak {peak / 1e9:6.1f}   train {row['train']:6.1f} ({row['train share']:.0%})   "
            f"infer {row['infer']:6.1f} ({row['infer share']:.0%})",
            flush=True,
        )
        rows.append(row)
    return rows


def step_table(rounds: int) -> list[dict[str, object]]:
    """Time a valid token from 10 to 4,000 steps, with the same number of valid tokens a batch."""
    tokens = 16_000
    print(f"\nTime a valid token against the number of steps; {tokens} tokens a batch, LSTM 128 to 128, bi")
    contests = {}
    for steps in (10, 30, 100, 300, 1000, 2000, 4000):
        contests[steps] = Contest(Shape(tokens // steps, steps, 128, 128, True), dense=True)
    rows: list[dict[str, object]] = []
    train = alternate({str(s): c.train_ours for s, c in contests.items()}, rounds=rounds)
    infer = alternate({str(s): c.infer_ours for s, c in contests.items()}, rounds=rounds)
    for steps, contest in contests.items():
        row = {
            "steps": steps,
            "batch": contest.shape.batch,
            "train us": train[str(steps)].median / contest.tokens * 1e6,
            "infer us": infer[str(steps)].median / contest.tokens * 1e6,
        }
        rows.append(row)
        print(
            f"{steps:6} steps, batch {contest.shape.batch:5}: train {row['train us']:.3f} us, "
            f"infer {row['infer us']:.3f} us a token"
        )
    for part in ("train us", "infer us"):
        values = [float(row[part]) for row in rows]  # type: ignore[arg-type]
        print(f"largest / smallest, {part.split()[0]}: {max(values) / min(values):.2f}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part named {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    about = machine("torch", "numpy")
    print(
        ", ".join(f"{k} {v}" for k, v in about.items())
        + f", {engine.simd()}, threads {torch.get_num_threads()}"
    )
    found: dict[str, object] = {"machine": about, "simd": engine.simd()}
    runs = {
        "shapes": lambda: ragged_table("Ragged batches", SHAPES, options.rounds),
        "small": lambda: ragged_table("Small hidden sizes", SMALL, options.rounds),
        "kinds": lambda: ragged_table("Other cells", KINDS, options.rounds),
        "dense": lambda: dense_table(options.rounds),
        "peak": lambda: peak_table(options.rounds),
        "steps": lambda: step_table(options.rounds),
    }
    for part in options.parts or PARTS:
        found[part] = runs[part]()
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
