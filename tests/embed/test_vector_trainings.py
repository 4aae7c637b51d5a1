"""What a training of word vectors leaves when it fails or is stopped, and what it goes on from."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from vector_toys import two_topics

from unrolled import engine
from unrolled.embed import VectorOptions, WordVectors
from unrolled.embed.counting import count_words
from unrolled.embed.progress import SilentVectors
from unrolled.embed.texts import Texts
from unrolled.embed.training import CHUNK, LANES
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


def change(name: str, **values: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        inner = content["state"] if name == "state.json" else content
        for key, value in values.items():
            if value is None:
                del inner[key]
            else:
                inner[key] = value
        (folder / name).write_text(json.dumps(content))

    return apply


def corpus(*ids: int) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        numbers = np.fromfile(folder / "corpus.ids", dtype=np.int32)
        numbers[: len(ids)] = ids
        numbers.tofile(folder / "corpus.ids")

    return apply


DAMAGES: dict[str, Callable[[Path], None]] = {
    "no corpus": lambda folder: (folder / "corpus.ids").unlink(),
    "empty corpus": lambda folder: (folder / "corpus.ids").write_bytes(b""),
    "short corpus": lambda folder: (folder / "corpus.ids").write_bytes(bytes(400)),
    "ids too high": corpus(0, 1_000_000),
    "ids too low": corpus(0, -2),
    "no options": change("state.json", options=None),
    "options of another type": change("state.json", options=[]),
    "no epoch": change("state.json", epoch=None),
    "epoch of another type": change("state.json", epoch="two"),
    "epoch beyond the last": change("state.json", epoch=4),
    "negative place": change("state.json", place=-1),
    "place beyond the last": change("state.json", place=1 << 40),
    "seconds of another type": change("state.json", seconds=[1]),
    "words of another type": change("vocabulary.json", words=7),
    "words missing": change("vocabulary.json", words=["a", "b"]),
    "entries of another type": change("vocabulary.json", entries="many"),
    "counts of another type": change("vocabulary.json", counts=["x"]),
    "no JSON": lambda folder: (folder / "state.json").write_text("{"),
}


@pytest.fixture(scope="module")
def half_done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unfinished(tmp_path_factory.mktemp("half") / "v")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_a_sentence(half_done: Path, tmp_path: Path, damage: str) -> None:
    out = tmp_path / "v"
    shutil.copytree(half_done, out)
    DAMAGES[damage](out / "checkpoint")
    before = content(out)
    with pytest.raises(TrainingError, match=r"checkpoint: the checkpoint is damaged .*overwrite"):
        WordVectors(**SMALL).fit(two_topics(200), out=out, resume=True)
    assert content(out) == before


@pytest.mark.parametrize("there", [False, True], ids=["new folder", "empty folder"])
def test_what_fails_before_the_first_state_leaves_nothing(tmp_path: Path, there: bool) -> None:
    out = tmp_path / "v"
    if there:
        out.mkdir()
    (tmp_path / "empty.txt").touch()
    (tmp_path / "bad.txt").write_bytes(b"good words\n" * 10 + b"\xff\n")
    (tmp_path / "few.txt").write_text("one two three\n")
    for name in ("missing.txt", "empty.txt", "bad.txt", "few.txt"):
        with pytest.raises(DataError, match=name):
            WordVectors(**SMALL).fit(tmp_path / name, out=out)
        assert out.exists() == there
        assert not there or not list(out.iterdir())


def test_tables_that_are_not_finite_are_no_state(tmp_path: Path) -> None:
    options = SMALL | {"learning_rate": 10.0, "epochs": 60, "model": "cbow"}
    with pytest.raises(TrainingError, match="no longer finite numbers"):
        WordVectors(**options).fit(["a b c d"] * 3000, out=tmp_path / "v")
    saved = list((tmp_path / "v" / "checkpoint").glob("*.safetensors"))
    for file in saved:
        assert all(np.isfinite(table).all() for table in load_file(file).values())
    assert not (tmp_path / "v" / "model.json").exists()


FULL_MEMORY = """
import resource, sys
from unrolled.embed import WordVectors
from unrolled.errors import TrainingError

words = [f"w{number}" for number in range(20_000)]
WordVectors(dim=8, epochs=1, min_count=1).fit([words])  # what is loaded late is loaded now
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (256 << 20)  # a table of 20,000 x 8192 takes 655 MB
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    WordVectors(dim=8192, window=7, negative=3, min_count=1).fit([words], out=sys.argv[1])
except TrainingError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit for memory, and /proc")
def test_too_little_memory_is_a_sentence(tmp_path: Path) -> None:
    out = tmp_path / "v"
    done = subprocess.run(
        [sys.executable, "-c", FULL_MEMORY, str(out)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the training does not fit into memory. Give a smaller dim (now 8192)")
    assert "(window, now 7; negative, now 3)" in done.stdout
    assert not (out / "model.json").exists()
    WordVectors(**SMALL).fit(two_topics(100), out=out, overwrite=True)
    assert WordVectors.load(out).dim == 8


def test_memory_that_ends_after_the_last_epoch_is_a_sentence_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise MemoryError

    out = tmp_path / "v"
    with monkeypatch.context() as patch:
        patch.setattr(WordVectors, "_take", full)
        with pytest.raises(TrainingError, match=r"does not fit into memory.+dim \(now 8\)"):
            WordVectors(**SMALL).fit(two_topics(200), out=out)
    resumed = WordVectors(**SMALL).fit(two_topics(200), out=out, resume=True)
    np.testing.assert_array_equal(resumed.vectors, WordVectors(**SMALL).fit(two_topics(200)).vectors)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder of two files, one of them in a folder of its own."""
    folder = tmp_path / "texts"
    (folder / "more").mkdir(parents=True)
    lines = two_topics(200)
    (folder / "a.txt").write_text("\n".join(lines[:100]))
    (folder / "more" / "b.txt").write_text("\n".join(lines[100:]))
    return folder


@pytest.mark.parametrize("way", ["absolute", "relative", "through a link"])
def test_what_a_training_writes_is_not_its_text(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    expected = WordVectors(**SMALL).fit(two_topics(200)).vectors
    out = texts / "more" / "v"
    if way == "relative":
        monkeypatch.chdir(texts)
        out = Path("more", "v")
    elif way == "through a link":
        (tmp_path / "link").symlink_to(texts, target_is_directory=True)
        out = tmp_path / "link" / "more" / "v"
    with pytest.raises(RuntimeError, match="stop"):
        WordVectors(**SMALL).fit(texts, out=out, progress=Stop())
    assert (texts / "more" / "v" / "checkpoint" / "state.json").is_file()
    resumed = WordVectors(**SMALL).fit(texts, out=out, resume=True)
    replaced = WordVectors(**SMALL).fit(texts, out=out, overwrite=True)
    for found in (resumed, replaced):
        np.testing.assert_array_equal(found.vectors, expected)


def test_a_folder_of_texts_is_no_place_for_their_vectors(texts: Path) -> None:
    before = content(texts)
    with pytest.raises(DataError, match=r"texts: all its files lie in .*texts, where the vectors go"):
        WordVectors(**SMALL).fit(texts, out=texts)
    with pytest.raises(TrainingError, match=r"holds other files \('b\.txt'\)"):
        WordVectors(**SMALL).fit(texts, out=texts / "more")
    assert content(texts) == before


@pytest.fixture(scope="module")
def many_words() -> list[list[str]]:
    """More words than lanes need, and more chunks than a call trains."""
    words = [f"w{number}" for number in range(1200)]
    weights = [1 / rank for rank in range(10, 10 + len(words))]
    draw = random.Random(4)
    return [draw.choices(words, weights, k=20) for _ in range(14_000)]


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_the_number_of_threads_changes_no_vector_of_many_words(
    many_words: list[list[str]], model: str
) -> None:
    options = {"model": model, "dim": 9, "epochs": 2, "window": 2, "negative": 2}
    assert sum(len(sentence) + 1 for sentence in many_words) > 512 * CHUNK
    found: list[np.ndarray] = []
    before = engine.get_num_threads()
    try:
        for threads in (1, 2, 4):
            engine.set_num_threads(threads)
            found.append(WordVectors(**options, seed=5).fit(many_words).vectors)
    finally:
        engine.set_num_threads(before)
    assert len(found[0]) >= 32 * LANES
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    assert np.abs(found[0] - WordVectors(**options, seed=6).fit(many_words).vectors).max() > 0.01
