"""The peer: fastText's classifier with character n-grams (package `fasttext-wheel`).

    python benchmarks/peer_fasttext.py TRAIN.tsv DEV.tsv TEST.tsv [--seed 0] [--threads 2] [--words]

Epochs and learning rate are chosen on dev from a small grid, as for any user; the seconds are those of the
chosen run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import fasttext

GRID = ((5, 0.5), (10, 0.3), (5, 0.1))


def read(path: str) -> tuple[list[str], list[str]]:
    """Texts and labels of a tab separated file with a header."""
    header, *lines = Path(path).read_text(encoding="utf-8").split("\n")
    names = header.split("\t")
    rows = [line.split("\t") for line in lines if line]
    return [row[names.index("text")] for row in rows], [row[names.index("label")] for row in rows]


def accuracy(model: Any, path: str) -> float:
    texts, labels = read(path)
    # The package's own predict() fails under numpy 2; its inner call takes a line.
    found = [model.f.predict(text + "\n", 1, 0.0, "strict")[0][1] for text in texts]
    return sum(f"__label__{label}" == guess for label, guess in zip(labels, found, strict=True)) / len(labels)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--words", action="store_true", help="whole words only, no character n-grams")
    arguments = parser.parse_args()
    train, dev, test = arguments.files
    best: tuple[float, float, Any] | None = None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        rows = zip(*read(train), strict=True)
        path.write_text("".join(f"__label__{label} {text}\n" for text, label in rows), encoding="utf-8")
        for epochs, rate in GRID:
            began = time.perf_counter()
            model = fasttext.train_supervised(
                str(path),
                epoch=epochs,
                lr=rate,
                dim=100,
                minn=0 if arguments.words else 1,
                maxn=0 if arguments.words else 4,
                wordNgrams=1 if arguments.words else 2,
                seed=arguments.seed,
                thread=arguments.threads,
                verbose=0,
            )
            seconds = time.perf_counter() - began
            score = accuracy(model, dev)
            if best is None or score > best[0]:
                best = (score, seconds, model)
    assert best is not None
    print(json.dumps({"dev_accuracy": best[0], "seconds": best[1], "accuracy": accuracy(best[2], test)}))


if __name__ == "__main__":
    main()
