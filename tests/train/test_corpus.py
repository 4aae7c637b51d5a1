"""Records to numbers: labels, the held-out part, the texts on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_training import order_pairs, records, small

from unrolled.data import Record
from unrolled.text.ngrams import NgramHasher
from unrolled.text.pipeline import TextPipeline
from unrolled.train.corpus import build_corpus
from unrolled.train.split import held_out
from unrolled.train.spool import Spool
from unrolled.train.targets import UNSEEN, RawLabels, label_counts


def test_a_source_is_read_once_and_its_texts_are_encoded_as_the_pipeline_does(tmp_path: Path) -> None:
    pairs = [*order_pairs(50, 1), ("", "wet"), ("\u200b 정말 재미있는 영화 \ud800", "sunny")]

    def once() -> Iterator[Record]:
        yield from records(pairs)

    options = small(ngram_max=3, max_length=5)
    corpus = build_corpus(options, once(), iter(records(pairs[:7])), tmp_path)
    hasher = NgramHasher(options.ngram_min, options.ngram_max, options.ngram_buckets, corpus.ngram_buckets)
    pipeline = TextPipeline(corpus.tokenizer, hasher, options.max_length)
    chosen = np.array([51, 3, 50, 3])
    rows, counts, lengths = corpus.train.batch(chosen)
    expected = pipeline.encode([pairs[index][0] for index in chosen])
    np.testing.assert_array_equal(rows, expected.rows.values)
    np.testing.assert_array_equal(counts, expected.rows.lengths)
    np.testing.assert_array_equal(lengths, expected.tokens.lengths)
    assert corpus.table_rows == pipeline.table_rows
    assert len(corpus.dev) == 7
    assert corpus.labels == ["sunny", "wet"]
    np.testing.assert_array_equal(
        corpus.train.targets.values, [corpus.labels.index(label) for _, label in pairs]
    )
    assert not list(tmp_path.rglob("texts"))  # the texts themselves are deleted


def test_only_frequent_ngrams_have_a_row(tmp_path: Path) -> None:
    rows = records([("ab", "x")] * 4 + [("cd", "y")] * 3)
    options = small(ngram_min=1, ngram_max=1, ngram_buckets=1_000_000, ngram_min_freq=4)
    corpus = build_corpus(options, rows, None, tmp_path)
    assert corpus.ngram_buckets is not None
    every = NgramHasher(1, 1, 1_000_000)
    assert corpus.ngram_buckets.tolist() == sorted(every.bags(["ab"]).values.tolist())
    assert corpus.table_rows == len(corpus.tokenizer) + 2


def test_held_out_texts_do_not_shape_the_vocabulary(tmp_path: Path) -> None:
    pairs = [(f"word{number} filler", "ab"[number % 2]) for number in range(100)]
    corpus = build_corpus(small(min_freq=1), records(pairs), None, tmp_path)
    known = {corpus.tokenizer.id_to_token(index) for index in range(len(corpus.tokenizer))}
    assert len(corpus.dev) == 10
    for row in range(100):
        assert (f"word{row}" in known) == (row in corpus.train.rows)
    assert set(corpus.train.rows) | set(corpus.dev.rows) == set(range(100))


@pytest.mark.parametrize("kind", ["char", "bpe", "unigram"])
def test_subword_tokenizers_train_from_the_spool(tmp_path: Path, kind: str) -> None:
    corpus = build_corpus(
        small(tokenizer=kind, vocab_size=60, ngram_max=0), records(order_pairs(80, 1)), None, tmp_path
    )
    assert corpus.table_rows == len(corpus.tokenizer) <= 60
    assert int(corpus.train.lengths.min()) > 2


def test_fingerprint_follows_texts_and_labels_alone(tmp_path: Path) -> None:
    def sha(rows: list[Record]) -> str:
        return Spool(rows, tmp_path, name="x", task="single").sha256

    rows = records([("a b", "x"), ("c", "y")])
    assert sha(rows) == sha([Record("a b", "x", 90), Record("c", "y", 91)])
    others = [
        [("a b", "x"), ("c", "x")],
        [("a", "x"), (" bc", "y")],
        [("c", "y"), ("a b", "x")],
        [("a bx", ""), ("c", "y")],
    ]
    assert len({sha(rows), *(sha(records(other)) for other in others)}) == 5


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=0, max_size=300), st.integers(0, 3)
)
def test_held_out_rows(rows: list[tuple[int, int]], seed: int) -> None:
    hashes = np.array([text for text, _ in rows], dtype=np.uint64)
    strata = np.array([label for _, label in rows], dtype=np.int64)
    out = held_out(hashes, strata, seed)
    np.testing.assert_array_equal(out, held_out(hashes, strata, seed))
    if len(rows) < 20:
        assert not out.any()
    assert out.sum() <= 0.1 * len(rows) + 2
    assert not set(hashes[out]) & set(hashes[~out])  # no text on both sides


def test_held_out_rows_are_a_tenth_of_each_class_and_depend_on_the_seed() -> None:
    strata = np.repeat([0, 1, 2], [700, 200, 100])
    hashes = np.arange(1000, dtype=np.uint64)
    out = held_out(hashes, strata, 0)
    assert np.bincount(strata[out]).tolist() == [70, 20, 10]
    assert (held_out(hashes, strata, 1) != out).any()


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)), min_size=20, max_size=80))
def test_no_class_is_held_out_whole(rows: list[tuple[int, int]]) -> None:
    hashes = np.array([text for text, _ in rows], dtype=np.uint64)
    strata = np.array([label for _, label in rows], dtype=np.int64)
    out = held_out(hashes, strata, 0)
    assert set(strata[~out]) == set(strata)


def test_of_many_small_classes_only_those_with_a_text_to_spare_give_rows() -> None:
    strata = np.array([*range(20), 20, 20, 21, 21, 21])
    out = held_out(np.arange(25, dtype=np.uint64), strata, 0)
    assert out.sum() == 2 and (strata[out] >= 20).all()
    assert not held_out(np.arange(25, dtype=np.uint64), np.arange(25), 0).any()


def test_labels_become_numbers() -> None:
    single = RawLabels("single")
    for label in ["b", "a", "c", "b"]:
        single.append(label)
    targets = single.numbered(["a", "b"])
    assert targets.values.tolist() == [1, 0, UNSEEN, 1]
    assert targets.unseen_rows == 1
    assert label_counts(["a", "b"], targets) == {"a": 1, "b": 2}
    several = RawLabels("multi")
    for labels in [["b", "a"], [], ["c", "d", "a"]]:
        several.append(labels)
    targets = several.numbered(["a", "b"])
    assert targets.values.tolist() == [[True, True], [False, False], [True, False]]
    assert targets.unseen is not None and targets.unseen.tolist() == [0, 0, 2]
    assert targets.unseen_rows == 1
    assert label_counts(["a", "b"], targets) == {"a": 2, "b": 1}
