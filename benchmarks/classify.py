"""Quality, time and memory of training a classifier: Unrolled, fastText and plain torch, in one run.

    python benchmarks/classify.py nsmc [--presets fast accurate] [--peers fasttext torch] [--seeds 0 1 2]

Each training is a process of its own; Unrolled and the peers alternate, seed by seed. Everything is chosen on
the dev file; the test file is read once for each trained model. Data: UNROLLED_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import data_folder, machine, measured, spread

HERE = Path(__file__).resolve().parent


def ours(files: dict[str, Path], preset: str, seed: int, work: Path) -> dict[str, Any]:
    model = work / f"{preset}-{seed}"
    command = [sys.executable, "-m", "unrolled", "train", "classify", "--train", files["train"]]
    command += ["--dev", files["dev"], "--out", model, "--preset", preset, "--seed", str(seed), "--quiet"]
    run = measured(command)
    test = measured([sys.executable, "-m", "unrolled", "evaluate", model, files["test"], "--json"])
    info = json.loads(measured([sys.executable, "-m", "unrolled", "info", model, "--json"]).output)
    return {
        "dev": info["metrics"]["dev"]["accuracy"],
        "test": json.loads(test.output)["accuracy"],
        "seconds": run.seconds,
        "peak_mb": run.peak_mb,
        "model_mb": sum(file.stat().st_size for file in model.glob("*.*") if file.is_file()) / 1e6,
    }


def torch_peer(files: dict[str, Path], seed: int, work: Path) -> dict[str, Any]:
    model = work / f"torch-{seed}"
    program = [sys.executable, HERE / "peer_torch.py"]
    run = measured([*program, "train", files["train"], files["dev"], model, "--seed", str(seed)])
    test = measured([*program, "evaluate", model, files["test"]])
    return {
        "dev": json.loads(run.output)["dev_accuracy"],
        "test": json.loads(test.output)["accuracy"],
        "seconds": run.seconds,
        "peak_mb": run.peak_mb,
        "model_mb": sum(file.stat().st_size for file in model.iterdir()) / 1e6,
    }


def fasttext_peer(files: dict[str, Path], seed: int, *more: str) -> dict[str, Any]:
    command = [sys.executable, HERE / "peer_fasttext.py", files["train"], files["dev"], files["test"]]
    run = measured([*command, "--seed", str(seed), *more])
    found = json.loads(run.output)
    return {
        "dev": found["dev_accuracy"],
        "test": found["accuracy"],
        "seconds": found["seconds"],
        "peak_mb": run.peak_mb,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=("nsmc", "sst2"))
    parser.add_argument("--presets", nargs="*", default=["fast", "accurate"], choices=("fast", "accurate"))
    parser.add_argument("--peers", nargs="*", default=["fasttext", "torch"], choices=("fasttext", "torch"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    files = {part: data_folder() / arguments.data / f"{part}.tsv" for part in ("train", "dev", "test")}
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in arguments.seeds:
            for preset in arguments.presets:
                found.setdefault(f"unrolled {preset}", []).append(ours(files, preset, seed, Path(folder)))
            if "fasttext" in arguments.peers:
                found.setdefault("fasttext sub-words", []).append(fasttext_peer(files, seed))
                found.setdefault("fasttext words", []).append(fasttext_peer(files, seed, "--words"))
            if "torch" in arguments.peers:
                found.setdefault("torch packed LSTM", []).append(torch_peer(files, seed, Path(folder)))
            print(f"seed {seed} done", file=sys.stderr, flush=True)
    print(f"{arguments.data}: mean (smallest to largest) of seeds {arguments.seeds}")
    print(json.dumps(machine("unrolled", "torch", "numpy", "tokenizers", "fasttext-wheel")))
    print(f"{'':22}{'dev %':>24}{'test %':>24}{'seconds':>24}{'peak MB':>10}{'model MB':>10}")
    for name, runs in found.items():
        cells = [spread([100 * run[part] for run in runs]) for part in ("dev", "test")]
        cells.append(spread([run["seconds"] for run in runs], 1))
        peak = max(run["peak_mb"] for run in runs)
        size = f"{runs[0]['model_mb']:.1f}" if "model_mb" in runs[0] else "-"
        print(f"{name:22}" + "".join(f"{cell:>24}" for cell in cells) + f"{peak:>10.0f}{size:>10}")
    if arguments.json:
        content = {"machine": machine("unrolled", "torch"), "data": arguments.data, "runs": found}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
