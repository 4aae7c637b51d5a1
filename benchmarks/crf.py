"""The linear-chain CRF beside pytorch-crf: a training step of the loss, and Viterbi, alternating in one run.

    python benchmarks/crf.py [--batch 32] [--longest 60] [--tags 20] [--rounds 15] [--json FILE]

Sequences of 1 to `--longest` words with random scores. Ours gets them ragged, pytorch-crf padded and with a
mask, each as it wants them; making either form is not timed. A training step is the sum of the losses and the
gradients of scores, transitions, start and end. Both start from the same weights; how far the results of both
lie from those of pytorch-crf in float64 is printed. Needs the package pytorch-crf.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchcrf
from alternating import alternate, least_ratio, ratio
from measuring import machine
from torch import Tensor

from unrolled import engine
from unrolled.nn import CRF


class Problem:
    """One batch in both forms, and the two layers with the same weights."""

    def __init__(self, batch: int, longest: int, tags: int) -> None:
        torch.manual_seed(0)
        self.lengths = torch.randint(1, longest + 1, (batch,))
        self.mask = torch.arange(longest) < self.lengths[:, None]
        self.ours, self.peer = CRF(tags), torchcrf.CRF(tags, batch_first=True)
        self.peer.load_state_dict(
            {
                "transitions": self.ours.transitions.data,
                "start_transitions": self.ours.start.data,
                "end_transitions": self.ours.end.data,
            }
        )
        self.padded = torch.randn(batch, longest, tags).requires_grad_()
        self.padded_targets = torch.randint(tags, (batch, longest))
        self.scores = self.padded.detach()[self.mask].requires_grad_()
        self.targets = self.padded_targets[self.mask]

    def train_ours(self) -> list[Tensor]:
        loss = self.ours(self.scores, self.lengths, self.targets).sum()
        weights = (self.scores, self.ours.transitions, self.ours.start, self.ours.end)
        return [loss, *torch.autograd.grad(loss, weights)]

    def train_peer(self) -> list[Tensor]:
        loss = -self.peer(self.padded, self.padded_targets, mask=self.mask)
        peer = self.peer
        weights = (self.padded, peer.transitions, peer.start_transitions, peer.end_transitions)
        return [loss, *torch.autograd.grad(loss, weights)]

    def decode_ours(self) -> list[int]:
        tags: list[int] = self.ours.decode(self.scores, self.lengths)[0].tolist()
        return tags

    def decode_peer(self) -> list[int]:
        with torch.no_grad():
            return [tag for path in self.peer.decode(self.padded, mask=self.mask) for tag in path]


def differences(problem: Problem) -> dict[str, tuple[float, float]]:
    """How far our results and the peer's in float32 lie from the peer's in float64, at most."""
    ours, peer, tags = problem.train_ours(), problem.train_peer(), problem.decode_peer()
    problem.peer.double()
    problem.padded = problem.padded.detach().double().requires_grad_()
    exact = problem.train_peer()
    for results in (peer, exact):
        results[1] = results[1][problem.mask]
    names = ("loss, relative", "d_scores", "d_transitions", "d_start", "d_end")
    found = {}
    for name, truth, *both in zip(names, exact, ours, peer, strict=True):
        size = abs(truth.item()) if name == "loss, relative" else 1.0
        mine, theirs = ((one.detach() - truth.detach()).abs().max().item() / size for one in both)
        found[name] = (mine, theirs)
    exact_tags = problem.decode_peer()
    wrong = [
        sum(a != b for a, b in zip(one, exact_tags, strict=True)) for one in (problem.decode_ours(), tags)
    ]
    found["words with another tag"] = (float(wrong[0]), float(wrong[1]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--longest", type=int, default=60)
    parser.add_argument("--tags", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    problem = Problem(arguments.batch, arguments.longest, arguments.tags)
    print(json.dumps(machine("unrolled", "pytorch-crf", "torch")))
    print(f"instruction set {engine.simd()}, threads {engine.get_num_threads()}")
    size = f"{arguments.batch} sequences, {len(problem.targets)} words, up to {arguments.longest}"
    print(f"{size}, {arguments.tags} tags; medians of {arguments.rounds}")
    calls: dict[str, Callable[[], object]] = {
        "unrolled, training step": problem.train_ours,
        "pytorch-crf, training step": problem.train_peer,
        "unrolled, Viterbi": problem.decode_ours,
        "pytorch-crf, Viterbi": problem.decode_peer,
    }
    found = alternate(calls, rounds=arguments.rounds)
    for name, times in found.items():
        print(f"{name:28}{1e3 * times.median:9.3f} ms   fastest {1e3 * times.least:9.3f} ms")
    content: dict[str, Any] = {"machine": machine("unrolled", "pytorch-crf", "torch")}
    for what in ("training step", "Viterbi"):
        slow, fast = found[f"pytorch-crf, {what}"], found[f"unrolled, {what}"]
        print(f"{what}: {ratio(slow, fast):.1f} times as fast, {least_ratio(slow, fast):.1f} by the fastest")
        content[what] = {"ratio": ratio(slow, fast), "ours": fast.rounds, "peer": slow.rounds}
    content["differences"] = differences(problem)
    print(f"{'difference from float64':28}{'unrolled':>12}{'pytorch-crf':>14}")
    for name, (ours, peer) in content["differences"].items():
        print(f"{name:28}{ours:12.2g}{peer:14.2g}")
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
