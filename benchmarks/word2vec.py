"""Word vectors: Unrolled beside gensim and fastText, alternating in one run. Speed, quality and memory.

    python benchmarks/word2vec.py [--model skipgram|cbow] [--epochs 5] [--seeds 3] [--runs 3] [--threads 2]
        [--peers unrolled-fast unrolled gensim gensim-iterable fasttext] [--json FILE]

The corpus is corpus_en/corpus.txt of the data sets; WordSim-353, SimLex-999 and the analogy questions ship
with gensim's test data. Settings are the same for all: dim 100, window 5, 5 negatives, sample 1e-3, min count
5, learning rate 0.025. Words a second are tokens of the corpus x epochs / seconds of training; the vocabulary
pass is timed apart, except in fastText, which does not tell it (`total` holds both for everybody), and which
takes no seed. Each training is a process of its own. gensim reads the file itself (`corpus_file`, its faster
way), or is given sentences in memory (`gensim-iterable`). `--scaling` shows our words a second against
threads, `--memory` the peak of memory over that of an idle process, beside the size of tables and vocabulary.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import data_folder, machine, measured, spread

PEERS = ("unrolled-fast", "unrolled", "gensim", "gensim-iterable", "fasttext")
DIM, WINDOW, NEGATIVE, SAMPLE, MIN_COUNT, RATE = 100, 5, 5, 1e-3, 5, 0.025


def corpus() -> Path:
    return data_folder() / "corpus_en" / "corpus.txt"


def gensim_data() -> Path:
    import gensim

    return Path(gensim.__file__).parent / "test" / "test_data"


def train_unrolled(fast: bool, model: str, epochs: int, seed: int, threads: int) -> dict[str, Any]:
    from unrolled import WordVectors, engine

    engine.set_num_threads(threads)
    idle = peak()
    began = time.perf_counter()
    options = {"model": model, "dim": DIM, "window": WINDOW, "negative": NEGATIVE, "sample": SAMPLE}
    vectors = WordVectors(**options, min_count=MIN_COUNT, epochs=epochs, seed=seed, fast=fast).fit(corpus())
    total = time.perf_counter() - began
    memory = {"peak_mb": peak(), "idle_mb": idle, "tables_mb": 2 * vectors.vectors.nbytes / 1e6}
    return {
        "seconds": vectors.training["seconds"],
        "total": total,
        **memory,
        **quality(vectors),
    }


def train_gensim(iterable: bool, model: str, epochs: int, seed: int, threads: int) -> dict[str, Any]:
    from gensim.models import Word2Vec

    from unrolled import WordVectors

    source: dict[str, Any] = {"corpus_file": str(corpus())}
    if iterable:
        source = {"corpus_iterable": [line.split() for line in corpus().read_text("utf-8").split("\n")]}
    idle = peak()
    began = time.perf_counter()
    trained = Word2Vec(
        vector_size=DIM,
        window=WINDOW,
        negative=NEGATIVE,
        sample=SAMPLE,
        min_count=MIN_COUNT,
        alpha=RATE,
        sg=int(model == "skipgram"),
        workers=threads,
        seed=seed + 1,
    )
    trained.build_vocab(**source)
    ready = time.perf_counter()
    trained.train(
        **source,
        total_examples=trained.corpus_count,
        total_words=trained.corpus_total_words,
        epochs=epochs,
    )
    done = time.perf_counter()
    memory = {"peak_mb": peak(), "idle_mb": idle}
    figures = quality(WordVectors.from_gensim(trained.wv))
    return {"seconds": done - ready, "total": done - began, **memory, **figures}


def train_fasttext(model: str, epochs: int, threads: int) -> dict[str, Any]:
    import fasttext
    import numpy as np

    from unrolled import WordVectors
    from unrolled.embed.table import VectorTable

    idle = peak()
    began = time.perf_counter()
    trained = fasttext.train_unsupervised(
        str(corpus()),
        model=model,
        dim=DIM,
        ws=WINDOW,
        neg=NEGATIVE,
        t=SAMPLE,
        minCount=MIN_COUNT,
        lr=RATE,
        epoch=epochs,
        thread=threads,
        minn=0,
        maxn=0,
        bucket=0,
        verbose=0,
    )
    total = time.perf_counter() - began
    memory = {"peak_mb": peak(), "idle_mb": idle}
    words = trained.get_words()
    vectors = np.stack([np.array(trained.get_word_vector(word), dtype=np.float32) for word in words])
    return {
        "seconds": total,
        "total": total,
        **memory,
        **quality(WordVectors.of(VectorTable(words, vectors))),
    }


def quality(vectors: Any) -> dict[str, float]:
    data = gensim_data()
    found = vectors.evaluate(pairs=data / "wordsim353.tsv", analogies=data / "questions-words.txt")
    simlex = vectors.evaluate(pairs=data / "simlex999.txt")
    return {
        "wordsim": found["pairs"]["spearman"],
        "simlex": simlex["pairs"]["spearman"],
        "analogies": found["analogies"]["accuracy"],
    }


def peak() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def one(peer: str, model: str, epochs: int, seed: int, threads: int) -> dict[str, Any]:
    if peer.startswith("unrolled"):
        return train_unrolled(peer.endswith("fast"), model, epochs, seed, threads)
    if peer.startswith("gensim"):
        return train_gensim(peer.endswith("iterable"), model, epochs, seed, threads)
    return train_fasttext(model, epochs, threads)


def in_process(peer: str, arguments: argparse.Namespace, seed: int, threads: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", peer, "--model", arguments.model]
    command += ["--epochs", str(arguments.epochs), "--seed", str(seed), "--threads", str(threads)]
    limits = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"}
    found: dict[str, Any] = json.loads(measured(command, **limits).output.splitlines()[-1])
    return found


def compare(arguments: argparse.Namespace, tokens: int) -> dict[str, Any]:
    """All peers, a seed after the other and again, so that what else the machine does meets all alike."""
    found: dict[str, list[dict[str, Any]]] = {peer: [] for peer in arguments.peers}
    for run in range(max(arguments.runs, arguments.seeds)):
        for peer in arguments.peers:
            found[peer].append(in_process(peer, arguments, run % arguments.seeds, arguments.threads))
            print(
                f"{peer:16} {tokens * arguments.epochs / found[peer][-1]['seconds']:12,.0f} words/s",
                flush=True,
            )
    middle = {peer: statistics.median(one["seconds"] for one in runs) for peer, runs in found.items()}
    print(f"\n{arguments.model}, {arguments.epochs} epochs, {arguments.threads} threads: medians of", end=" ")
    print(f"{max(arguments.runs, arguments.seeds)} runs; quality: mean (smallest to largest) of the seeds")
    print(f"{'':16}{'words/s':>12}{'fastest':>12}  WordSim-353             SimLex-999              analogies")
    for peer, runs in found.items():
        rates = [tokens * arguments.epochs / one["seconds"] for one in runs]
        figures = "  ".join(
            f"{spread([one[name] for one in runs[: arguments.seeds]], 3):22}"
            for name in ("wordsim", "simlex", "analogies")
        )
        print(f"{peer:16}{tokens * arguments.epochs / middle[peer]:12,.0f}{max(rates):12,.0f}  {figures}")
    for peer in middle:
        if not peer.startswith("unrolled"):
            ratios = (
                f"{ours} {middle[peer] / middle[ours]:.2f}" for ours in middle if ours.startswith("unrolled")
            )
            print(f"times as fast as {peer}: {', '.join(ratios)}")
    if {"unrolled", "unrolled-fast"} <= set(middle):
        print(f"repeatable over fast: {middle['unrolled-fast'] / middle['unrolled']:.2f}")
    return {"runs": found, "median_seconds": middle}


def scaling(arguments: argparse.Namespace, tokens: int) -> dict[str, Any]:
    """Our words a second on 1 thread up to all cores."""
    found: dict[str, dict[int, float]] = {}
    counts = [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= (os.cpu_count() or 1)]
    for peer in ("unrolled-fast", "unrolled"):
        found[peer] = {}
        for threads in counts:
            runs = [in_process(peer, arguments, 0, threads)["seconds"] for _ in range(arguments.runs)]
            found[peer][threads] = tokens * arguments.epochs / statistics.median(runs)
            print(f"{peer:16}{threads:3} threads {found[peer][threads]:12,.0f} words/s", flush=True)
    return found


def memory(tokens: int, types: int) -> dict[str, float]:
    """Peak of a training with many words: Zipf's law over ``types`` words, written to a temporary file."""
    import numpy as np

    from unrolled import WordVectors

    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "words.txt"
        with file.open("w", encoding="utf-8") as out:
            for begin in range(0, types, 1 << 16):
                line = np.arange(begin, min(begin + (1 << 16), types))
                out.write(" ".join(f"w{word}" for word in line) + "\n")
            for _ in range(tokens // (1 << 14)):
                ranks = np.minimum(draw.zipf(1.1, 1 << 14), types) - 1
                out.write(" ".join(f"w{word}" for word in ranks) + "\n")
        WordVectors(dim=8, min_count=1, epochs=1).fit(["a b c"] * 100)  # everything is loaded
        idle = peak()
        vectors = WordVectors(dim=DIM, min_count=1, epochs=1).fit(file, out=Path(folder) / "out")
        figures = {
            "words": float(len(vectors)),
            "peak_mb": peak(),
            "idle_mb": idle,
            "tables_mb": 2 * vectors.vectors.nbytes / 1e6,
            "words_mb": vocabulary_mb(vectors.words),
        }
    figures["ratio"] = (figures["peak_mb"] - idle) / (figures["tables_mb"] + figures["words_mb"])
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    return figures


def vocabulary_mb(words: list[str]) -> float:
    """The words as Python holds them: strings, and the dictionary that finds them."""
    return (sum(map(sys.getsizeof, words)) + sys.getsizeof(dict.fromkeys(words)) + sys.getsizeof(words)) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=("skipgram", "cbow"), default="skipgram")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        peer = arguments.one
        print(json.dumps(one(peer, arguments.model, arguments.epochs, arguments.seed, arguments.threads)))
        return
    about = machine("unrolled", "gensim", "fasttext-wheel", "numpy")
    print(json.dumps(about))
    content: dict[str, Any] = {"machine": about, "arguments": {**vars(arguments), "json": None}}
    if arguments.memory:
        content["memory"] = memory(20_000_000, 400_000)
    else:
        tokens = len(corpus().read_text(encoding="utf-8").split())
        content["figures"] = (scaling if arguments.scaling else compare)(arguments, tokens)
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
