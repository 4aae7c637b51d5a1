"""Token files: written in pieces, read back in any order, refused when damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.errors import DataError
from unrolled.text.batch import SequenceBatch
from unrolled.text.store import TokenStore, TokenStoreWriter

rows = st.lists(st.lists(st.integers(-5, 2**31 - 1), max_size=5), max_size=6)


@settings(deadline=None, max_examples=30)
@given(st.lists(rows, max_size=4), st.data())
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[list[int]]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("store") / "a" / "b"
    with TokenStoreWriter(folder) as writer:
        for part in parts:
            writer.append(SequenceBatch.from_lists(part))
    sequences = [row for part in parts for row in part]
    store = TokenStore(folder)
    assert len(store) == len(sequences)
    assert store.total == sum(map(len, sequences))
    assert store.lengths.tolist() == list(map(len, sequences))
    index = st.integers(0, len(sequences) - 1) if sequences else st.nothing()
    indices = data.draw(st.lists(index, max_size=8 if sequences else 0))
    batch = store.batch(np.array(indices, dtype=np.int64))
    assert [sequence.tolist() for sequence in batch] == [sequences[i] for i in indices]
    assert batch.values.dtype == np.int32
    assert not isinstance(batch.values, np.memmap)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["b"]
    # Plain files that numpy reads without us.
    ids = [token for row in sequences for token in row]
    assert np.load(folder / "ids.npy", allow_pickle=False).tolist() == ids


def write(folder: Path, lists: list[list[int]]) -> None:
    with TokenStoreWriter(folder) as writer:
        writer.append(SequenceBatch.from_lists(lists))


def test_replaces_in_one_step_and_keeps_the_old_on_failure(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    write(folder, [[1]])
    with pytest.raises(RuntimeError, match="stop"), TokenStoreWriter(folder) as writer:
        writer.append(SequenceBatch.from_lists([[2, 2]]))
        raise RuntimeError("stop")
    assert TokenStore(folder).batch(np.array([0])).values.tolist() == [1]
    write(folder, [[3, 4]])
    assert TokenStore(folder).batch(np.array([0])).values.tolist() == [3, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_does_not_replace_what_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(DataError, match="not a token store"):
        TokenStoreWriter(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_refuses_vectors_and_use_after_close(tmp_path: Path) -> None:
    writer = TokenStoreWriter(tmp_path / "s")
    with pytest.raises(DataError, match="int32"):
        writer.append(SequenceBatch(np.zeros((1, 2), np.float32), np.array([1])))
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.append(SequenceBatch.from_lists([[1]]))


def test_refuses_damage(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        TokenStore(tmp_path)
    folder = tmp_path / "store"
    write(folder, [[1, 2], [3]])
    good = {name: (folder / name).read_bytes() for name in ("ids.npy", "offsets.npy")}

    def damaged(name: str, content: bytes, message: str) -> None:
        (folder / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            TokenStore(folder)
        (folder / name).write_bytes(good[name])

    for name, content in good.items():
        for cut in (0, 4, 50, len(content) - 1):
            damaged(name, content[:cut], "write it anew|not a readable")
        damaged(name, b"PK\x03\x04" + content, "not a readable")
    np.save(tmp_path / "x.npy", np.array([0, 2, 1, 3], dtype=np.int64))
    damaged("offsets.npy", (tmp_path / "x.npy").read_bytes(), "backwards")
    np.save(tmp_path / "x.npy", np.array([0, 2, 4], dtype=np.int64))
    damaged("offsets.npy", (tmp_path / "x.npy").read_bytes(), "do not fit")
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    damaged("ids.npy", (tmp_path / "x.npy").read_bytes(), "not a readable")
    np.save(tmp_path / "x.npy", np.zeros(3))
    damaged("ids.npy", (tmp_path / "x.npy").read_bytes(), "flat array of int32")
    with pytest.raises(IndexError):
        TokenStore(folder).batch(np.array([2]))
    with pytest.raises(IndexError):
        TokenStore(folder).batch(np.array([-1]))
