"""The pipeline against an encoding token by token."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.errors import OptionError
from unrolled.text import pipeline as module
from unrolled.text.batch import SequenceBatch
from unrolled.text.ngrams import NgramHasher
from unrolled.text.pipeline import TextBatch, TextPipeline
from unrolled.text.tokenizer import train_tokenizer


class WordTokenizer:
    """Whitespace, with a handful of known words: enough of the interface."""

    unk_id = 1
    words = ("<pad>", "<unk>", "a", "bb", "영화가", "재미있다")

    def __len__(self) -> int:
        return len(self.words)

    def tokens(self, text: str) -> list[str]:
        return text.split()

    def tokens_batch(self, texts: list[str]) -> list[list[str]]:
        return [self.tokens(text) for text in texts]

    def token_to_id(self, token: str) -> int:
        return self.words.index(token) if token in self.words else self.unk_id

    def token_ids(self, tokens: list[str]) -> list[int]:
        return [self.token_to_id(token) if token != "<pad>" else self.unk_id for token in tokens]

    def encode_batch(self, texts: list[str]) -> SequenceBatch:
        ids = [[self.token_to_id(token) for token in text.split()] for text in texts]
        return SequenceBatch.from_lists(ids)


class BatchTokenizer(WordTokenizer):
    def tokens(self, text: str) -> list[str]:
        raise AssertionError("tokens_batch should be used")

    def tokens_batch(self, texts: list[str]) -> list[list[str]]:
        return [text.split() for text in texts]


HASHER = NgramHasher(1, 3, 50)


Encoded = list[list[tuple[int, list[int]]]]


def expected(texts: list[str], max_length: int, hasher: NgramHasher | None) -> Encoded:
    tokenizer = WordTokenizer()
    return [
        [
            (
                tokenizer.token_to_id(token),
                [] if hasher is None else (hasher.bags([token]).values + len(tokenizer)).tolist(),
            )
            for token in text.split()[:max_length]
        ]
        for text in texts
    ]


def unpacked(batch: TextBatch) -> Encoded:
    bags = [[]] * batch.tokens.total if batch.bags is None else [bag.tolist() for bag in batch.bags]
    ids = batch.tokens.values.tolist()
    pairs = list(zip(ids, bags, strict=True))
    return [pairs[start:end] for start, end in itertools.pairwise(batch.tokens.offsets.tolist())]


texts_strategy = st.lists(
    st.lists(st.sampled_from(["a", "bb", "영화가", "재미있다", "new", "<", "😀", "x" * 20]), max_size=6).map(
        " ".join
    )
)


@settings(deadline=None)
@given(st.lists(texts_strategy, max_size=4), st.integers(1, 5), st.booleans(), st.booleans())
def test_encode_equals_token_by_token(
    calls: list[list[str]], max_length: int, grams: bool, batched: bool
) -> None:
    hasher = HASHER if grams else None
    pipeline = TextPipeline(BatchTokenizer() if batched else WordTokenizer(), hasher, max_length)
    assert pipeline.table_rows == 6 + (50 if grams else 0)
    for texts in calls:
        batch = pipeline.encode(texts)
        assert len(batch) == len(texts)
        assert batch.tokens.values.dtype == np.int32
        assert batch.tokens.lengths.dtype == np.int64
        assert unpacked(batch) == expected(texts, max_length, hasher)
        assert [row.tolist() for row in batch.rows] == [
            [word, *bag] for text in expected(texts, max_length, hasher) for word, bag in text
        ]


@settings(deadline=None)
@given(texts_strategy, st.booleans())
def test_distinct_form_says_the_same(texts: list[str], grams: bool) -> None:
    pipeline = TextPipeline(WordTokenizer(), HASHER if grams else None, 4)
    pipeline.encode(["earlier texts stay in the memory"])
    positions, rows = pipeline.encode_distinct(texts)
    batch = pipeline.encode(texts)
    assert positions.lengths.tolist() == batch.tokens.lengths.tolist()
    listed = [row.tolist() for row in rows]
    assert [listed[position] for position in positions.values] == [row.tolist() for row in batch.rows]
    assert len(listed) == len(set(positions.values.tolist()))


@settings(deadline=None)
@given(texts_strategy.filter(len), st.data())
def test_select(texts: list[str], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(-len(texts), len(texts) - 1)))
    for hasher in (HASHER, None):
        batch = TextPipeline(WordTokenizer(), hasher, 9).encode(texts)
        assert unpacked(batch.select(chosen)) == [unpacked(batch)[index] for index in chosen]


@pytest.mark.parametrize("bound", ["CACHED_TOKENS", "CACHED_NGRAMS"])
def test_memory_is_bounded_and_emptying_changes_nothing(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, bound, 20)
    pipeline = TextPipeline(WordTokenizer(), HASHER, 9)
    for start in range(0, 200, 5):
        texts = [f"token{i} a" for i in range(start, start + 5)]
        assert unpacked(pipeline.encode(texts)) == expected(texts, 9, HASHER)
        assert len(pipeline._lexicon) <= 26


def test_an_interrupted_call_leaves_a_usable_pipeline() -> None:
    class Failing(WordTokenizer):
        fail = True

        def token_to_id(self, token: str) -> int:
            if self.fail and token == "new":
                raise KeyboardInterrupt
            return super().token_to_id(token)

    tokenizer = Failing()
    pipeline = TextPipeline(tokenizer, HASHER, 9)
    with pytest.raises(KeyboardInterrupt):
        pipeline.encode(["a new bb"])
    tokenizer.fail = False
    assert unpacked(pipeline.encode(["a new bb"])) == expected(["a new bb"], 9, HASHER)


def test_threads_share_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHED_TOKENS", 30)
    pipeline = TextPipeline(WordTokenizer(), HASHER, 9)
    wrong: list[str] = []

    def work(seed: int) -> None:
        for start in range(seed, seed + 300, 7):
            texts = [f"word{i % 90} bb" for i in range(start, start + 9)]
            if unpacked(pipeline.encode(texts)) != expected(texts, 9, HASHER):
                wrong.append(texts[0])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_real_tokenizers_get_the_ids_of_encode_batch() -> None:
    texts = ["the film was <pad> good <unk>", "", "a new film , the film", "영화가 the"]
    for kind in ("basic_english", "whitespace", "char", "bpe"):
        tokenizer = train_tokenizer(kind, texts[2:] * 5, vocab_size=60, min_freq=1)
        ids = TextPipeline(tokenizer, HASHER, 100).encode(texts).tokens
        expected_ids = TextPipeline(tokenizer, None, 100).encode(texts).tokens
        assert ids.lengths.tolist() == expected_ids.lengths.tolist()
        assert ids.values.tolist() == expected_ids.values.tolist()
        assert tokenizer.pad_id not in ids.values


def test_misuse() -> None:
    pipeline = TextPipeline(WordTokenizer(), HASHER, 9)
    with pytest.raises(TypeError, match="put it into a list"):
        pipeline.encode("one text")
    with pytest.raises(TypeError, match="text 1 is NoneType"):
        pipeline.encode(["a", None])
    with pytest.raises(OptionError):
        TextPipeline(WordTokenizer(), HASHER, 0)
    with pytest.raises(ValueError, match="as many bags"):
        TextBatch(SequenceBatch.from_lists([[1, 2]]), SequenceBatch.from_lists([[1]]))


def test_a_few_texts_take_a_shorter_way_to_the_same_rows() -> None:
    words = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "again", "and", "again"]
    texts = [" ".join(words[k : k + 6]) for k in range(6)] + ["", "<pad> unseen"]
    tokenizer = train_tokenizer("whitespace", texts[:4], vocab_size=50)
    kept = np.arange(0, 1000, 2, dtype=np.int32)
    pipeline = TextPipeline(tokenizer, NgramHasher(1, 4, 1000, kept), 5)

    def bags(part: list[str]) -> list[list[list[int]]]:
        positions, rows = pipeline.encode_distinct(part)
        return [[rows[place].tolist() for place in text] for text in positions]

    together = bags(texts)
    assert [bags([text])[0] for text in texts] == together
    assert [[row.tolist() for row in pipeline.encode([text]).rows] for text in texts] == together
