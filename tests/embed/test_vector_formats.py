"""Files of other tools: what they write we read, what we write they read, and nothing hostile is believed."""

from __future__ import annotations

import gzip
import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.embed import WordVectors
from unrolled.embed.map import write_map
from unrolled.embed.opening import check_vectors, read_table, vectors_of, vectors_sha256
from unrolled.embed.subwords import Subwords
from unrolled.embed.table import VectorTable
from unrolled.embed.writing import format_of, write_vectors
from unrolled.errors import DataError, ModelFileError, OptionError

WORDS = ["the", "naïve", "한국어", "a-b", "..."]


def some_table(rows: int = 5, dim: int = 6) -> VectorTable:
    draw = np.random.default_rng(0)
    words = [*WORDS, *(f"word{number}" for number in range(rows))][:rows]
    vectors = draw.normal(size=(rows, dim)).astype(np.float32) * 10.0 ** draw.integers(-6, 6, (rows, 1))
    return VectorTable(words, vectors.astype(np.float32), np.arange(rows)[::-1] + 1)


NAMES = ["v.txt", "v.vec", "v.bin", "v.glove.txt", "v.safetensors", "v.txt.gz", "v.bin.gz"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_back_exactly(tmp_path: Path, name: str) -> None:
    for rows, dim in ((5, 6), (3000, 3), (2, 1)):
        table = some_table(rows, dim)
        write_vectors(tmp_path / name, table.words, table.vectors)
        found = read_table(tmp_path / name)
        assert found.words == table.words
        np.testing.assert_array_equal(found.vectors, table.vectors)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["v.txt", "v.bin", "v.txt.gz", "v.glove.txt"])
def test_gensim_reads_ours(tmp_path: Path, name: str) -> None:
    models = pytest.importorskip("gensim.models")
    table = some_table()
    write_vectors(tmp_path / name, table.words, table.vectors)
    found = models.KeyedVectors.load_word2vec_format(
        tmp_path / name, binary=".bin" in name, no_header="glove" in name
    )
    assert found.index_to_key == table.words
    np.testing.assert_array_equal(found.vectors, table.vectors)


@pytest.mark.parametrize("binary", [False, True])
def test_ours_reads_gensim(tmp_path: Path, binary: bool) -> None:
    models = pytest.importorskip("gensim.models")
    table = some_table()
    keyed = models.KeyedVectors(6)
    keyed.add_vectors(table.words, table.vectors)
    keyed.save_word2vec_format(tmp_path / "v", binary=binary)
    found = read_table(tmp_path / "v")
    assert found.words == table.words
    np.testing.assert_allclose(found.vectors, table.vectors, rtol=1e-6)


def test_from_and_to_gensim() -> None:
    pytest.importorskip("gensim")
    table = some_table()
    keyed = WordVectors.of(table).to_gensim()
    assert keyed.get_vecattr("the", "count") == 5
    back = WordVectors.from_gensim(keyed)
    assert back.words == table.words
    np.testing.assert_array_equal(back.vectors, table.vectors)
    assert back.table.counts is not None
    assert back.table.counts.tolist() == [5, 4, 3, 2, 1]


@pytest.fixture(scope="module")
def fasttext_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    fasttext = pytest.importorskip("fasttext")
    folder = tmp_path_factory.mktemp("fasttext")
    text = folder / "text.txt"
    text.write_text("한국어 문장 하나 the naïve dog eats a bone\n" * 40, encoding="utf-8")
    model = fasttext.train_unsupervised(
        str(text), dim=7, minCount=1, bucket=500, minn=2, maxn=4, epoch=1, thread=1, verbose=0
    )
    model.save_model(str(folder / "m.bin"))
    return model, folder / "m.bin"


def test_fasttext_model_gives_fasttext_vectors(fasttext_model: tuple[Any, Path], tmp_path: Path) -> None:
    model, file = fasttext_model
    vectors = WordVectors.load(file)
    assert vectors.words == model.get_words()
    for word in [*vectors.words, "naively", "한국", "q"]:
        expected = _vector(model, word)
        np.testing.assert_allclose(vectors.vector(word), expected, atol=1e-6, err_msg=word)
    vectors.save(tmp_path / "saved")
    again = WordVectors.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.vector("naively"), vectors.vector("naively"))


def _vector(model: Any, word: str) -> np.ndarray:
    vector: np.ndarray = np.array(model.get_word_vector(word))
    return vector


def test_fasttext_vec_and_numbers_of_ngrams(fasttext_model: tuple[Any, Path], tmp_path: Path) -> None:
    model, _ = fasttext_model
    subwords = Subwords(2, 4, 500)
    words = ["dog", "한국어", "naïve", "a"]
    starts, rows = subwords.of_words(words)
    for place, word in enumerate(words):
        names, ids = model.get_subwords(word)
        expected = sorted(
            int(number) - len(model.get_words()) for name, number in zip(names, ids, strict=True)
        )
        expected = [number for number in expected if number >= 0]
        assert sorted(rows[starts[place] : starts[place + 1]].tolist()) == expected, word
    lines = [f"{word} " + " ".join(map(str, _vector(model, word))) + " \n" for word in model.get_words()]
    vec = tmp_path / "m.vec"
    vec.write_text(f"{len(lines)} 7\n" + "".join(lines), encoding="utf-8")
    found = read_table(vec)
    assert found.words == model.get_words()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Z", "Cc"]), max_size=8), min_size=1),
    st.integers(1, 3),
    st.integers(0, 3),
)
def test_ngrams_against_a_plain_loop(words: list[str], min_n: int, more: int) -> None:
    def plain(word: str) -> list[int]:
        marked, found = f"<{word}>", []
        for start in range(len(marked)):
            for size in range(min_n, min_n + more + 1):
                end = start + size
                if end > len(marked) or (size == 1 and (start == 0 or end == len(marked))):
                    continue
                hashed = 2166136261
                for byte in marked[start:end].encode():
                    signed = byte - 256 if byte > 127 else byte
                    hashed = ((hashed ^ (signed & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
                found.append(hashed % 1009)
        return found

    starts, rows = Subwords(min_n, min_n + more, 1009).of_words(words)
    for place, word in enumerate(words):
        assert rows[starts[place] : starts[place + 1]].tolist() == plain(word)
    kept = Subwords(min_n, min_n + more, 1009).that_occur(words[:1])
    starts, rows = kept.of_words(words[:1])
    assert kept.kept is not None
    assert kept.kept[rows].tolist() == plain(words[0])


def test_words_with_blanks_of_glove(tmp_path: Path) -> None:
    file = tmp_path / "glove.txt"
    file.write_text("the 1 2 3\n. . . 4 5 6\nat name@domain.com 7 8 9\n", encoding="utf-8")
    found = read_table(file)
    assert found.words == ["the", ". . .", "at name@domain.com"]
    assert found.vectors[1].tolist() == [4, 5, 6]
    dim, some = vectors_of(file, {". . .": 0, "missing": 1})
    assert dim == 3
    assert {word: vector.tolist() for word, vector in some.items()} == {". . .": [4, 5, 6]}
    with pytest.raises(DataError, match="holds white space"):
        write_vectors(tmp_path / "out.txt", found.words, found.vectors)
    assert not (tmp_path / "out.txt").exists()
    write_vectors(tmp_path / "out.safetensors", found.words, found.vectors)
    assert read_table(tmp_path / "out.safetensors").words == found.words


BAD = {
    "claims": (b"1000000000000 300\nthe 1 2\n", r"claims 1000000000000 vectors of 300 numbers, at least"),
    "claims binary": (b"99999999999 2\nthe \x00\x00\xff\x7f", "claims 99999999999 vectors"),
    "zero": (b"5 0\n", "5 vectors of 0 numbers"),
    "wide": (b"1 900000\nthe 1\n", "claims 1 vectors of 900000"),
    "short line": (b"3 2\na 1 2\nb 1\nc 1 2\n", r"v:3: 1 numbers, but the other vectors have 2"),
    "not a number": (b"2 2\na 1 2\nb 1 x\n", r"v:3:3: 'x' is not a number"),
    "not finite": (b"2 2\na 1 2\nb 1 nan\n", "'b' holds values that are not finite"),
    "too few": (b"3 2\na 1 2\nb 1 2\n ", "says 3 vectors, but there are 2"),
    "prose": (b"Call me Ishmael.\nSome years ago\n", "not a file of word vectors"),
    "empty": (b"  \n", "the file is empty"),
    "cut binary": (
        b"3 2\na \x00\x00\x80?\x00\x00\x80?\nb \x00\x00\x80?\x00\x00\x80?\nc \x00\x00\n\n",
        "vector 3 of 3",
    ),
    "gzip": (gzip.compress(b"900000 2\na 1 2\n"), "claims 900000 vectors of 2 numbers"),
    "large gzip": (
        gzip.compress(b"999999999999 2\n" + b"".join(b"w%d 1 2\n" % n for n in range(60_000))),
        "says 999999999999 vectors, but there are 60000",
    ),
    "bad gzip": (gzip.compress(b"2 2\na 1 2\nb 1 2\n")[:-6], "ends too early"),
}


@pytest.mark.parametrize("kind", BAD)
def test_damaged_and_hostile_files(tmp_path: Path, kind: str) -> None:
    content, message = BAD[kind]
    file = tmp_path / "v"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(file)


def test_damaged_fasttext_models(fasttext_model: tuple[Any, Path], tmp_path: Path) -> None:
    raw = fasttext_model[1].read_bytes()
    for size in (4, 8, 40, 100, 200, len(raw) // 2):
        file = tmp_path / "cut.bin"
        file.write_bytes(raw[:size])
        with pytest.raises(DataError):
            read_table(file)
    hostile = bytearray(raw)
    hostile[64:68] = struct.pack("<i", 2**31 - 1)  # words of the dictionary
    (tmp_path / "hostile.bin").write_bytes(hostile)
    with pytest.raises(DataError, match="claims 2147483647 words"):
        read_table(tmp_path / "hostile.bin")
    old = bytearray(raw)
    old[4:8] = struct.pack("<i", 99)
    (tmp_path / "old.bin").write_bytes(old)
    with pytest.raises(DataError, match="format 99 is not known"):
        read_table(tmp_path / "old.bin")


def test_hostile_safetensors(tmp_path: Path) -> None:
    file = tmp_path / "v.safetensors"
    for header in (
        {"vectors": {"dtype": "F32", "shape": [2**30, 2**20], "data_offsets": [0, 8]}},
        {"vectors": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}},
        {
            "vectors": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
            "words": {"dtype": "U8", "shape": [2], "data_offsets": [4, 6]},
        },
    ):
        raw = json.dumps(header).encode()
        file.write_bytes(len(raw).to_bytes(8, "little") + raw + b"\0" * 8)
        with pytest.raises(DataError, match="not word vectors in safetensors"):
            read_table(file)


def test_formats_by_name(tmp_path: Path) -> None:
    assert format_of(tmp_path / "a.vec.gz") == "text"
    assert format_of(tmp_path / "a.dat", "binary") == "binary"
    with pytest.raises(OptionError, match="tells no format"):
        format_of(tmp_path / "a.dat")
    with pytest.raises(OptionError, match="no format 'tex'"):
        format_of(tmp_path / "a.txt", "tex")


def test_a_word_that_comes_twice_keeps_its_first_vector(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("a 1 2\nb 3 4\na 5 6\n")
    table = read_table(tmp_path / "v.txt")
    assert table.words == ["a", "b"]
    assert table.vectors.tolist() == [[1, 2], [3, 4]]


@pytest.mark.skipif(sys.platform == "win32", reason="has no named pipes in folders")
def test_a_pipe_is_refused_since_it_can_be_read_only_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody writes: whoever opened it would wait for ever
    for read in (check_vectors, read_table, vectors_sha256, lambda path: vectors_of(path, {"a": 0})):
        with pytest.raises(DataError, match="pipe or a device, which cannot be read twice"):
            read(tmp_path / "pipe")


def fasttext_bin(
    entries: list[tuple[bytes, int]], *, min_n: int, max_n: int, buckets: int = 50, dim: int = 3
) -> bytes:
    """A model as fastText writes it: magic, options, dictionary, table (``FastText::saveModel``)."""
    options = (dim, 5, 5, 1, 5, 1, 1, 2, buckets, min_n, max_n, 100)
    raw = struct.pack("<2i", 793712314, 12) + struct.pack("<12id", *options, 1e-4)
    raw += struct.pack("<3i2q", len(entries), len(entries), 0, 100, -1)
    for word, count in entries:
        raw += word + b"\0" + struct.pack("<qb", count, 0)
    rows = len(entries) + buckets
    table = np.random.default_rng(1).normal(size=(rows, dim)).astype("<f4")
    return raw + b"\0" + struct.pack("<2q", rows, dim) + table.tobytes()


@pytest.mark.parametrize(("min_n", "max_n"), [(0, 3), (-2, 3), (5, 2), (3, 0), (1, 3)])
def test_fasttext_models_of_any_ngram_sizes_can_be_saved(tmp_path: Path, min_n: int, max_n: int) -> None:
    file = tmp_path / "m.bin"
    file.write_bytes(fasttext_bin([(b"dog", 5), (b"cats", 3)], min_n=min_n, max_n=max_n))
    vectors = WordVectors.load(file)
    vectors.save(tmp_path / "saved")
    again = WordVectors.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.vectors, vectors.vectors)
    own = np.random.default_rng(1).normal(size=(52, 3)).astype(np.float32)
    if max_n < max(min_n, 1):
        assert again.table.subwords is None
        np.testing.assert_array_equal(again.vectors, own[:2])
    else:
        assert again.table.subwords == Subwords(1, 3, 50)
        np.testing.assert_array_equal(again.vector("dogs"), vectors.vector("dogs"))


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "m.bin"
    file.write_bytes(fasttext_bin([(b"dog", 5), (b"cats", 3)], min_n=3, max_n=200))
    with pytest.raises(ModelFileError, match=r"n-grams contradict each other. Such vectors cannot be saved"):
        WordVectors.load(file).save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
    file.write_bytes(fasttext_bin([(b"dog", 5), (b"cats", -3)], min_n=3, max_n=4))
    with pytest.raises(DataError, match=r"m.bin: a word is said to occur -3 times"):
        read_table(file)


def test_fasttext_words_that_are_not_utf8_stay_apart(tmp_path: Path) -> None:
    file = tmp_path / "m.bin"
    words = [b"dog", b"\xff", b"\xfe\x80\x80\x80\x80\x80a", b"dog", b"\x80b"]
    file.write_bytes(fasttext_bin([(word, 9) for word in words], min_n=1, max_n=3))
    found = read_table(file)
    assert found.words == ["dog", r"\xff", r"\xfe\x80\x80\x80\x80\x80a", r"\x80b"]
    assert found.vectors.shape == (4, 3)
    table = np.random.default_rng(1).normal(size=(55, 3)).astype(np.float32)
    for row, word in ((0, words[0]), (1, words[1]), (2, words[2]), (4, words[4])):
        rows = [row, *(5 + bucket for bucket in ngram_buckets(word, 1, 3, 50))]
        place = found.words.index(word.decode("utf-8", "backslashreplace"))
        np.testing.assert_allclose(found.vectors[place], table[rows].mean(axis=0), atol=1e-6)


def ngram_buckets(word: bytes, min_n: int, max_n: int, buckets: int) -> list[int]:
    """``Dictionary::computeSubwords`` of fastText, byte by byte."""
    marked, found = b"<" + word + b">", []
    for start in range(len(marked)):
        if marked[start] & 0xC0 == 0x80:
            continue
        gram, end, size = b"", start, 1
        while end < len(marked) and size <= max_n:
            gram += marked[end : end + 1]
            end += 1
            while end < len(marked) and marked[end] & 0xC0 == 0x80:
                gram += marked[end : end + 1]
                end += 1
            if size >= min_n and not (size == 1 and (start == 0 or end == len(marked))):
                hashed = 2166136261
                for byte in gram:
                    signed = byte - 256 if byte > 127 else byte
                    hashed = ((hashed ^ (signed & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
                found.append(hashed % buckets)
            size += 1
    return found


def safetensors_bytes(words: bytes, vectors: np.ndarray) -> bytes:
    """A file as ``convert`` writes it, with any bytes for the list of words."""
    size = vectors.size * 4
    header = json.dumps(
        {
            "vectors": {"dtype": "F32", "shape": list(vectors.shape), "data_offsets": [0, size]},
            "words": {"dtype": "U8", "shape": [len(words)], "data_offsets": [size, size + len(words)]},
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + vectors.astype("<f4").tobytes() + words


def test_words_of_safetensors(tmp_path: Path) -> None:
    file = tmp_path / "v.safetensors"
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    file.write_bytes(safetensors_bytes(b'["a", "b", "a"]', vectors))
    found = read_table(file)
    assert found.words == ["a", "b"]
    assert found.vectors.tolist() == [[0, 1], [2, 3]]
    file.write_bytes(safetensors_bytes(b'["a", "b"]', vectors))
    with pytest.raises(DataError, match=r"v\.safetensors: holds 2 words, but 3 vectors"):
        read_table(file)
    file.write_bytes(safetensors_bytes(b"[" * 200_000, vectors))
    with pytest.raises(DataError, match=r"v\.safetensors: not word vectors in safetensors"):
        read_table(file)


def test_packed_binaries_are_to_be_unpacked_first(tmp_path: Path) -> None:
    model = fasttext_bin([(b"dog", 5), (b"cats", 3)], min_n=3, max_n=4)
    listed = safetensors_bytes(b'["a"]', np.ones((1, 2)))
    for name, content in (("m.bin.gz", model), ("v.safetensors.gz", listed)):
        (tmp_path / name).write_bytes(gzip.compress(content))
        with pytest.raises(DataError, match=rf"{name}: fastText .* unpack the file first"):
            read_table(tmp_path / name)
    for name, wanted in (("v.safetensors.gz", None), ("v.gz", "safetensors")):
        with pytest.raises(OptionError, match=r"Give a name without \.gz"):
            format_of(tmp_path / name, wanted)


@pytest.mark.parametrize("header", ["", "2 2\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_byte_order_mark_is_no_part_of_a_word(tmp_path: Path, header: str, packed: bool) -> None:
    content = f"{header}a 1 2\nb 3 4\n".encode("utf-8-sig")
    (tmp_path / "v").write_bytes(gzip.compress(content) if packed else content)
    table = read_table(tmp_path / "v")
    assert table.words == ["a", "b"]
    assert table.vectors.tolist() == [[1, 2], [3, 4]]
    assert vectors_of(tmp_path / "v", {"a": 0})[1]["a"].tolist() == [1, 2]


def test_targets_that_cannot_be_files_are_named(tmp_path: Path) -> None:
    table = some_table()
    for target in (Path(), Path("/"), tmp_path):
        with pytest.raises(DataError, match="is a folder: give the name of a file"):
            write_vectors(target, table.words, table.vectors, format="text")
        with pytest.raises(DataError, match="is a folder: give the name of a file"):
            write_map(table, target)
    with pytest.raises(DataError, match=r"there is no folder '.*nodir', make it or check the path"):
        write_vectors(tmp_path / "nodir" / "x.txt", table.words, table.vectors)
