"""Vocabulary, text on disk, and what frequencies decide: against brute force."""

from __future__ import annotations

import gzip
import heapq
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.embed.counting import LONGEST_SENTENCE, count_words
from unrolled.embed.frequencies import keep_thresholds, noise_table, word_tree
from unrolled.embed.options import VectorOptions
from unrolled.embed.texts import Texts
from unrolled.errors import DataError


def read(file: Path) -> list[int]:
    return np.fromfile(file, dtype=np.int32).tolist()


def sentences_of(ids: list[int], words: list[str]) -> list[list[str]]:
    sentences: list[list[str]] = [[]]
    for number in ids:
        if number < 0:
            sentences.append([])
        else:
            sentences[-1].append(words[number])
    assert sentences.pop() == []
    return sentences


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c", "dd", "ee", "한국", "x"]), max_size=9), max_size=30),
    st.integers(1, 4),
)
def test_counts_and_text_are_those_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory, text: list[list[str]], min_count: int
) -> None:
    counts = Counter(word for sentence in text for word in sentence)
    kept = {word for word, count in counts.items() if count >= min_count}
    file = tmp_path_factory.mktemp("ids") / "ids"
    options = VectorOptions(min_count=min_count)
    if len(kept) < 2:
        with pytest.raises(DataError, match="different words occur"):
            count_words(Texts(text), options, file)
        return
    counted = count_words(Texts(text), options, file)
    assert set(counted.words) == kept
    assert counted.counts.tolist() == [counts[word] for word in counted.words]
    assert counted.counts.tolist() == sorted(counted.counts.tolist(), reverse=True)
    assert (counted.tokens, counted.types) == (sum(counts.values()), len(counts))
    assert counted.kept_tokens == sum(counts[word] for word in kept)
    expected = [[word for word in sentence if word in kept] for sentence in text]
    assert sentences_of(read(file), counted.words) == [sentence for sentence in expected if sentence]
    assert counted.entries == len(read(file))


def test_files_folders_gzip_and_memory_give_the_same(tmp_path: Path) -> None:
    lines = ["one two three\n", "two three\r\n", "\n", "three  four\tone"]
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "1.txt").write_text("".join(lines[:2]), newline="")
    (folder / "2.txt.gz").write_bytes(gzip.compress("".join(lines[2:]).encode()))
    (folder / ".hidden").write_text("nothing of this")
    whole = tmp_path / "whole.txt"
    whole.write_text("\ufeff" + "".join(lines), encoding="utf-8", newline="")
    wide = tmp_path / "wide.txt"
    wide.write_text("".join(lines), encoding="utf-16", newline="")
    options = VectorOptions(min_count=1)
    found = []
    for source in (folder, whole, wide, [folder / "1.txt", folder / "2.txt.gz"], lines):
        counted = count_words(Texts(source), options, tmp_path / "ids")
        found.append((counted.words, counted.counts.tolist(), read(tmp_path / "ids")))
    tokens = count_words(Texts([line.split() for line in lines]), options, tmp_path / "ids")
    found.append((tokens.words, tokens.counts.tolist(), read(tmp_path / "ids")))
    assert all(one == found[0] for one in found)
    assert found[0][0][0] == "three"


def test_one_endless_line_is_cut_into_sentences(tmp_path: Path) -> None:
    file = tmp_path / "text8"
    file.write_text(" ".join(f"w{number % 7}" for number in range(400_000)))
    counted = count_words(Texts(file), VectorOptions(), tmp_path / "ids")
    sentences = sentences_of(read(tmp_path / "ids"), counted.words)
    assert {len(sentence) for sentence in sentences} == {LONGEST_SENTENCE}
    assert [word for sentence in sentences for word in sentence] == [f"w{n % 7}" for n in range(400_000)]


def test_basic_english_and_most_words(tmp_path: Path) -> None:
    text = ["The dog's bone, the CAT!", "the cat"] * 3
    counted = count_words(
        Texts(text), VectorOptions(tokenizer="basic_english", max_words=2), tmp_path / "ids"
    )
    assert counted.words == ["the", "cat"]
    assert counted.types == 8


def test_too_many_words_are_forgotten_and_said(tmp_path: Path) -> None:
    text = [["often", "too", f"rare{number}"] for number in range(300_000)]
    counted = count_words(Texts(text), VectorOptions(), tmp_path / "ids", most_types=1000)
    assert counted.words == ["often", "too"]
    assert counted.counts.tolist() == [300_000, 300_000]
    assert counted.tokens == 900_000
    assert counted.forgotten > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (["a", 5], "sentence 1 must be a string or a list of tokens, not int"),
        ([["new york", "city"]], "'new york' is empty or holds a blank"),
        (7, "must come from a path, a folder or an iterable"),
    ],
)
def test_text_of_the_wrong_kind(tmp_path: Path, text: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        count_words(Texts(text), VectorOptions(), tmp_path / "ids")


def test_bad_bytes_are_named_by_line(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(b"fine\nfine\nbad \xff\n")
    with pytest.raises(DataError, match=r"text\.txt:3: bytes that are not utf-8"):
        count_words(Texts(file), VectorOptions(), tmp_path / "ids")
    with pytest.raises(DataError, match="holds no file"):
        (tmp_path / "empty").mkdir()
        Texts(tmp_path / "empty")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=60))
def test_noise_table_has_exactly_the_noise_distribution(counts: list[int]) -> None:
    threshold, alias = noise_table(np.array(counts))
    share = np.zeros(len(counts))
    for word in range(len(counts)):
        own = float(threshold[word]) / 2**32
        share[word] += own / len(counts)
        share[alias[word]] += (1 - own) / len(counts)
    expected = np.array(counts) ** 0.75
    np.testing.assert_allclose(share, expected / expected.sum(), atol=1e-8)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 500), min_size=2, max_size=50))
def test_tree_is_optimal_and_each_path_leads_to_one_word(counts: list[int]) -> None:
    falling = np.array(sorted(counts, reverse=True))
    starts, nodes, labels = word_tree(falling)
    lengths = np.diff(starts)
    queue = falling.tolist()
    heapq.heapify(queue)
    cost = 0
    while len(queue) > 1:  # Huffman's own proof that this is the least
        both = heapq.heappop(queue) + heapq.heappop(queue)
        cost += both
        heapq.heappush(queue, both)
    assert int((lengths * falling).sum()) == cost
    paths = [
        tuple(zip(nodes[begin:end].tolist(), labels[begin:end].tolist(), strict=True))
        for begin, end in pairwise(starts)
    ]
    assert len(set(paths)) == len(falling)
    assert len({path[0][0] for path in paths}) == 1  # one root
    branches = Counter(step for path in paths for step in set(path))
    assert {(node, 1 - label) for node, label in branches} == set(branches)  # both branches of each node
    assert int(nodes.min()) >= 0
    assert int(nodes.max()) == len(falling) - 2


def test_subsampling_follows_its_formula() -> None:
    counts = np.array([900, 90, 10])
    kept = keep_thresholds(counts, 1e-2) / (2**32 - 1)
    np.testing.assert_allclose(kept[0], np.sqrt(1e-2 / 0.9) + 1e-2 / 0.9, rtol=1e-6)
    assert kept[2] == 1
    assert (keep_thresholds(counts, 0) == 2**32 - 1).all()
