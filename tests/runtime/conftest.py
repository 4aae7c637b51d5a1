"""Small models with random weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unrolled.options import ClassifierOptions
from unrolled.runtime.shapes import model_shapes
from unrolled.storage.strict_json import fingerprint
from unrolled.text.tokenizer import train_tokenizer

TEXTS = [
    "the film was good",
    "the film was bad , really bad",
    "영화가 정말 재미있다",
    "영화가 별로 였다 the film",
]

Parts = tuple[dict[str, Any], str, dict[str, np.ndarray]]


def make_parts(
    seed: int = 0,
    labels: tuple[str, ...] = ("neg", "pos", "없음"),
    storage: str = "float32",
    kept: list[int] | None = None,
    wide: list[int] | None = None,
    shares: tuple[float, float] = (0.6, 0.8),
    **changes: Any,
) -> Parts:
    values: dict[str, Any] = {"embed_dim": 6, "hidden": 5, "ngram_buckets": 40, "vocab_size": 30, **changes}
    values["wide"] = wide is not None
    options = ClassifierOptions.from_dict(values)
    tokenizer = train_tokenizer("basic_english", TEXTS, vocab_size=options.vocab_size, min_freq=1)
    buckets = options.ngram_buckets if kept is None else len(kept)
    rows = len(tokenizer) + (buckets if options.ngram_max else 0)
    regression = options.task == "regression"
    random = np.random.default_rng(seed)
    shapes = model_shapes(options, rows, 1 if regression else len(labels))
    weights = {
        name: (0.5 * random.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()
    }
    manifest: dict[str, Any] = {
        "format": "unrolled-model",
        "format_version": 1,
        "unrolled_version": "0.1.0",
        "task": "classify",
        "options": options.to_dict(),
        "labels": [] if regression else list(labels),
        "table_rows": rows,
        "temperature": 1.0,
        "target": {"mean": 3.0, "std": 2.0} if regression else None,
        "metrics": {"dev": {"accuracy": 0.5}},
        "training": {"created": "2026-01-01T00:00:00Z"},
        "storage": {"embedding": storage},
    }
    if wide is not None:
        outputs = len(labels)
        weights["wide.kept"] = np.array(wide, dtype=np.int32)
        weights["wide.weight"] = random.standard_normal((len(wide), outputs)).astype(np.float32)
        weights["wide.bias"] = random.standard_normal(outputs).astype(np.float32)
        manifest["wide"] = {"rows": len(wide), "network_share": shares[0], "wide_share": shares[1]}
    if kept is not None:
        manifest["ngram_rows"] = len(kept)
        weights["ngrams.kept"] = np.array(kept, dtype=np.int32)
    return manifest, tokenizer.to_json(), weights


@pytest.fixture(scope="session")
def parts() -> Callable[..., Parts]:
    """Makes manifest, tokenizer and weights of a small model with the given options."""
    return make_parts


@pytest.fixture(scope="session")
def rewritten() -> Callable[..., None]:
    """Changes files of a saved model and makes the checksums fit again, as an attacker would."""

    def rewrite(
        folder: Path, changes: dict[str, bytes], manifest: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        for name, data in changes.items():
            (folder / name).write_bytes(data)
            content["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if manifest is not None:
            manifest(content)
        content["checksum"] = fingerprint(content)
        (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")

    return rewrite
