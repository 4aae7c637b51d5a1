"""Word vectors as users meet them: what they learn, that they repeat, how they are asked and saved."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vector_toys import ANIMALS, COLOURS, two_topics

import unrolled
from unrolled import engine
from unrolled.embed import VectorOptions, WordVectors
from unrolled.embed.evaluation import evaluate_pairs
from unrolled.embed.map import plane, write_map
from unrolled.embed.neighbours import nearest
from unrolled.embed.table import VectorTable
from unrolled.embed.team import Team
from unrolled.embed.training import visiting_order
from unrolled.errors import (
    DataError,
    ModelFileError,
    OptionError,
    TrainingError,
    UnknownWordError,
    UnrolledError,
)
from unrolled.storage.strict_json import fingerprint

SMALL: dict[str, Any] = {"dim": 12, "epochs": 15, "sample": 0, "min_count": 2}


def separation(vectors: WordVectors) -> float:
    """By how much words of one topic are nearer to each other than to the other topic."""

    def mean(first: list[str], second: list[str]) -> float:
        pairs = [(a, b) for a in first for b in second if a != b]
        return float(np.mean([vectors.similarity(a, b) for a, b in pairs]))

    return (mean(ANIMALS, ANIMALS) + mean(COLOURS, COLOURS)) / 2 - mean(ANIMALS, COLOURS)


KINDS: list[dict[str, Any]] = [
    {},
    {"model": "cbow"},
    {"negative": 0},
    {"model": "cbow", "negative": 0},
    {"subwords": True},
    {"subwords": True, "model": "cbow", "negative": 0},
    {"fast": True},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_words_with_like_neighbours_lie_together(kind: dict[str, Any]) -> None:
    vectors = WordVectors(**SMALL, **kind).fit(two_topics(1500))
    assert separation(vectors) > 0.3
    found = {word for word, _ in vectors.most_similar("dog", n=3)}
    assert found <= {*ANIMALS, "eats", "sleeps", "field", "the", "and", "a", "in"}


@pytest.mark.parametrize("kind", KINDS[:6], ids=str)
def test_the_numpy_tier_learns_the_same_things(kind: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.library, "_native", None)
    monkeypatch.setattr(engine.library, "_warned", True)
    options = {**SMALL, **kind, "epochs": 8, "learning_rate": 0.05}
    assert separation(WordVectors(**options).fit(two_topics(400))) > 0.3
    once, again = (WordVectors(**options).fit(two_topics(30)).vectors for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_same_seed_same_vectors_on_any_number_of_threads() -> None:
    text = two_topics(1500)
    found = []
    before = engine.get_num_threads()
    try:
        for threads in (1, 2, 4):
            engine.set_num_threads(threads)
            found.append(WordVectors(**SMALL, seed=5).fit(text).vectors)
    finally:
        engine.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert np.abs(found[0] - WordVectors(**SMALL, seed=6).fit(text).vectors).max() > 0.01


def test_the_team_is_the_size_that_does_more() -> None:
    team = Team(4, fixed=False)
    sizes = []
    for piece in range(60):
        sizes.append(team.size)
        busy = piece >= 30  # another program comes
        team.worked(1000, 0.1 if team.size == 1 else (0.5 if busy else 0.03))
    assert sizes.count(4) > 20
    assert sizes[40:].count(1) > 15
    always = Team(4, fixed=True)
    always.worked(1, 100.0)
    assert always.size == 4


def test_every_chunk_is_visited_once_an_epoch_in_another_order() -> None:
    for chunks in (1, 7, 8, 513, 5000):
        orders = [visiting_order(chunks, 3, epoch) for epoch in range(2)]
        assert all(sorted(order.tolist()) == list(range(chunks)) for order in orders)
        assert chunks < 7 or orders[0].tolist() != orders[1].tolist()
    np.testing.assert_array_equal(orders[0], visiting_order(5000, 3, 0))


def test_subwords_give_unseen_words_a_vector_near_their_kin() -> None:
    text = [line.replace("dog", "dogs").replace("cat", "강아지") for line in two_topics(1500)]
    vectors = WordVectors(**SMALL, subwords=True, ngram_min=2, ngram_max=4).fit(text)
    assert "doggy" not in vectors
    assert vectors.similarity("doggy", "dogs") > vectors.similarity("doggy", "blue")
    assert vectors.similarity("강아지는", "강아지") > vectors.similarity("강아지는", "blue")
    assert vectors.most_similar("doggy", n=1)[0][0] in {*ANIMALS, "dogs", "강아지"}
    with pytest.raises(UnknownWordError, match="no vector for 'zzz'"):
        vectors.vector("zzz")


def plain(table: VectorTable, query: np.ndarray, n: int, exclude: list[int]) -> list[int]:
    scores = table.unit @ (query / np.linalg.norm(query))
    scores[exclude] = -np.inf
    return sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:n]


@pytest.mark.parametrize("rows", [3, 200, 5000])
def test_nearest_are_those_of_a_full_sort(rows: int) -> None:
    draw = np.random.default_rng(0)
    table = VectorTable([f"w{i}" for i in range(rows)], draw.normal(size=(rows, 9)).astype(np.float32))
    queries = draw.normal(size=(40, 9)).astype(np.float32)
    exclude = [[i % rows] for i in range(40)]
    for n in (1, 2, 10, rows):
        found, cosines = nearest(table.unit, queries, n, exclude)
        assert (np.diff(cosines, axis=1) <= 0).all()
        for place in range(40):
            expected = plain(table, queries[place], n, exclude[place])
            scores = table.unit[found[place]] @ (queries[place] / np.linalg.norm(queries[place]))
            if n < rows:
                np.testing.assert_allclose(cosines[place], scores, atol=1e-5)
                assert set(found[place]) == set(expected)


def test_answers_agree_with_gensim() -> None:
    pytest.importorskip("gensim")
    draw = np.random.default_rng(1)
    words = [f"w{i}" for i in range(500)]
    vectors = WordVectors.of(VectorTable(words, draw.normal(size=(500, 20)).astype(np.float32)))
    keyed = vectors.to_gensim()
    for asked, without in ((["w1"], []), (["w1", "w2"], ["w3"]), ([], ["w4"])):
        ours = vectors.most_similar(asked, without, n=8)
        theirs = keyed.most_similar(positive=asked, negative=without, topn=8)
        assert [word for word, _ in ours] == [word for word, _ in theirs]
        np.testing.assert_allclose([c for _, c in ours], [c for _, c in theirs], atol=1e-5)
    assert vectors.analogy("w1", "w2", "w3", 5)[0][0] == keyed.most_similar(["w2", "w3"], ["w1"])[0][0]
    assert vectors.doesnt_match(words[:5]) == keyed.doesnt_match(words[:5])
    assert vectors.similarity("w1", "w2") == pytest.approx(float(keyed.similarity("w1", "w2")), abs=1e-6)
    batch = vectors.nearest(words[:50], n=5)
    for word, near in zip(words[:50], batch, strict=True):
        assert [one for one, _ in near] == [one for one, _ in keyed.most_similar(word, topn=5)]


def test_evaluation_agrees_with_gensim() -> None:
    gensim = pytest.importorskip("gensim")
    data = Path(gensim.__file__).parent / "test" / "test_data"
    pairs, analogies = data / "wordsim353.tsv", data / "questions-words.txt"
    listed = [line.split("\t") for line in pairs.read_text().splitlines() if not line.startswith("#")]
    known = {word.lower() for line in listed for word in line[:2]}
    quads = [line.lower().split() for line in analogies.read_text().splitlines() if not line.startswith(":")]
    words = sorted(known | {word for quad in quads[:400] for word in quad})
    draw = np.random.default_rng(2)
    vectors = WordVectors.of(VectorTable(words, draw.normal(size=(len(words), 6)).astype(np.float32)))
    found = vectors.evaluate(pairs=pairs, analogies=analogies)
    keyed = vectors.to_gensim()
    pearson, spearman, unknown = keyed.evaluate_word_pairs(str(pairs))
    assert found["pairs"]["spearman"] == pytest.approx(spearman[0], abs=1e-6)
    assert found["pairs"]["pearson"] == pytest.approx(pearson[0], abs=1e-6)
    assert found["pairs"]["unknown"] == unknown * len(listed) / 100
    score, sections = keyed.evaluate_word_analogies(str(analogies))
    correct = sum(len(section["correct"]) for section in sections[:-1])
    assert found["analogies"]["correct"] == correct
    assert found["analogies"]["accuracy"] == pytest.approx(score)


def test_evaluation_refuses_other_files(tmp_path: Path) -> None:
    vectors = WordVectors.of(VectorTable(["a", "b"], np.eye(2, dtype=np.float32)))
    (tmp_path / "pairs.tsv").write_text("a\tb\t5\nhello world\n")
    with pytest.raises(DataError, match=r"pairs\.tsv:2: expected two words and a number"):
        vectors.evaluate(pairs=tmp_path / "pairs.tsv")
    (tmp_path / "analogies.txt").write_text(": some\na b c\n")
    with pytest.raises(DataError, match=r"analogies\.txt:2: expected four words, found 3"):
        vectors.evaluate(analogies=tmp_path / "analogies.txt")
    for score in ("nan", "inf", "-Infinity"):
        (tmp_path / "pairs.tsv").write_text(f"a\tb\t{score}\na\tb\t5\n")
        with pytest.raises(DataError, match=rf"pairs\.tsv:1: '{score}' is not a finite number"):
            vectors.evaluate(pairs=tmp_path / "pairs.tsv")
    for nothing in ("", "word 1\tword 2\tscore\n", "# a note\n"):
        (tmp_path / "none.tsv").write_text(nothing)
        with pytest.raises(DataError, match=r"none\.tsv: holds no pairs"):
            vectors.evaluate(pairs=tmp_path / "none.tsv")
    (tmp_path / "none.tsv").write_text(": a section\n")
    with pytest.raises(DataError, match=r"none\.tsv: holds no analogies"):
        vectors.evaluate(analogies=tmp_path / "none.tsv")


def test_correlation_of_very_large_judgements(tmp_path: Path) -> None:
    table = VectorTable(["a", "b", "c"], np.array([[1, 0], [1, 1], [0, 1]], dtype=np.float32))
    found = []
    for scores in ((1e308, 5e307, -1e308), (1.0, 0.5, -1.0)):
        pairs = zip(("a\tb", "a\ta", "a\tc"), scores, strict=True)
        (tmp_path / "pairs.tsv").write_text("".join(f"{pair}\t{score}\n" for pair, score in pairs))
        found.append(evaluate_pairs(table, tmp_path / "pairs.tsv")["pearson"])
    assert found[0] == pytest.approx(found[1])


def test_saved_and_loaded_by_anyone(tmp_path: Path) -> None:
    vectors = WordVectors(**SMALL, subwords=True).fit(two_topics(300))
    vectors.save(tmp_path / "v")
    for again in (WordVectors.load(tmp_path / "v"), unrolled.load(tmp_path / "v")):
        assert isinstance(again, WordVectors)
        assert (again.words, again.options, again.training) == (
            vectors.words,
            vectors.options,
            vectors.training,
        )
        np.testing.assert_array_equal(again.vectors, vectors.vectors)
        np.testing.assert_array_equal(again.vector("doggy"), vectors.vector("doggy"))
    vectors.save(tmp_path / "v")  # replaces
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(ModelFileError, match="holds other things"):
        vectors.save(tmp_path / "other")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["other", "v"]
    from unrolled.runtime import load

    with pytest.raises(ModelFileError, match="these are word vectors, not a model that answers"):
        load(tmp_path / "v")


def change(folder: Path, **values: Any) -> None:
    place = folder / "model.json"
    content = json.loads(place.read_text()) | values
    content["checksum"] = fingerprint(content)
    place.write_text(json.dumps(content))


def test_damaged_and_hostile_folders(tmp_path: Path) -> None:
    vectors = WordVectors(**SMALL).fit(two_topics(100))

    def fresh() -> Path:
        vectors.save(tmp_path / "v")
        return tmp_path / "v"

    change(fresh(), words=2**30, dim=2**10)
    with pytest.raises(ModelFileError, match="its vectors need 4398046511104"):
        WordVectors.load(tmp_path / "v")
    change(fresh(), format_version=9)
    with pytest.raises(ModelFileError, match="made by a newer Unrolled"):
        WordVectors.load(tmp_path / "v")
    change(fresh(), words=-1)
    with pytest.raises(ModelFileError, match="'words' must be a number"):
        WordVectors.load(tmp_path / "v")
    change(fresh(), options={"dimm": 3})
    with pytest.raises(ModelFileError, match="Did you mean 'dim'"):
        WordVectors.load(tmp_path / "v")
    (fresh() / "model.json").write_text('{"format": "unrolled-vectors", "format_version": 1}')
    with pytest.raises(ModelFileError, match="changed by hand"):
        WordVectors.load(tmp_path / "v")
    file = fresh() / "vectors.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with pytest.raises(ModelFileError, match="checksum"):
        WordVectors.load(tmp_path / "v")
    file.write_bytes(raw[:-5])
    with pytest.raises(ModelFileError, match="truncated"):
        WordVectors.load(tmp_path / "v")
    (fresh() / "words.json").unlink()
    with pytest.raises(ModelFileError, match=r"words\.json: the file is missing"):
        WordVectors.load(tmp_path / "v")


PROGRAM = """
import sys
from vector_toys import two_topics
from unrolled.embed import WordVectors
from unrolled.embed import training

class Loud:
    def message(self, text): pass
    def counting(self, tokens): pass
    def start(self, tokens, done): print("start", done, flush=True)
    def step(self, tokens, loss, epoch):
        import time
        print("step", flush=True)
        time.sleep(0.02)
    def stop(self): pass

training._CALL_CHUNKS = 4
options = {"dim": 12, "epochs": 3, "sample": 0, "min_count": 2, "seed": 3}
WordVectors(**options).fit(
    two_topics(1500), out=sys.argv[1], resume=bool(int(sys.argv[2])), progress=Loud(), checkpoint_minutes=0
)
print("finished", flush=True)
"""


def start(out: Path, resume: bool) -> subprocess.Popen[str]:
    paths = [str(Path(__file__).parent), *sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(out), str(int(resume))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_training_that_is_killed_goes_on_to_the_same_vectors(tmp_path: Path, number: int) -> None:
    whole = start(tmp_path / "whole", False)
    assert whole.communicate(timeout=100)[0].endswith("finished\n")
    out = tmp_path / "cut"
    for attempt in range(3):
        process = start(out, attempt > 0)
        assert process.stdout is not None
        steps = 0
        for line in process.stdout:
            steps += line.startswith("step")
            if steps == 7:
                process.send_signal(number)
                break
        time.sleep(0.01)
        process.communicate(timeout=100)
        assert process.returncode != 0
        assert (out / "checkpoint" / "state.json").is_file()
        assert not (out / "model.json").exists()
    last = start(out, True)
    lines = last.communicate(timeout=100)[0].splitlines()
    assert int(lines[0].split()[1]) > 0
    assert lines[-1] == "finished"
    assert sorted(entry.name for entry in out.iterdir()) == [
        "model.json",
        "vectors.safetensors",
        "words.json",
    ]
    one, two = WordVectors.load(tmp_path / "whole"), WordVectors.load(out)
    assert one.words == two.words
    np.testing.assert_array_equal(one.vectors, two.vectors)


def test_what_is_in_the_folder_is_not_lost(tmp_path: Path) -> None:
    text = two_topics(100)
    WordVectors(**SMALL).fit(text, out=tmp_path / "v")
    with pytest.raises(TrainingError, match="holds vectors already"):
        WordVectors(**SMALL).fit(text, out=tmp_path / "v")
    with pytest.raises(TrainingError, match="nothing to resume"):
        WordVectors(**SMALL).fit(text, out=tmp_path / "v", resume=True)
    WordVectors(**SMALL).fit(text, out=tmp_path / "v", overwrite=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(TrainingError, match=r"other files \('a\.txt'\)"):
        WordVectors(**SMALL).fit(text, out=tmp_path / "notes", overwrite=True)


def test_resume_refuses_other_text_and_options(tmp_path: Path) -> None:
    out = tmp_path / "v"
    process = start(out, False)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step"):
            process.kill()
            break
    process.communicate(timeout=100)
    options = {"dim": 12, "epochs": 3, "sample": 0, "min_count": 2, "seed": 3}
    with pytest.raises(TrainingError, match="holds an unfinished training"):
        WordVectors(**options).fit(two_topics(1500), out=out)
    with pytest.raises(TrainingError, match=r"other data or options \(dim\)"):
        WordVectors(**options | {"dim": 13}).fit(two_topics(1500), out=out, resume=True)
    with pytest.raises(TrainingError, match=r"other data or options \(the text\)"):
        WordVectors(**options).fit(two_topics(1499), out=out, resume=True)


def test_mistakes_are_sentences() -> None:
    with pytest.raises(OptionError, match="Did you mean 'window'"):
        WordVectors(windows=3)
    with pytest.raises(OptionError, match="model must be one of skipgram, cbow"):
        VectorOptions(model="glove")
    with pytest.raises(UnrolledError, match="not trained yet"):
        _ = WordVectors().words
    vectors = WordVectors.of(VectorTable(["king", "queen", "Rome"], np.eye(3, dtype=np.float32)))
    with pytest.raises(UnknownWordError, match="Did you mean 'queen'"):
        vectors.vector("queeen")
    with pytest.raises(UnknownWordError, match="are in lower case"):
        vectors.vector("King")
    with pytest.raises(OptionError, match="needs three words"):
        vectors.doesnt_match(["king"])
    with pytest.raises(OptionError, match="cannot be trained further"):
        vectors.fit(["a b"])
    with pytest.raises(TrainingError, match=r"no longer finite|lower learning_rate"):
        WordVectors(**SMALL | {"learning_rate": 10.0, "epochs": 60}, model="cbow").fit(["a b c d"] * 3000)


def test_the_map_shows_words_and_runs_none(tmp_path: Path) -> None:
    words = ["<script>alert(1)</script>", "</script>", "&amp;", "한국", '"quoted"', "plain"]
    draw = np.random.default_rng(0)
    table = VectorTable(words, draw.normal(size=(6, 4)).astype(np.float32))
    assert write_map(table, tmp_path / "map.html", around=words[0]) == 6
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2  # the data and the program
    assert page.count("</script>") == 2
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert sorted(data["words"]) == sorted(words)
    assert all(len(near) == 5 for near in data["near"])
    assert "http" not in page.partition('id="data">')[0]


def test_words_never_fill_the_places_of_the_map(tmp_path: Path) -> None:
    words = ["{{data}}", "{{title}}", r"\g<0>"]
    table = VectorTable(words, np.eye(3, dtype=np.float32))
    write_map(table, tmp_path / "map.html", around="{{data}}")
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert "<title>Word vectors around {{data}}</title>" in page
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert sorted(data["words"]) == sorted(words)


def test_the_plane_is_that_of_the_largest_variance() -> None:
    draw = np.random.default_rng(0)
    points = draw.normal(size=(300, 5)) * [0.1, 5, 0.1, 2, 0.1]
    places = plane(points)
    assert np.abs(np.corrcoef(places[:, 0], points[:, 1])[0, 1]) > 0.99
    assert np.abs(np.corrcoef(places[:, 1], points[:, 3])[0, 1]) > 0.99
    assert np.abs(places).max() == pytest.approx(1)
