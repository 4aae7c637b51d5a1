"""All kinds of tokenizer through their one interface."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.errors import DataError, ModelFileError, OptionError
from unrolled.text.tokenizer import Tokenizer, pretrained_tokenizer, tokenizer_from_json, train_tokenizer

_SUBJECTS = ["영화", "배우", "the film", "연기", "음악", "a story", "화면", "The acting"]
_ENDINGS = [
    "정말 재미있다",
    "was wonderful",
    "별로였어요 ㅋㅋㅋ",
    "is not good!",
    "최고입니다.",
    "(so) bored, really",
]
CORPUS = [
    f"{subject}{'가 ' if subject > 'z' else ' '}{ending}" for subject in _SUBJECTS for ending in _ENDINGS
] * 3
KINDS = ["basic_english", "whitespace", "char", "bpe", "wordpiece", "unigram"]
SUBWORDS = ["bpe", "wordpiece", "unigram"]
WILD = [
    "",
    " ",
    "\n\t",
    "<pad>",
    "a<pad><unk>b",
    "<unk>",
    "끝없는 ㅋㅋ 값",
    "한",
    "\ud800 가",
    "İΣ é😀",
    "a" * 300,
]

_trained: dict[tuple[str, bool, bool], Tokenizer] = {}


def trained(kind: str, lowercase: bool = False, jamo: bool = False) -> Tokenizer:
    key = (kind, lowercase, jamo)
    if key not in _trained:
        lower = None if kind == "basic_english" else lowercase
        _trained[key] = train_tokenizer(kind, CORPUS, vocab_size=300, lowercase=lower, jamo=jamo)
    return _trained[key]


VARIANTS = [(kind, False, False) for kind in KINDS] + [
    (kind, True, jamo) for kind in ("char", *SUBWORDS) for jamo in (False, True)
]


@pytest.fixture(params=VARIANTS, ids=str)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return trained(*request.param)


def test_the_interface_holds_together(tokenizer: Tokenizer) -> None:
    texts = CORPUS[:20] + WILD
    batch = tokenizer.encode_batch(texts)
    assert batch.values.dtype == np.int32
    assert len(batch) == len(texts)
    assert 2 < len(tokenizer) <= 300
    assert (tokenizer.pad_id, tokenizer.unk_id) == (0, 1)
    assert tokenizer.token_to_id("<pad>") == 0
    assert tokenizer.token_to_id("<unk>") == 1
    assert [tokenizer.id_to_token(i) for i in (0, 1)] == ["<pad>", "<unk>"]
    for position, text in enumerate(texts):
        ids = tokenizer.encode(text)
        assert ids.dtype == np.int32
        assert ids.tolist() == batch[position].tolist()
        tokens = tokenizer.tokens(text)
        assert len(tokens) == len(ids) == len(tokenizer.spans(text))
        known = [(token, index) for token, index in zip(tokens, ids.tolist(), strict=True) if index > 1]
        assert [tokenizer.token_to_id(token) for token, _ in known] == [index for _, index in known]
        assert [tokenizer.id_to_token(index) for _, index in known] == [token for token, _ in known]
        # No text can say that it is padding.
        assert 0 not in ids
        assert ids.max(initial=0) < len(tokenizer)
    assert tokenizer.tokens_batch(texts) == [tokenizer.tokens(text) for text in texts]
    assert tokenizer.tokens_batch([]) == []
    assert len(tokenizer.encode_batch([])) == 0


def test_json_and_pickle_give_the_same_tokenizer(tokenizer: Tokenizer) -> None:
    texts = CORPUS[:20] + WILD
    values = tokenizer.encode_batch(texts).values
    for again in (tokenizer_from_json(tokenizer.to_json()), pickle.loads(pickle.dumps(tokenizer))):
        assert again.kind == tokenizer.kind
        assert len(again) == len(tokenizer)
        assert np.array_equal(again.encode_batch(texts).values, values)
        assert again.to_json() == tokenizer.to_json()


def test_refuses_what_is_not_texts(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match="one string"):
        tokenizer.encode_batch("text")
    with pytest.raises(DataError, match="text 1 is int"):
        tokenizer.encode_batch(["a", 3])  # type: ignore[list-item]
    for index in (-1, len(tokenizer)):
        with pytest.raises(OptionError):
            tokenizer.id_to_token(index)
        with pytest.raises(OptionError):
            tokenizer.decode([index])


@pytest.mark.parametrize("kind", KINDS)
def test_known_text_comes_back(kind: str) -> None:
    tokenizer = trained(kind)
    for text in ("영화가 정말 재미있다", "the film was wonderful"):
        assert tokenizer.decode([*tokenizer.encode(text), 0, 0]) == text


@pytest.mark.parametrize("kind", ["char", *SUBWORDS])
def test_jamo_comes_back_as_syllables(kind: str) -> None:
    tokenizer = trained(kind, True, True)
    text = "영화가 정말 재미있다"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert any("\u1100" <= character <= "\u11ff" for token in tokenizer.tokens(text) for character in token)
    # The letters typed alone are not those a syllable is built of.
    assert "ㅋ" in "".join(tokenizer.tokens("별로였어요 ㅋㅋㅋ"))


@pytest.mark.parametrize("kind", ["whitespace", "char", *SUBWORDS])
def test_the_two_ways_to_write_a_character_are_one(kind: str) -> None:
    tokenizer = trained(kind)
    text = "영화가 정말 재미있다 é"
    assert tokenizer.encode(unicodedata.normalize("NFD", text)).tolist() == tokenizer.encode(text).tolist()


@settings(deadline=None, max_examples=60)
@given(
    st.text(st.sampled_from("ab AB가각ㅋ\u1100\u1161\u11a8e\u0301\u0323İ\n 12Σ"), max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_character_spans(text: str, lowercase: bool, jamo: bool) -> None:
    tokenizer = trained("char", lowercase, jamo)
    spans = tokenizer.spans(text)
    assert len(spans) == len(tokenizer.tokens(text))
    # The spans in order, each once, are the whole text, and each spells its tokens.
    runs = list(dict.fromkeys(spans))
    assert [end for _, end in runs[:-1]] == [start for start, _ in runs[1:]]
    assert "".join(text[start:end] for start, end in runs) == text
    for run in runs:
        got = [token for token, span in zip(tokenizer.tokens(text), spans, strict=True) if span == run]
        assert [t.replace("ς", "σ") for t in got] == [
            t.replace("ς", "σ") for t in tokenizer.tokens(text[slice(*run)])
        ]


@pytest.mark.parametrize("kind", ["whitespace", *SUBWORDS])
def test_spans_spell_the_tokens(kind: str) -> None:
    tokenizer = trained(kind)
    text = "The acting  is\tnot good! 별로였어요"
    for token, (start, end) in zip(tokenizer.tokens(text), tokenizer.spans(text), strict=True):
        assert token.strip("▁").replace("##", "") in (text[start:end].strip(), "")


@pytest.mark.parametrize("kind", ["basic_english", "whitespace", "char"])
def test_ids_follow_frequency_then_code_point(kind: str) -> None:
    tokenizer = trained(kind)
    counts = Counter(token for text in CORPUS for token in tokenizer.tokens(text))
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    assert [tokenizer.id_to_token(i) for i in range(2, len(tokenizer))] == ranked[: 300 - 2]


@pytest.mark.parametrize("kind", ["basic_english", "whitespace", "char"])
def test_min_freq_and_size(kind: str) -> None:
    tokenizer = train_tokenizer(kind, iter(["aa aa b", "aa b c"]), vocab_size=8, min_freq=2)
    assert {tokenizer.id_to_token(i) for i in range(2, len(tokenizer))} <= {"aa", "a", "b", " "}
    assert len(train_tokenizer(kind, CORPUS, vocab_size=9)) == 9
    with pytest.raises(DataError, match="set min_freq to 1"):
        train_tokenizer(kind, ["x"], vocab_size=9, min_freq=2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_learns_what_a_list_learns(kind: str) -> None:
    lower = None if kind == "basic_english" else False
    streamed = train_tokenizer(kind, (text for text in CORPUS), vocab_size=300, lowercase=lower)
    assert streamed.to_json() == trained(kind).to_json()


@pytest.mark.parametrize("kind", SUBWORDS)
def test_training_is_the_same_in_another_process(kind: str) -> None:
    """The library's hash tables have another seed in each process, and its trainers show it."""
    code = (
        "import sys, json; from unrolled.text.tokenizer import train_tokenizer\n"
        "kind, corpus = json.load(sys.stdin)\n"
        "print(json.dumps(train_tokenizer(kind, corpus, vocab_size=300, lowercase=False).to_json()))"
    )
    given_in = json.dumps([kind, CORPUS])
    done = subprocess.run(
        [sys.executable, "-c", code], input=given_in, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == trained(kind).to_json()


@pytest.mark.parametrize("kind", SUBWORDS)
def test_rare_characters_do_not_fill_the_vocabulary(kind: str) -> None:
    rare = [chr(0x4E00 + i) for i in range(3000)]
    tokenizer = train_tokenizer(kind, [*CORPUS, *rare, "\ud800"], vocab_size=300)
    assert len(tokenizer) <= 300
    assert 1 in tokenizer.encode(rare[-1])
    assert 1 not in tokenizer.encode("정말 재미있다")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_learn_from(kind: str) -> None:
    for texts in ([], [""], iter([])):
        with pytest.raises(DataError):
            train_tokenizer(kind, texts, vocab_size=100)
    with pytest.raises(DataError, match="one string"):
        train_tokenizer(kind, "text", vocab_size=100)
    with pytest.raises(DataError, match="is int"):
        train_tokenizer(kind, ["a", 1], vocab_size=100)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("bpee", {}, "no tokenizer of kind 'bpee'"),
        ("pretrained", {}, "pretrained_tokenizer"),
        ("bpe", {"vocab_size": 3}, "at least 8"),
        ("char", {"min_freq": 0}, "min_freq"),
        ("unigram", {"min_freq": 2}, "no min_freq"),
        ("whitespace", {"jamo": True}, "jamo"),
        ("basic_english", {"lowercase": False}, "always lowers"),
    ],
)
def test_options_that_do_not_fit(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        train_tokenizer(kind, CORPUS, **({"vocab_size": 100} | options))


_OWN = {"unrolled_tokenizer": "char", "format": 1, "lowercase": False, "jamo": False, "tokens": ["a"]}
_WORDS = {
    "unrolled_tokenizer": "whitespace",
    "format": 1,
    "lowercase": False,
    "tokens": ["<pad>", "<unk>", "a"],
}
_HF = {
    "version": "1.0",
    "added_tokens": [],
    "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"},
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "{}",
        "[1]",
        "null",
        '{"unrolled_tokenizer": "char"',
        '{"unrolled_tokenizer":' + "[" * 100_000,
        *(
            json.dumps(base | change)
            for base, change in [
                (_OWN, {"format": 2}),
                (_OWN, {"unrolled_tokenizer": "other"}),
                (_OWN, {"unrolled_tokenizer": ["char"]}),
                (_OWN, {"tokens": ["ab"]}),
                (_OWN, {"tokens": ["a", "a"]}),
                (_OWN, {"tokens": {"a": 1}}),
                (_OWN, {"jamo": 1}),
                (_OWN, {"lowercase": None}),
                (_WORDS, {"tokens": ["a"]}),
                (_WORDS, {"tokens": ["<pad>", "<unk>", "a", "a"]}),
                (_WORDS, {"tokens": ["<pad>", "<unk>", 3]}),
                (_WORDS, {"lowercase": "yes"}),
                (_HF, {"model": {"type": "WordLevel", "vocab": {"a": 4_000_000_000}, "unk_token": "a"}}),
                (_HF, {"model": {"type": "WordLevel", "vocab": {}, "unk_token": "a"}}),
                (_HF, {"model": {"type": "Unigram", "vocab": [], "unk_id": 9}}),
                (_HF, {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["b", "c"]]}}),
                (_HF, {"model": {}}),
                (_HF, {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}),
            ]
        ),
    ],
    ids=lambda text: text[:60],
)
def test_foreign_and_hostile_json_is_refused(text: str) -> None:
    with pytest.raises(ModelFileError, match="tokenizer"):
        tokenizer_from_json(text)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["char", "whitespace", "bpe", "unigram"]), st.data())
def test_damaged_json_is_refused_or_read(kind: str, data: st.DataObject) -> None:
    """Any change gives a tokenizer or a ModelFileError, never anything else."""
    text = trained(kind).to_json()
    start = data.draw(st.integers(0, len(text)))
    end = min(len(text), start + data.draw(st.integers(0, 40)))
    damaged = text[:start] + data.draw(st.text(st.sampled_from('{}[]",:0a\\-9 '), max_size=3)) + text[end:]
    try:
        read = tokenizer_from_json(damaged)
    except ModelFileError:
        return
    assert len(read) > 0


def test_pretrained(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    foreign = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"[PAD]": 5, "[UNK]": 3, "hello": 7}, unk_token="[UNK]")
    )
    foreign.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    foreign.enable_truncation(1)
    foreign.enable_padding(length=9)
    foreign.save(str(tmp_path / "tokenizer.json"))
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        tokenizer = pretrained_tokenizer(path)
        assert tokenizer.kind == "pretrained"
        assert (tokenizer.pad_id, tokenizer.unk_id, len(tokenizer)) == (5, 3, 8)
        assert tokenizer.encode_batch(["hello you hello", ""]).values.tolist() == [7, 3, 7]
        assert tokenizer.spans("hello you") == [(0, 5), (6, 9)]
        assert tokenizer.decode([7, 5, 7]) == "hello hello"
    with pytest.raises(ModelFileError, match="cannot be read"):
        pretrained_tokenizer(tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe\xe9")
    with pytest.raises(ModelFileError, match="UTF-8"):
        pretrained_tokenizer(tmp_path / "latin.json")


def test_a_fork_neither_warns_nor_hangs() -> None:
    code = (
        "import os, sys\n"
        "from unrolled.text.tokenizer import train_tokenizer\n"
        "t = train_tokenizer('bpe', ['some words here'] * 20, vocab_size=40)\n"
        "t.encode_batch(['some words'] * 50)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os._exit(0 if len(t.encode_batch(['some words'] * 50)) == 50 else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    import os

    environment = {
        k: v for k, v in os.environ.items() if k not in ("TOKENIZERS_PARALLELISM", "RAYON_NUM_THREADS")
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"UNROLLED_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_korean_morphemes() -> None:
    pytest.importorskip("kiwipiepy")
    tokenizer = train_tokenizer("morphemes", ["영화가 재미있다", "영화는 별로다", ""], vocab_size=50)
    text = "영화가 별로다"
    assert tokenizer.tokens(text)[:2] == ["영화/NNG", "가/JKS"]
    assert tokenizer.spans(text)[:2] == [(0, 2), (2, 3)]
    assert tokenizer.encode(text).min() > 1
    assert tokenizer.encode_batch([text, "", text]).lengths.tolist()[1] == 0
    again = tokenizer_from_json(tokenizer.to_json())
    assert again.encode(text).tolist() == tokenizer.encode(text).tolist()
