"""``basic_english`` against torchtext's rules, written down here as the regular expressions they are.

Every test of tokens runs with the compiled engine and without it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled import engine
from unrolled.engine import library
from unrolled.text.basic_english import (
    basic_english,
    basic_english_batch,
    basic_english_spans,
    basic_english_stream,
)

_RULES = [
    (r"\'", " '  "), (r"\"", ""), (r"\.", " . "), (r"<br \/>", " "), (r",", " , "), (r"\(", " ( "),
    (r"\)", " ) "), (r"\!", " ! "), (r"\?", " ? "), (r"\;", " "), (r"\:", " "), (r"\s+", " "),
]  # fmt: skip


@pytest.fixture(params=["engine", "plain"], scope="module", autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """The two ways in turn."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "plain":
            patch.setattr(library, "_native", None)
        elif not engine.available():
            pytest.skip(f"no compiled engine: {engine.reason()}")
        yield request.param


def expected(text: str) -> list[str]:
    text = text.lower()
    for pattern, replacement in _RULES:
        text = re.sub(pattern, replacement, text)
    return text.split()


# Pieces that meet at random hit the order of the rules: a <br /> with something inside it that goes away.
_separators = ["\x85", "\x1c", "\u2028", "\u3000", "\u00a0"]
_others = ["Σ", "ΑΣ", "İ", "ß", "가", "ㅋㅋ", "\u0301", "\ufeff", "\u200b", "😀", "\ud800", "K"]
_tags = ["<br />", "<br", " />", "/>", "<BR />", '<b"r />', '<br "/>', '"<br />"', "<br\u00a0/>", "<<br />"]
_pieces = st.sampled_from([*"aZ\0'\".,()!?;: \n\t\r<>/", *_tags, *_separators, *_others])
_any = st.text(st.characters(exclude_categories=()), max_size=30)  # surrogates included
_ascii = st.text(st.sampled_from("ab'\".,()!?;: \n\t\r\x0b\x1c\x1f<br/>BR"), max_size=30)
texts = st.one_of(st.lists(_pieces, max_size=14).map("".join), _any, _ascii)


@given(texts)
def test_one_text(text: str) -> None:
    assert basic_english(text) == expected(text)


@given(st.lists(texts, max_size=8))
def test_many_texts(many: list[str]) -> None:
    assert basic_english_batch(many) == [expected(text) for text in many]
    assert list(basic_english_stream(iter(many))) == [expected(text) for text in many]


@pytest.mark.parametrize("context", ["ab{}", "Σ{} "])
def test_every_character(context: str) -> None:
    # Strings of one, two and four bytes a character. U+03A3 takes a way of its own: left out of the others.
    for first, last in ((0, 0x100), (0x100, 0x10000), (0x10000, sys.maxunicode + 1)):
        text = "".join(context.format(chr(code)) for code in range(first, last) if code != ord("Σ"))
        assert basic_english(text) == expected(text)


def test_long_and_repeated_tokens() -> None:
    # Short and long, so often and so many that the memory of recent tokens is overrun.
    many = [f"{'Ab' * (i % 40)}{i % 5}É {'ㅋ' * (i % 70)} w{i * i % 40_009} x.{i}" for i in range(20_000)]
    assert basic_english_batch(many) == list(map(expected, many))


def test_tokens_do_not_share_lists() -> None:
    first, second = basic_english_batch(["a b", "a b"])
    first.append("c")
    assert second == ["a", "b"] == basic_english("a b")


def test_something_else_than_a_string_is_refused() -> None:
    with pytest.raises(TypeError, match="str"):
        basic_english_batch(["a", None])  # type: ignore[list-item]
    assert basic_english_batch(["a b"]) == [["a", "b"]]


def test_many_blocks() -> None:
    many = [f"It's no. {i}; ok<br />{'Ü' * (i % 300 == 0)}" for i in range(1000)]
    assert basic_english_batch(many) == list(map(expected, many)) == list(basic_english_stream(many))


@given(texts)
def test_spans_point_at_the_tokens(text: str) -> None:
    spans = basic_english_spans(text)
    tokens = expected(text)
    # The final sigma is decided by the neighbours, which a token cut out of its text no longer has.
    cut = [text[start:end].lower().replace('"', "").replace("ς", "σ") for start, end in spans]
    assert cut == [token.replace("ς", "σ") for token in tokens]
    assert all(start < end for start, end in spans)
    assert all(a[1] <= b[1] and a[0] <= b[0] for a, b in pairwise(spans))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (
            "You can now install TorchText using pip!",
            ["you", "can", "now", "install", "torchtext", "using", "pip", "!"],
        ),
        ('It\'s "quoted", (really).', ["it", "'", "s", "quoted", ",", "(", "really", ")", "."]),
        ('one<br" />two', ["one", "two"]),
        ("one<br; />two", ["one<br", "/>two"]),
        ("one<br;/>two", ["one<br", "/>two"]),
        ("one<br\n/>two", ["one<br", "/>two"]),
        ("a\u2003b\u3000c", ["a", "b", "c"]),
    ],
)
def test_known_answers(text: str, tokens: list[str]) -> None:
    assert basic_english(text) == tokens
    assert basic_english_batch([text, "x\ny"]) == [tokens, ["x", "y"]]
