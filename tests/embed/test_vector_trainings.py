"""What a training of word vectors leaves when it fails or is stopped, and what it goes on from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from vector_toys import two_topics

from unrolled.embed import VectorOptions, WordVectors
from unrolled.embed.counting import count_words
from unrolled.embed.progress import SilentVectors
from unrolled.embed.texts import Texts
from unrolled.errors import DataError, TrainingError

SMALL: dict[str, Any] = {"dim": 8, "epochs": 3, "sample": 0, "min_count": 2}


class Stop(SilentVectors):
    """Fails in the middle of the training."""

    def step(self, tokens: int, loss: float, epoch: int) -> None:
        if epoch == 2:
            raise RuntimeError("stop")


def unfinished(out: Path) -> Path:
    """A training that has done one epoch of three."""
    with pytest.raises(RuntimeError, match="stop"):
        WordVectors(**SMALL).fit(two_topics(200), out=out, progress=Stop())
    return out


def content(folder: Path) -> dict[str, bytes]:
    return {str(entry): entry.read_bytes() for entry in folder.rglob("*") if entry.is_file()}


def test_overwrite_keeps_the_old_training_until_the_new_text_is_read(tmp_path: Path) -> None:
    out = unfinished(tmp_path / "v")
    before = content(out)
    assert any(name.endswith(".safetensors") for name in before)
    (tmp_path / "empty.txt").touch()
    (tmp_path / "bad.txt").write_bytes(b"good\n" * 10 + b"\xff\n")
    for name in ("nosuch.txt", "empty.txt", "bad.txt"):
        with pytest.raises(DataError, match=name):
            WordVectors(**SMALL).fit(tmp_path / name, out=out, overwrite=True)
        assert content(out) == before
    WordVectors(**SMALL).fit(two_topics(200), out=out, resume=True)
    again = unfinished(tmp_path / "w")
    vectors = WordVectors(**SMALL | {"dim": 5}).fit(two_topics(100), out=again, overwrite=True)
    assert WordVectors.load(again).dim == vectors.dim == 5
    assert not (again / "checkpoint").exists()


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = tmp_path / "ids"
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_001, hard))  # Python ignores the signal: writing fails
    try:
        with pytest.raises(TrainingError, match=r"ids: cannot be written \(.+\)\. The text needs four bytes"):
            count_words(Texts(two_topics(2000)), VectorOptions(), file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
    with pytest.raises(TrainingError, match="cannot be written"):
        count_words(Texts(two_topics(10)), VectorOptions(), tmp_path / "no" / "ids")
