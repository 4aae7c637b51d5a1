"""Quality, time, speed and size of taggers: Unrolled, spaCy and plain torch, in one run.

    python benchmarks/tag.py ud_en_ewt [--sides unrolled fast spacy torch] [--seeds 0 1 2] [--json FILE]
    python benchmarks/tag.py wnut17

ud_en_ewt: share of words with the right UPOS; wnut17: F1 of spans. Peers: pip install spacy pytorch-crf. All
learn from the training file alone (`fast` is our preset of that name), and everything is chosen on the dev
file; the test file is read for the models that are done. Each training is a process of its own, and so is
each measurement of speed; the sides alternate, seed by seed. Words a second and the median sentence alone are
those of a warm process on the test file, with the words given; once with one thread and once with what each
side takes by itself.
Data: UNROLLED_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import data_folder, machine, measured, spread

HERE = Path(__file__).resolve().parent
DATA = {"ud_en_ewt": ("accuracy", "conllu"), "wnut17": ("f1", "conll")}
PACKAGES = ("unrolled", "spacy", "torch", "pytorch-crf", "numpy")
ONE_THREAD = dict.fromkeys(
    (
        *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS"),
        "UNROLLED_NUM_THREADS",
    ),
    "1",
)
PRESETS = {"unrolled": "accurate", "fast": "fast"}
TRIAL = 60  # sentences of each file


def unrolled(
    files: dict[str, Path], figure: str, folder: Path, seed: int, trial: bool, preset: str
) -> dict[str, Any]:
    command = [sys.executable, "-m", "unrolled"]
    training = [*command, "train", "tag", "--train", files["train"], "--dev", files["dev"], "--out", folder]
    training += ["--seed", str(seed), "--preset", preset, "--quiet", *(["--epochs", "1"] if trial else [])]
    run = measured(training)

    def score(part: str) -> float:
        found = json.loads(measured([*command, "evaluate", folder, files[part], "--json"]).output)
        return float(found[figure])

    def speed(**variables: str) -> dict[str, Any]:
        asked = [sys.executable, HERE / "tag_speed.py", folder, files["test"]]
        found: dict[str, Any] = json.loads(measured(asked, **variables).output)
        return found

    return {
        "dev": score("dev"),
        "test": score("test"),
        "seconds": run.seconds,
        "peak_mb": run.peak_mb,
        "model_mb": megabytes(folder),
        "one thread": speed(**ONE_THREAD),
        "threads as they come": speed(),
    }


def peer(program: str, files: dict[str, Path], folder: Path, seed: int, trial: bool) -> dict[str, Any]:
    command = [sys.executable, HERE / program]
    training = [*command, "train", files["train"], files["dev"], folder, "--seed", str(seed)]
    run = measured([*training, *(["--trial"] if trial else [])])

    def asked(verb: str, part: str, **variables: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            measured([*command, verb, folder, files[part]], **variables).output
        )
        return found

    return {
        "dev": asked("evaluate", "dev")["score"],
        "test": asked("evaluate", "test")["score"],
        "seconds": run.seconds,
        "peak_mb": run.peak_mb,
        "model_mb": megabytes(folder),
        "one thread": asked("speed", "test", **ONE_THREAD),
        "threads as they come": asked("speed", "test"),
    }


def megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def shortened(files: dict[str, Path], folder: Path) -> dict[str, Path]:
    """The first sentences of each file."""
    short = {}
    for part, path in files.items():
        blocks = path.read_text(encoding="utf-8").split("\n\n")[:TRIAL]
        short[part] = folder / path.name
        short[part].write_text("\n\n".join(blocks) + "\n\n", encoding="utf-8")
    return short


def row(name: str, runs: Sequence[dict[str, Any]]) -> str:
    cells = [spread([100 * run[part] for run in runs]) for part in ("dev", "test")]
    cells.append(spread([run["seconds"] for run in runs], 1))
    for threads in ("one thread", "threads as they come"):
        speeds = [run[threads] for run in runs if threads in run]
        cells.append(spread([speed["words_per_second"] for speed in speeds], 0) if speeds else "-")
        cells.append(spread([speed["sentence_ms"] for speed in speeds], 3) if speeds else "-")
    peak, size = max(run["peak_mb"] for run in runs), max(run["model_mb"] for run in runs)
    return f"{name:10}" + "".join(f"{cell:>25}" for cell in cells) + f"{peak:>9.0f}{size:>10.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sides = ("unrolled", "fast", "spacy", "torch")
    parser.add_argument("data", choices=tuple(DATA))
    parser.add_argument("--sides", nargs="+", default=list(sides), choices=sides)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--trial", action="store_true", help="a few steps on a few sentences: does all work?")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figure, suffix = DATA[given.data]
    files = {part: data_folder() / given.data / f"{part}.{suffix}" for part in ("train", "dev", "test")}
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        if given.trial:
            files = shortened(files, Path(temporary))
        for seed in given.seeds:
            for side in given.sides:
                folder = Path(temporary) / "model"
                if side in PRESETS:
                    run = unrolled(files, figure, folder, seed, given.trial, PRESETS[side])
                else:
                    run = peer(f"peer_tag_{side}.py", files, folder, seed, given.trial)
                found.setdefault(side, []).append(run)
                shutil.rmtree(folder)
                print(f"{side}, seed {seed}: {json.dumps(run)}", file=sys.stderr, flush=True)
    print(f"{given.data}: mean (smallest to largest) of seeds {given.seeds}" + ", a trial" * given.trial)
    print(json.dumps(machine(*PACKAGES)))
    heads = (f"dev {figure} %", f"test {figure} %", "training s")
    heads += ("words/s, 1 thread", "a sentence ms, 1 thread", "words/s", "a sentence ms")
    print(f"{'':10}" + "".join(f"{head:>25}" for head in heads) + f"{'peak MB':>9}{'model MB':>10}")
    for name, runs in found.items():
        print(row(name, runs))
    if given.json:
        content = {"machine": machine(*PACKAGES), "data": given.data, "trial": given.trial, "runs": found}
        given.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
