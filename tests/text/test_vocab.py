"""The vocabulary against torchtext's rules: a table of cases and a plain transcription."""

from __future__ import annotations

import json
import pickle
import sys
from collections import Counter, OrderedDict
from subprocess import run
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import ModelFileError
from unrolled.text.vocab import Vocab, build_vocab_from_iterator, vocab


def expected(
    lines: list[list[str]], min_freq: int, specials: list[str], first: bool, max_tokens: int | None
) -> list[str]:
    """torchtext 0.18's build_vocab_from_iterator, step by step."""
    counter: Counter[str] = Counter()
    for line in lines:
        counter.update(line)
    pairs = sorted(counter.items(), key=lambda x: (-x[1], x[0]))
    ordered = OrderedDict(pairs if max_tokens is None else pairs[: max_tokens - len(specials)])
    for token in specials:
        ordered.pop(token, None)
    tokens = [token for token, freq in ordered.items() if freq >= min_freq]
    if first:
        tokens[0:0] = specials
    else:
        tokens.extend(specials)
    return tokens


words = st.sampled_from(["a", "b", "c", "B", "가", "나", "é", "<unk>", "<pad>", "", " "])


@given(
    st.lists(st.lists(words, max_size=6), max_size=8),
    st.integers(0, 4),
    st.lists(st.sampled_from(["<unk>", "<pad>", "a", "new"]), unique=True, max_size=3),
    st.booleans(),
    st.one_of(st.none(), st.integers(4, 9)),
)
def test_builds_what_torchtext_builds(
    lines: list[list[str]], min_freq: int, specials: list[str], first: bool, max_tokens: int | None
) -> None:
    built = build_vocab_from_iterator(iter(lines), min_freq, specials, first, max_tokens)
    itos = expected(lines, min_freq, specials, first, max_tokens)
    assert built.get_itos() == itos
    assert built.get_stoi() == {token: index for index, token in enumerate(itos)}
    assert built.get_default_index() is None


_LINES = [["b", "a", "<unk>"], ["b", "a", "<unk>", "c"], ["<unk>", "Z", "d"]]


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        ({}, ["<unk>", "a", "b", "Z", "c", "d"]),
        ({"min_freq": 2}, ["<unk>", "a", "b"]),
        ({"specials": ["<pad>", "<unk>"]}, ["<pad>", "<unk>", "a", "b", "Z", "c", "d"]),
        (
            {"specials": ["<pad>", "<unk>"], "special_first": False},
            ["a", "b", "Z", "c", "d", "<pad>", "<unk>"],
        ),
        # Cut to the two most frequent, <unk> and a; only then is <unk> taken out: three tokens, not four.
        ({"specials": ["<pad>", "<unk>"], "max_tokens": 4}, ["<pad>", "<unk>", "a"]),
        # The cut comes before min_freq as well: nothing rarer moves up.
        ({"min_freq": 3, "max_tokens": 2}, ["<unk>"]),
        ({"max_tokens": 1}, ["<unk>"]),
        ({"max_tokens": 99}, ["<unk>", "a", "b", "Z", "c", "d"]),
        ({"min_freq": 9, "specials": ["s"]}, ["s"]),
    ],
)
def test_table_of_cases(options: dict[str, Any], tokens: list[str]) -> None:
    assert build_vocab_from_iterator(_LINES, **options).get_itos() == tokens


def test_specials_that_fill_max_tokens() -> None:
    with pytest.raises(AssertionError, match="entirely special tokens"):
        build_vocab_from_iterator(_LINES, specials=["x", "y"], max_tokens=2)


def test_vocab_keeps_the_order_of_the_mapping_and_leaves_it_alone() -> None:
    counts = OrderedDict([("z", 1), ("a", 5), ("<unk>", 7), ("m", 2)])
    assert vocab(counts, min_freq=2, specials=["<unk>"]).get_itos() == ["<unk>", "a", "m"]
    assert vocab(counts, specials=["<unk>"], special_first=False).get_itos() == ["z", "a", "m", "<unk>"]
    assert vocab(counts).get_itos() == ["z", "a", "<unk>", "m"]
    assert len(counts) == 4


def test_unknown_tokens_and_the_default_index() -> None:
    v = Vocab(["a", "b"])
    with pytest.raises(RuntimeError, match="Token x not found and default index is not set"):
        v["x"]
    with pytest.raises(RuntimeError, match="Token x not found"):
        v(["a", "x", "y"])
    v.set_default_index(-1)
    assert v.get_default_index() == -1
    assert v["x"] == -1
    assert v(["b", "x"]) == v.forward(["b", "x"]) == v.lookup_indices(["b", "x"]) == [1, -1]
    v.set_default_index(None)
    with pytest.raises(RuntimeError):
        v["x"]
    assert "a" in v
    assert "x" not in v
    with pytest.raises(TypeError):
        v[0]  # type: ignore[index]
    with pytest.raises(TypeError):
        v("ab")
    with pytest.raises(TypeError):
        v.set_default_index("a")  # type: ignore[arg-type]


def test_insert_append_and_look_up() -> None:
    v = Vocab(["a", "b"])
    v.insert_token("x", 0)
    v.insert_token("y", 3)
    v.append_token("z")
    assert v.get_itos() == ["x", "a", "b", "y", "z"]
    assert [v[token] for token in v.get_itos()] == list(range(5))
    assert v.lookup_tokens([4, 0]) == ["z", "x"]
    for index in (-1, 6):
        with pytest.raises(RuntimeError, match="out of bounds"):
            v.insert_token("new", index)
    for index in (-1, 5):
        with pytest.raises(RuntimeError, match="out of bounds"):
            v.lookup_token(index)
    with pytest.raises(RuntimeError, match="out of bounds"):
        v.lookup_tokens([0, 5])
    with pytest.raises(RuntimeError, match="already exists"):
        v.append_token("a")
    with pytest.raises(RuntimeError, match="already exists"):
        v.insert_token("a", 0)
    assert len(v) == 5
    with pytest.raises(RuntimeError, match="Duplicate token found in tokens list: a"):
        Vocab(["a", "b", "a"])
    with pytest.raises(RuntimeError, match="Duplicate"):
        vocab({"a": 1}, specials=["s", "s"])


def test_copies_are_given_out() -> None:
    v = Vocab(["a"])
    v.get_itos().append("b")
    v.get_stoi()["b"] = 1
    assert len(v) == 1
    assert "b" not in v


@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=5), unique=True), st.none() | st.integers(-5, 5)
)
def test_pickle_and_json(tokens: list[str], default: int | None) -> None:
    v = Vocab(tokens, default)
    assert pickle.loads(pickle.dumps(v)) == v
    assert Vocab.from_json(v.to_json()) == v


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"unrolled_vocab": 2, "tokens": []}',
        '{"unrolled_vocab": 1}',
        '{"unrolled_vocab": 1, "tokens": "ab"}',
        '{"unrolled_vocab": 1, "tokens": [1]}',
        '{"unrolled_vocab": 1, "tokens": ["a", "a"]}',
        '{"unrolled_vocab": 1, "tokens": ["a"], "default_index": "a"}',
        "[" * 100_000,
    ],
)
def test_refuses_foreign_json(text: str) -> None:
    with pytest.raises(ModelFileError):
        Vocab.from_json(text)


def test_json_is_plain() -> None:
    assert json.loads(Vocab(["가"]).to_json())["tokens"] == ["가"]


def test_needs_neither_torch_nor_numpy_from_the_package_import() -> None:
    code = (
        "import sys, unrolled.text, unrolled.text.vocab\n"
        "heavy = {'torch', 'tokenizers', 'kiwipiepy', 'pyarrow', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
