"""Whole training steps: Unrolled beside the same network written plainly in torch, in one run.

    python benchmarks/training_step.py nsmc [--steps 120] [--epochs 2] [--peers plain tuned] [--json FILE]

Both train the network of the preset `fast` (without its wide part) on the same texts, with the same token
ids, batches, learning rates, dropouts and clipping. The peers are those of `peer_step.py`. The sides take
turns, some steps each; a step is timed from the numbers of its texts to the updated weights. The figures are
medians, their ratio, and the accuracy on the dev file after each epoch. A second table says where the time
goes, on steps of their own that are watched. `--steps 0` takes all batches of an epoch. Data: UNROLLED_DATA
or ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import data_folder, machine
from peer_step import Batch, Model, Text, Trainer, accuracy
from torch import Tensor

from unrolled.data import open_records
from unrolled.models import TextClassifier
from unrolled.options import ClassifierOptions
from unrolled.train.corpus import Corpus, Part, build_corpus
from unrolled.train.distributed import Ranks
from unrolled.train.learner import Learner
from unrolled.train.loop import epoch_batches, member_seed
from unrolled.train.objective import Objective
from unrolled.train.schedule import learning_rate

TURN = 20  # steps before it is the other side's turn


class Stopwatch:
    """Seconds of each stage, from the moments at which the stages end.

    A stage of the backward pass ends when the gradient of what the stage before it made is ready.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = 0.0
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now

    def watch(self, holder: Any, name: str, stage: str, after: str = "", before: str = "") -> None:
        """Let a call of ``holder.name`` end a stage.

        Args:
            stage: that the call belongs to.
            after: stage of the backward pass that ends when the gradient of the call's result is ready.
            before: stage that ends when the call begins.
        """
        original = getattr(holder, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            if before:
                self.lap(before)
            result = original(*arguments, **named)
            self.lap(stage)
            if after and isinstance(result, Tensor) and result.requires_grad:
                result.register_hook(lambda _: self.lap(after))
            return result

        own = vars(holder).get(name)  # a method of the class is hidden, not replaced
        setattr(holder, name, watched)
        self._undo.append(lambda: setattr(holder, name, own) if own is not None else delattr(holder, name))

    def stop(self) -> None:
        while self._undo:
            self._undo.pop()()


BATCH, LOOKUP, SCAN, POOL, LOSS = "batch", "lookup and dropout", "LSTM", "pooling", "output and loss"
B_LOSS, B_POOL, B_SCAN = "output and loss, backward", "pooling, backward", "LSTM, backward"
B_LOOKUP, UPDATE = "lookup and dropout, backward", "clipping and Adam"
STAGES = (BATCH, LOOKUP, SCAN, POOL, LOSS, B_LOSS, B_POOL, B_SCAN, B_LOOKUP, UPDATE)


class Ours:
    """The pieces of Unrolled's own training loop."""

    def __init__(self, corpus: Corpus, options: ClassifierOptions) -> None:
        objective = Objective(options, corpus.train.targets, len(corpus.labels))
        seed = member_seed(options.seed, 0)
        self.learner = Learner(
            options,
            lambda: TextClassifier(options, corpus.table_rows, objective.outputs),
            objective,
            seed=seed,
            ranks=Ranks(),
        )
        self.corpus = corpus

    def step(self, indices: np.ndarray, rate: float) -> None:
        self.learner.step(self.corpus.train, indices, rate)

    def accuracy(self) -> float:
        logits = self.learner.logits(self.learner.weights(), self.corpus.dev)
        return float((logits.argmax(axis=1) == self.corpus.dev.targets.values).mean())

    def watch(self, clock: Stopwatch) -> None:
        model = self.learner.model
        clock.watch(self.corpus.train.texts, "batch", BATCH)
        clock.watch(model, "_drop", LOOKUP, after=B_SCAN)
        clock.watch(model, "_encode", SCAN, after=B_POOL)
        clock.watch(model, "_pool", POOL, after=B_LOSS)


class Peer:
    """The same network in plain torch, on the same rows of the table."""

    def __init__(self, corpus: Corpus, options: ClassifierOptions, *, tuned: bool) -> None:
        torch.manual_seed(options.seed)
        sizes = (corpus.table_rows, options.embed_dim, options.hidden, len(corpus.labels))
        self.model = Model(*sizes, sparse=tuned)
        self.trainer = Trainer(self.model, weight_decay=options.weight_decay, tuned=tuned)
        self.texts, self.dev = texts_of(corpus.train), texts_of(corpus.dev)

    def step(self, indices: np.ndarray, rate: float) -> None:
        self.trainer.step([self.texts[index] for index in indices], rate)

    def accuracy(self) -> float:
        return accuracy(self.model, self.dev)

    def watch(self, clock: Stopwatch) -> None:
        clock.watch(Model, "look_up", LOOKUP, after=B_SCAN)
        clock.watch(Model, "encode", SCAN, after=B_POOL)
        clock.watch(Model, "pool", POOL, after=B_LOSS)


def texts_of(part: Part) -> list[Text]:
    """The texts of a part as plain tensors."""
    rows, counts, lengths = part.batch(np.arange(len(part)))
    bags = torch.from_numpy(counts).split(lengths.tolist())
    sizes = [int(bag.sum()) for bag in bags]
    each = torch.from_numpy(rows.astype(np.int64)).split(sizes)
    return [Text(*text) for text in zip(each, bags, part.targets.values.tolist(), strict=True)]


def trained(
    sides: dict[str, Ours | Peer], corpus: Corpus, options: ClassifierOptions, steps: int | None
) -> tuple[dict[str, list[float]], dict[str, list[float]], list[int]]:
    """Seconds of each step, accuracy after each epoch, and tokens of each step."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    scores: dict[str, list[float]] = {name: [] for name in sides}
    tokens: list[int] = []
    total = options.epochs * len(epoch_batches(corpus, options, 0, 0)[:steps])
    for epoch in range(options.epochs):
        batches = epoch_batches(corpus, options, 0, epoch)[:steps]
        for first in range(0, len(batches), TURN):
            turn = batches[first : first + TURN]
            for name, side in sides.items():
                for offset, indices in enumerate(turn):
                    rate = learning_rate(len(tokens) + offset, total, options.learning_rate)
                    began = time.perf_counter()
                    side.step(indices, rate)
                    seconds[name].append(time.perf_counter() - began)
            tokens += [int(corpus.train.lengths[indices].sum()) for indices in turn]
        for name, side in sides.items():
            scores[name].append(side.accuracy())
    return seconds, scores, tokens


def stages(side: Ours | Peer, corpus: Corpus, options: ClassifierOptions, steps: int) -> dict[str, float]:
    """Milliseconds a step that each stage takes."""
    clock = Stopwatch()
    side.watch(clock)
    clock.watch(Batch, "of", BATCH)
    clock.watch(torch.autograd, "backward", B_LOOKUP, before=LOSS)
    for indices in epoch_batches(corpus, options, 0, options.epochs)[:steps]:
        clock.start()
        side.step(indices, 1e-4)
        clock.lap(UPDATE)
    clock.stop()
    return {stage: 1e3 * clock.seconds.get(stage, 0.0) / steps for stage in STAGES}


def show(
    seconds: dict[str, list[float]], scores: dict[str, list[float]], tokens: list[int]
) -> dict[str, dict[str, Any]]:
    """Prints the first table; its figures by side."""
    ours = statistics.median(seconds["unrolled"])
    found: dict[str, dict[str, Any]] = {}
    print(f"{'':16}{'ms a step':>11}{'fastest':>9}{'tokens/s':>11}{'ratio':>8}   dev accuracy by epoch")
    for name, values in seconds.items():
        middle, rate = statistics.median(values), sum(tokens) / sum(values)
        line = f"{name:16}{1e3 * middle:11.2f}{1e3 * min(values):9.2f}{rate:11,.0f}{middle / ours:8.2f}   "
        print(line + "  ".join(f"{score:.4f}" for score in scores[name]))
        found[name] = {"ms": 1e3 * middle, "tokens_s": rate, "ratio": middle / ours, "dev": scores[name]}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=("nsmc", "sst2"))
    parser.add_argument("--steps", type=int, default=120, help="an epoch; 0 for all its batches")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128, help="texts a step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", nargs="*", default=["plain", "tuned"], choices=("plain", "tuned"))
    parser.add_argument("--watched", type=int, default=40, help="steps for the table of stages")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    changes = {"epochs": arguments.epochs, "batch_size": arguments.batch, "seed": arguments.seed}
    options = ClassifierOptions.of("fast", wide=False, **changes)
    files = (data_folder() / arguments.data / f"{part}.tsv" for part in ("train", "dev"))
    train, dev = (
        open_records(file, text_column="text", label_column="label", needs_label=True) for file in files
    )
    with tempfile.TemporaryDirectory() as folder:
        corpus = build_corpus(options, train, dev, Path(folder))
        options = options.for_rows(len(corpus.train))
        sides: dict[str, Ours | Peer] = {"unrolled": Ours(corpus, options)}
        sides |= {f"torch, {kind}": Peer(corpus, options, tuned=kind == "tuned") for kind in arguments.peers}
        about = machine("unrolled", "torch", "numpy") | {"threads": torch.get_num_threads()}
        print(json.dumps(about))
        print(
            f"{arguments.data}: {len(corpus.train)} texts, {corpus.table_rows} rows of the table, "
            f"{arguments.batch} texts a step"
        )
        seconds, scores, tokens = trained(sides, corpus, options, arguments.steps or None)
        figures = show(seconds, scores, tokens)
        where = {name: stages(side, corpus, options, arguments.watched) for name, side in sides.items()}
    print(f"\n{'ms of a step, mean':32}" + "".join(f"{name:>16}" for name in where))
    for stage in STAGES:
        print(f"{stage:32}" + "".join(f"{found[stage]:16.2f}" for found in where.values()))
    print(f"{'together':32}" + "".join(f"{sum(found.values()):16.2f}" for found in where.values()))
    if arguments.json:
        content = {"machine": about, "figures": figures, "stages": where}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
