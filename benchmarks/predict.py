"""Prediction from a file, one from cold and one in a warm process: Unrolled beside plain torch.

    python benchmarks/predict.py MODEL TORCH_FOLDER TEXTS.tsv [--runs 5] [--json FILE]

MODEL is one that `unrolled train classify` wrote, TORCH_FOLDER one of `benchmarks/peer_torch.py train`. The
texts are those of a tab separated file with a header that names `text`. Texts a second count from the start
of the process to its end, start-up and tokenization included. The warm process is `one_text.py`, in which
torch has the same network as MODEL. Runs alternate; the figures are medians and their ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from measuring import machine, measured

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("torch_folder", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    header, *lines = arguments.texts.read_text(encoding="utf-8").splitlines()
    column = header.split("\t").index("text")
    texts = [line.split("\t")[column] for line in lines]
    one = texts[0] + "\n"
    torch = [sys.executable, HERE / "peer_torch.py", "predict", arguments.torch_folder]
    unrolled = [sys.executable, "-m", "unrolled", "predict", arguments.model]
    warm = [sys.executable, HERE / "one_text.py"]
    seconds: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        seconds.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "texts.txt", Path(folder) / "answers.jsonl"
        source.write_text("\n".join(texts) + "\n", encoding="utf-8")
        everything = source.read_text(encoding="utf-8")
        for _ in range(arguments.runs):
            add("file, unrolled", measured([*unrolled, source, "--out", target]).seconds)
            add(
                "file, unrolled without engine",
                measured([*unrolled, source, "--out", target], UNROLLED_ENGINE="off").seconds,
            )
            add("file, torch", measured(torch, stdin=everything).seconds)
            add("one, unrolled", measured([*unrolled, "--json"], stdin=one).seconds)
            add("one, torch", measured(torch, stdin=one).seconds)
            for side in ("unrolled", "torch"):
                output = measured([*warm, side, arguments.model, arguments.texts]).output
                for name, value in json.loads(output).items():
                    add(f"warm, {name}", value / 1e6)
        answers = len(target.read_text(encoding="utf-8").splitlines())
        if answers != len(texts):
            sys.exit(f"{answers} answers for {len(texts)} texts")
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    print(json.dumps(machine("unrolled", "torch", "numpy")))
    print(f"{len(texts)} texts, {arguments.runs} alternating runs, medians (fastest)")
    for name, value in middle.items():
        rate = f"{len(texts) / value:10,.0f} texts/s" if name.startswith("file") else ""
        unit, scale = ("ms", 1e3) if name.startswith("warm") else ("s", 1.0)
        print(f"{name:32}{scale * value:8.3f} {unit:2} ({scale * min(seconds[name]):.3f}) {rate}")
    print(
        f"ratio torch / unrolled: file {middle['file, torch'] / middle['file, unrolled']:.2f}, "
        f"one from cold {middle['one, torch'] / middle['one, unrolled']:.2f}, "
        f"one warm {middle['warm, torch, ids ready'] / middle['warm, unrolled']:.2f} with the ids ready, "
        f"{middle['warm, torch, with tokenization'] / middle['warm, unrolled']:.2f} with tokenization"
    )
    if arguments.json:
        content = {"machine": machine("unrolled", "torch"), "texts": len(texts), "seconds": seconds}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
