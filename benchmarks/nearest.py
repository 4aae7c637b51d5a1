"""Questions to word vectors: our batches beside gensim's `most_similar` in a loop, alternating in one run.

    python benchmarks/nearest.py [--rows 100000] [--dim 100] [--questions 10000] [--runs 3] [--json FILE]

The vectors are random, since the time does not depend on what they mean. gensim answers `--loop` of the
questions in a loop and is charged in proportion, because all of them take minutes; the answers are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from measuring import machine

from unrolled import WordVectors
from unrolled.embed.table import VectorTable


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--loop", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    draw = np.random.default_rng(0)
    words = [f"word{number}" for number in range(arguments.rows)]
    table = draw.normal(size=(arguments.rows, arguments.dim)).astype(np.float32)
    vectors = WordVectors.of(VectorTable(words, table))
    keyed = vectors.to_gensim()
    asked = [words[row] for row in draw.integers(0, arguments.rows, arguments.questions)]
    seconds: dict[str, list[float]] = {"unrolled": [], "gensim": []}
    vectors.nearest(asked[:1])
    keyed.most_similar(asked[0])  # both prepare unit vectors at the first question
    for _ in range(arguments.runs):
        began = time.perf_counter()
        ours = vectors.nearest(asked, n=10)
        seconds["unrolled"].append(time.perf_counter() - began)
        began = time.perf_counter()
        theirs = [keyed.most_similar(word, topn=10) for word in asked[: arguments.loop]]
        loop = time.perf_counter() - began
        seconds["gensim"].append(loop * arguments.questions / len(theirs))
    same = sum(
        [word for word, _ in one] == [word for word, _ in other]
        for one, other in zip(ours[: arguments.loop], theirs, strict=True)
    )
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    print(json.dumps(machine("unrolled", "gensim", "numpy")))
    size = f"{arguments.rows:,} x {arguments.dim}"
    print(f"{arguments.questions:,} questions to {size}, medians of {arguments.runs}")
    for name, value in middle.items():
        print(f"{name:10}{value:9.2f} s {arguments.questions / value:10,.0f} questions/s")
    print(f"ratio {middle['gensim'] / middle['unrolled']:.1f}; same answers: {same} of {len(theirs)}")
    if arguments.json:
        content = {"machine": machine("unrolled", "gensim", "numpy"), "seconds": seconds, "same": same}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
