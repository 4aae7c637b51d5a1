"""One prediction after the other in a warm process: Unrolled, or the same network in plain torch.

    python benchmarks/one_text.py unrolled MODEL TEXTS.tsv [--texts 1000]
    python benchmarks/one_text.py torch MODEL TEXTS.tsv [--texts 1000]

MODEL is one that `unrolled train classify` wrote with the preset `fast`; the torch side (`peer_step.py`)
takes its weights, and its scores are checked to be the same. Prints the median microseconds of a text, over
different texts of which this process saw none before: for torch with the ids ready, and with Unrolled's own
tokenization before it. Unrolled answers from text to label, its wide part included; torch has the network
alone. `predict.py` runs both in turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import unrolled

Item = TypeVar("Item")
WARM = 300  # texts before those that count


def microseconds(items: Sequence[Item], call: Callable[[Item], object]) -> float:
    """The median; the first items are to warm up."""
    taken = []
    for item in items:
        began = time.perf_counter()
        call(item)
        taken.append(time.perf_counter() - began)
    return 1e6 * statistics.median(taken[WARM:])


def ours(path: Path, texts: list[str]) -> dict[str, float]:
    model = unrolled.load(path)
    return {"unrolled": microseconds(texts, lambda text: model.predict([text]))}


def theirs(path: Path, texts: list[str]) -> dict[str, float]:
    import torch
    from peer_step import Batch, Model

    from unrolled.runtime import load_model

    saved = load_model(path)
    options, labels = saved.manifest.options, saved.manifest.labels
    model = Model(saved.manifest.table_rows, options.embed_dim, options.hidden, len(labels), sparse=False)
    prefix = "members.0."
    model.load_state_dict(
        {
            name.removeprefix(prefix).replace("encoder.", "lstm."): torch.from_numpy(array.copy()).float()
            for name, array in saved.weights.items()
            if name.startswith(prefix)
        }
    )
    model.eval()
    predictor = unrolled.load(path)
    encode = predictor._pipeline.encode
    texts = [text for text in texts if len(encode([text]).rows)]  # torch packs no empty text

    def batch_of(text: str) -> Any:
        batch = encode([text])
        counts = torch.from_numpy(batch.rows.lengths)
        rows = torch.from_numpy(batch.rows.values).long()
        return Batch(rows, counts.cumsum(0) - counts, torch.from_numpy(batch.tokens.lengths), torch.zeros(1))

    with torch.inference_mode():
        whole = microseconds(texts, lambda text: model(batch_of(text)).softmax(1).tolist())
        ready = microseconds(
            [batch_of(text) for text in texts], lambda batch: model(batch).softmax(1).tolist()
        )
        scores = torch.cat([model(batch_of(text)) for text in texts[:200]]).numpy()
    expected = predictor._members[0](*predictor._pipeline.encode_distinct(texts[:200]))
    assert abs(scores - expected).max() < 1e-3, "the two networks differ"
    return {"torch, ids ready": ready, "torch, with tokenization": whole}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("side", choices=("unrolled", "torch"))
    parser.add_argument("model", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--texts", type=int, default=1000)
    arguments = parser.parse_args()
    header, *lines = arguments.file.read_text(encoding="utf-8").splitlines()
    column = header.split("\t").index("text")
    texts = [line.split("\t")[column] for line in lines[: WARM + arguments.texts]]
    run = ours if arguments.side == "unrolled" else theirs
    print(json.dumps(run(arguments.model, texts)))


if __name__ == "__main__":
    main()
