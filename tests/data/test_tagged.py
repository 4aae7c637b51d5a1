"""Tagged sentences from CoNLL-U, columns, characters and memory; what is wrong with them, and where."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data import TaggedReader, TaggedSentence, open_tagged
from unrolled.data.spans import decode_spans
from unrolled.errors import DataError, OptionError

CONLLU = """\
# sent_id = 1
# text = I don't.
1\tI\tI\tPRON\tPRP\tCase=Nom\t0\troot\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVBP\t_\t0\troot\t_\tSpaceAfter=No
3\tn't\tnot\tPART\tRB\t_\t0\troot\t_\tSpaceAfter=No
3.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t_\t_
4\t.\t.\tPUNCT\t.\t_\t0\troot\t_\t_

# sent_id = 2
# text = New York
1\tNew York\tNew York\tPROPN\tNNP\t_\t0\troot\t_\t_

"""
CONLL = "-DOCSTART- -X- -X- O\n\nEU NNP I-NP B-ORG\nrejects VBZ I-VP O\n\nBonn NNP I-NP B-LOC\n"


def written(tmp_path: Path, data: bytes | str, name: str = "d.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def opened(tmp_path: Path, data: bytes | str, name: str = "d.txt", **options: Any) -> TaggedReader:
    return open_tagged(written(tmp_path, data, name), **options)


def failure(tmp_path: Path, data: bytes | str, name: str = "d.txt", **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        opened(tmp_path, data, name, **options)
    return caught.value


def rows(reader: TaggedReader) -> list[tuple[str, str]]:
    return [(" ".join(sentence.words), " ".join(sentence.tags)) for sentence in reader]


def test_conllu(tmp_path: Path) -> None:
    reader = opened(tmp_path, CONLLU)
    expected = [
        TaggedSentence(("I", "do", "n't", "."), ("PRON", "AUX", "PART", "PUNCT"), 3, "I don't."),
        TaggedSentence(("New York",), ("PROPN",), 12, "New York"),
    ]
    assert list(reader) == expected
    assert list(reader) == expected  # as often as one likes
    assert (reader.format, reader.column, reader.scheme, reader.characters) == (
        "conllu",
        "upos",
        "none",
        False,
    )
    assert (reader.sentences, reader.words) == (2, 5)
    assert reader.skipped == {"multiword tokens": 1, "empty nodes": 1}
    assert reader.tag_counts == {"PRON": 1, "AUX": 1, "PART": 1, "PUNCT": 1, "PROPN": 1}
    assert reader.notes == [f"{reader.name}: read as CoNLL-U, tags from column upos"]
    assert reader.size_bytes == len(CONLLU)


@pytest.mark.parametrize(
    ("column", "tags"),
    [
        ("xpos", "PRP VBP RB . NNP"),
        ("XPOS", "PRP VBP RB . NNP"),
        (5, "PRP VBP RB . NNP"),
        ("5", "PRP VBP RB . NNP"),
        ("feats", "Case=Nom _ _ _ _"),
        ("misc", "_ SpaceAfter=No SpaceAfter=No _ _"),
    ],
)
def test_columns_of_conllu(tmp_path: Path, column: str | int, tags: str) -> None:
    found = [tag for sentence in opened(tmp_path, CONLLU, column=column) for tag in sentence.tags]
    assert found == tags.split()


def test_columns(tmp_path: Path) -> None:
    reader = opened(tmp_path, CONLL)
    assert rows(reader) == [("EU rejects", "B-ORG O"), ("Bonn", "B-LOC")]
    assert [sentence.line for sentence in reader] == [3, 6]
    assert (reader.format, reader.column, reader.scheme) == ("conll", "4", "bio")
    assert reader.skipped == {"document borders": 1}
    assert rows(opened(tmp_path, CONLL, column="pos"))[0] == ("EU rejects", "NNP VBZ")
    assert rows(opened(tmp_path, CONLL, column=3))[0] == ("EU rejects", "I-NP I-VP")
    assert opened(tmp_path, CONLL, column=3).scheme == "iob1"


@pytest.mark.parametrize(
    "data",
    [
        "Kim\tB-PER\nran\tO\n\nSeoul\tB-LOC\n",
        "Kim B-PER\nran O \n\nSeoul  B-LOC",  # no final newline, spaces at will
        "Kim\tB-PER\r\nran\tO\r\n\r\nSeoul\tB-LOC\r\n",
        "\ufeffKim\tB-PER\nran\tO\n\nSeoul\tB-LOC\n",
        "word\tner\nKim\tB-PER\nran\tO\n\nSeoul\tB-LOC\n",
        "# id 1\nKim\tB-PER\nran\tO\n\n# id 2\tx\nSeoul\tB-LOC\n",
        "\n\nKim\tB-PER\nran\tO\n \t \n\n\nSeoul\tB-LOC\n\n",
    ],
)
def test_the_same_sentences_written_otherwise(tmp_path: Path, data: str) -> None:
    expected = [("Kim ran", "B-PER O"), ("Seoul", "B-LOC")]
    assert rows(opened(tmp_path, data)) == expected
    packed = gzip.compress(data.encode())
    assert rows(opened(tmp_path, packed, "d.txt.gz")) == expected
    assert rows(opened(tmp_path, data.removeprefix("\ufeff").encode("utf-16"))) == expected
    ascii_only = data.removeprefix("\ufeff").encode("cp949")
    assert rows(opened(tmp_path, ascii_only, encoding="cp949")) == expected


def test_empty_sentences_are_counted(tmp_path: Path) -> None:
    assert opened(tmp_path, "\n\na\tX\n\n\n\nb\tY\n\n").skipped == {"empty sentences": 4}
    assert opened(tmp_path, "# text = \n\n" + CONLLU).skipped["empty sentences"] == 1
    assert opened(tmp_path, "# a\n\na\tX\n").skipped == {"comments": 1}


def test_signs_that_look_like_something_else(tmp_path: Path) -> None:
    """A hash sign is a word where its row has tags; NBSP is part of a word; U+2028 ends no line."""
    data = "#\tSYM\n#tag\tX\n10\u00a0000\tNUM\na\u2028b\tX\n\n# id 2\tX\n"
    reader = opened(tmp_path, data)
    assert rows(reader) == [("# #tag 10\u00a0000 a\u2028b", "SYM X NUM X")]
    assert reader.skipped == {"comments": 1}


def test_a_word_of_another_form_stays_as_it_is(tmp_path: Path) -> None:
    word = "\u1112\u1161\u11ab"
    assert rows(opened(tmp_path, f"{word}\tN\n")) == [(word, "N")]


# -- characters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["▁", " "])
def test_characters(tmp_path: Path, space: str) -> None:
    data = f"## id-1\t서울 가자\n서\tB-LC\n울\tI-LC\n{space}\tO\n가\tO\n자\tO\n"
    reader = opened(tmp_path, data)
    assert (reader.characters, reader.format, reader.scheme) == (True, "characters", "bio")
    [sentence] = reader
    assert sentence.words == ("서", "울", "▁", "가", "자")
    assert sentence.text == "서울 가자"
    assert sentence.line == 2
    assert reader.skipped == {"comments": 1}
    if space == "▁":
        told = opened(tmp_path, data, format="conll")
        assert not told.characters and next(iter(told)).text is None


def test_characters_only_where_nearly_all_are(tmp_path: Path) -> None:
    assert not opened(tmp_path, "a\tX\nb\tX\n").characters  # no space
    assert not opened(tmp_path, "word\tX\n▁\tX\nb\tX\n").characters
    decomposed = "".join(f"{char}\tX\n" for char in ("\u1112\u1161\u11ab", "▁", "e\u0301"))
    assert opened(tmp_path, decomposed).characters
    assert opened(tmp_path, "word\tX\n", format="characters").characters


# -- memory and pipes ----------------------------------------------------------------------------------------


def test_memory() -> None:
    reader = open_tagged([(["Kim", "ran"], ["B-PER", "O"]), ([], []), (("Seoul",), ("B-LOC",))])
    assert rows(reader) == rows(reader) == [("Kim ran", "B-PER O"), ("Seoul", "B-LOC")]
    assert [sentence.line for sentence in reader] == [1, 3]
    assert (reader.format, reader.scheme, reader.size_bytes) == (None, "bio", None)
    assert reader.skipped == {"empty sentences": 1}
    again = open_tagged(list(reader))
    assert rows(again) == rows(reader)
    assert open_tagged([(["서", " ", "울"], ["O", "O", "O"])], format="characters").characters
    assert open_tagged([(["서", "▁", "울"], ["O", "O", "O"])]).characters


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([(["a", "b"], ["X"])], "<list of sentences>:1: 2 words but 1 tags"),
        ([(["a"], ["X"]), (["a", ""], ["X", "Y"])], "<list of sentences>:2: a word is empty"),
        ([(["a"], [" "])], "a tag is empty"),
        ([(["a"], [1])], "a tag is of type int"),
        ([("a b", ["X"])], "the words are of type str"),
        (["a b"], "no (words, tags) pair"),
        ([], "there is no sentence"),
        (5, "cannot read tagged sentences from int"),
        ([(["a"], ["I-X"]), (["b", "c"], ["B-X", "I-Y"])], "<list of sentences>:1: I-X follows"),
    ],
)
def test_bad_memory(source: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        open_tagged(source)
    assert words in str(caught.value)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CONLLU.encode())))
    reader = open_tagged("-")
    assert rows(reader) == rows(reader)
    assert reader.skipped == {"multiword tokens": 1, "empty nodes": 1}
    assert reader.name == "-"


# -- spans ---------------------------------------------------------------------------------------------------

BROKEN = "Kim\tB-PER\nran\tO\n\nto\tO\nNew\tI-LOC\nYork\tI-LOC\nEU\tI-ORG\n"


def test_broken_bio(tmp_path: Path) -> None:
    error = failure(tmp_path, BROKEN)
    assert (error.line, error.column) == (5, 2)
    assert "I-LOC follows O, but in BIO a span begins with B-LOC; correct it, or add --repair" in error.reason
    reader = opened(tmp_path, BROKEN, repair=True)
    assert rows(reader) == [("Kim ran", "B-PER O"), ("to New York EU", "O B-LOC I-LOC B-ORG")]
    assert reader.repaired == 2
    assert reader.tag_counts == {"O": 2, "B-PER": 1, "B-LOC": 1, "I-LOC": 1, "B-ORG": 1}
    assert opened(tmp_path, "Kim\tB-PER\n", repair=True).repaired == 0
    assert opened(tmp_path, BROKEN, scheme="none").scheme == "none"


def test_a_broken_row_is_named_among_skipped_ones(tmp_path: Path) -> None:
    tags = {"PRON": "B-A", "AUX": "O", "PART": "I-A", "PUNCT": "O", "PROPN": "B-A"}
    data = CONLLU
    for upos, tag in tags.items():
        data = data.replace(f"\t{upos}\t", f"\t{tag}\t")
    error = failure(tmp_path, data)
    assert (error.line, error.column) == (6, 4)


def test_iob1_is_not_broken_bio(tmp_path: Path) -> None:
    reader = opened(tmp_path, "a\tI-X\nb\tI-X\nc\tB-X\n\nd\tO\ne\tI-Y\n")
    assert reader.scheme == "iob1"
    assert [decode_spans(sentence.tags, reader.scheme) for sentence in reader] == [
        [(0, 2, "X"), (2, 3, "X")],
        [(1, 2, "Y")],
    ]


def test_a_scheme_that_is_told(tmp_path: Path) -> None:
    error = failure(tmp_path, "a\tI-X\n", scheme="bio")
    assert (error.line, error.column) == (1, 2)
    error = failure(tmp_path, "a\tO\n\nb\tS-X\n", scheme="bio")
    assert (error.line, error.column) == (3, 2)
    assert "the tag 'S-X' is not one of BIO" in error.reason
    assert opened(tmp_path, "a\tO\n", scheme="bio").scheme == "bio"


def test_a_tag_that_is_none_of_a_span(tmp_path: Path) -> None:
    error = failure(tmp_path, "a\tB-X\nb\tI-X\nc\tO\nd\tB-Y\n\ne\tO\nf\t0\n")
    assert (error.line, error.column) == (7, 2)
    assert "the tag '0' is none of a span" in error.reason


# -- what is wrong -------------------------------------------------------------------------------------------

GOOD = "a\tX\nb\tY\n"
ROW = "1\ta\ta\tX\tY\t_\t_\t_\t_\t_\n"
BAD = [
    # content, options, line and column of the fault, words
    (GOOD + "c\tX\tY\n", {}, (3, 2), "3 columns where the file has 2: correct the row"),
    (GOOD + "c\n", {}, (3, 1), "1 column where the file has 2: write the word and its tag"),
    (GOOD + "c X\n", {}, (3, 1), "divided by spaces, put tabs there"),
    (GOOD + "\tX\n", {}, (3, 1), "the word is empty"),
    (GOOD + "word\tX\n \tX\n", {}, (4, 1), "write a space as ▁ (U+2581)"),
    (GOOD + "c\t\n", {}, (3, 2), "the tag is empty"),
    (GOOD + "c\tX \n", {}, (3, 2), "the tag 'X ' holds a space"),
    (GOOD + "New York\tX\n", {}, (3, 1), "the word 'New York' holds a space: write one word a line"),
    ("a good film\tpos\na bad film\tneg\n", {}, (1, 1), "write one word a line"),
    ("a\nb\n\nc\n", {}, (None, None), "there is one column, the words, and no tags"),
    ("plain text as it is\nand some more\nwritten\n", {}, (None, None), "this looks like plain text"),
    (GOOD, {"column": 3}, (None, None), "there is no column 3 of tags: the file has 2 columns"),
    (GOOD, {"column": 1}, (None, None), "the first is the word"),
    (GOOD, {"column": "ner"}, (None, None), "its columns have no names: choose a number from 2 to 2"),
    (CONLL, {"column": "nre"}, (None, None), "choose one of pos, chunk, ner, or a number from 2 to 4"),
    ("word\ttag\na\tX\n", {"column": "ner"}, (None, None), "choose one of tag, or a number"),
    ("", {}, (None, None), "the file is empty"),
    ("\n \n\n", {}, (None, None), "there are only blank lines"),
    ("# only\n# comments\n", {"format": "conllu"}, (None, None), "there is no sentence in it"),
    (b"a\tX\nb\xff\tX\n", {}, (2, 2), "byte 0xFF is not valid UTF-8"),
    ("a\tX\nb\0\tX\n", {}, (2, 2), "NUL byte"),
    (ROW + "2\tb\tX\n", {}, (2, 3), "3 columns where CoNLL-U has 10: correct the row"),
    (ROW * 2, {}, (2, 1), "word 1 where word 2 should follow: a blank line must divide sentences"),
    (ROW + ROW.replace("1", "3"), {}, (2, 1), "the id '3' where word 2 should follow"),
    (ROW + ROW.replace("1", "x"), {"format": "conllu"}, (2, 1), "the id 'x' where word 2"),
    (ROW + ROW.replace("1\ta", "2\t"), {}, (2, 2), "the word is empty"),
    (ROW + ROW.replace("1\ta\ta\tX", "2\ta\ta\t_"), {}, (2, 4), "the word 'a' has no upos"),
    (ROW + ROW.replace("1\ta\ta\tX", "2\ta\ta\t"), {}, (2, 4), "the word 'a' has no upos"),
    (ROW, {"column": "deps"}, (None, 9), "column deps is empty ('_') in the whole file: choose one that is"),
    (ROW, {"column": "form"}, (None, None), "CoNLL-U has no column 'form' of tags"),
    (ROW, {"column": 11}, (None, None), "or a number from 3 to 10"),
    (ROW.replace("\t", "  "), {"format": "conllu"}, (1, 1), "divided by spaces, put tabs there"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "options", "place", "words"), BAD)
def test_bad_files(
    tmp_path: Path,
    data: bytes | str,
    options: dict[str, Any],
    place: tuple[int | None, int | None],
    words: str,
) -> None:
    error = failure(tmp_path, data, **options)
    assert words in error.reason
    assert (error.line, error.column) == place
    assert error.source == str(tmp_path / "d.txt")
    assert "--skip-bad-rows" not in error.reason


def test_a_file_named_conllu_is_read_as_such(tmp_path: Path) -> None:
    assert "CoNLL-U has 10" in failure(tmp_path, GOOD, "d.conllu").reason
    assert rows(opened(tmp_path, GOOD, "d.conllu", format="conll")) == [("a b", "X Y")]


def test_options_that_do_not_exist(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    with pytest.raises(OptionError, match="format 'csv' does not exist: choose one of conllu, conll"):
        open_tagged(path, format="csv")
    with pytest.raises(OptionError, match="scheme 'iob' does not exist"):
        open_tagged(path, scheme="iob")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="no text encoding is called 'utf-9'"):
        open_tagged(path, encoding="utf-9")
    with pytest.raises(DataError, match="no such file"):
        open_tagged(tmp_path / "none.conll")


# -- round trip ----------------------------------------------------------------------------------------------

_word = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=6
).filter(lambda word: not word.startswith(("#", "-DOC", "\ufeff")))
_sentence = st.lists(st.tuples(_word, st.sampled_from(["NOUN", "VERB", "PUNCT"])), min_size=1, max_size=5)


@settings(deadline=None, max_examples=200)
@given(st.lists(_sentence, min_size=1, max_size=5), st.sampled_from(["\t", " "]), st.booleans())
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, corpus: list[list[tuple[str, str]]], mark: str, ends: bool
) -> None:
    path = tmp_path_factory.mktemp("tagged") / "d.conll"
    text = "\n\n".join("\n".join(word + mark + tag for word, tag in sentence) for sentence in corpus)
    path.write_bytes((text + "\n" * ends).encode())
    found = [
        list(zip(sentence.words, sentence.tags, strict=True))
        for sentence in open_tagged(path, format="conll")
    ]
    assert found == corpus


# -- the public data sets ------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "counts", "skipped"),
    [
        ("ud_en_ewt/dev.conllu", (2001, 25147), {"multiword tokens": 359, "empty nodes": 4}),
        ("ud_en_ewt/test.conllu", (2077, 25094), {"multiword tokens": 354, "empty nodes": 2}),
        ("wnut17/dev.conll", (1009, 15733), {}),
        ("wnut17/test.conll", (1287, 23394), {}),
    ],
)
def test_public_data(shared_data: Path, name: str, counts: tuple[int, int], skipped: dict[str, int]) -> None:
    """Numbers of their READMEs."""
    reader = open_tagged(shared_data / name)
    assert (reader.sentences, reader.words) == counts
    assert reader.skipped == skipped
    if name.startswith("wnut17"):
        assert reader.scheme == "bio"
        entities = sum(len(decode_spans(sentence.tags, reader.scheme)) for sentence in reader)
        assert entities == {"dev": 836, "test": 1079}[Path(name).stem]
    else:
        assert len(reader.tag_counts) == 17
