"""What the tagger's peers have in common: files of tagged sentences, figures, the clock, the command line.

A peer is a program with `train`, which leaves a folder, and a function that makes a tagger of that folder:
sentences as lists of words in, lists of tags out. Words are those of the files, nothing is tokenized.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Words = list[str]
Tags = list[str]
Tagger = Callable[[Sequence[Words]], list[Tags]]
Span = tuple[int, int, str]

PASSES = 5  # over a file, for the rate
WARM = 300  # sentences before those that count, one at a time
COUNTED = 1000


def read(path: Path) -> tuple[list[Words], list[Tags]]:
    """Words and tags of a file: UPOS of CoNLL-U, else the first and the last column of tab separated rows.

    Multiword tokens (`3-4`) and empty nodes (`8.1`) of CoNLL-U are no words.
    """
    conllu = path.suffix == ".conllu"
    words: list[Words] = []
    tags: list[Tags] = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        rows = [line.split("\t") for line in block.split("\n") if line and not (conllu and line[0] == "#")]
        if conllu:
            rows = [[row[1], row[3]] for row in rows if row[0].isdigit()]
        if rows:
            words.append([row[0] for row in rows])
            tags.append([row[-1] for row in rows])
    return words, tags


def are_spans(tags: Sequence[Tags]) -> bool:
    """Whether these are BIO tags, so that spans count and not words."""
    return any(tag.startswith("B-") for sentence in tags for tag in sentence)


def spans(tags: Tags) -> set[Span]:
    """First word, word after the last, and type, as conlleval reads them: any change of type begins one."""
    found: set[Span] = set()
    start, kind = 0, ""
    for place, tag in enumerate([*tags, "O"]):
        letter, _, now = tag.partition("-")
        if kind and (letter != "I" or now != kind):
            found.add((start, place, kind))
            kind = ""
        if letter != "O" and not kind:
            start, kind = place, now
    return found


def figures(gold: Sequence[Tags], found: Sequence[Tags]) -> dict[str, float]:
    """`score` is what counts: of BIO tags F1 over all spans, otherwise the share of right words."""
    pairs = [(one, other) for a, b in zip(gold, found, strict=True) for one, other in zip(a, b, strict=True)]
    accuracy = sum(one == other for one, other in pairs) / len(pairs)
    if not are_spans(gold):
        return {"score": accuracy, "accuracy": accuracy}
    expected, given = (
        {(number, *span) for number, sentence in enumerate(side) for span in spans(sentence)}
        for side in (gold, found)
    )
    right = len(expected & given)
    return {
        "score": 2 * right / (len(expected) + len(given)),
        "accuracy": accuracy,
        "precision": right / max(len(given), 1),
        "recall": right / len(expected),
    }


def speed(tagger: Tagger, sentences: list[Words]) -> dict[str, float]:
    """How fast a warm process tags: one sentence after the other, none of them seen before, then all at once.

    `sentence_ms` is the median of a sentence, `words_per_second` that of several passes over all sentences.
    """
    alone = sentences[: WARM + COUNTED]
    taken = []
    for sentence in alone:
        began = time.perf_counter()
        tagger([sentence])
        taken.append(time.perf_counter() - began)
    passes = []
    for _ in range(PASSES):
        began = time.perf_counter()
        tagger(sentences)
        passes.append(time.perf_counter() - began)
    return {
        "sentence_ms": 1e3 * statistics.median(taken[min(WARM, len(alone) // 2) :]),
        "words_per_second": sum(map(len, sentences)) / statistics.median(passes),
    }


def peer(
    description: str | None,
    train: Callable[[Path, Path, Path, int, bool], None],
    load: Callable[[Path], Tagger],
) -> None:
    """The command line of a peer.

    Args:
        description: for `--help`.
        train: told the training file, the dev file, the folder, the seed and whether this is only a trial.
        load: makes a tagger of the folder.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("train", help="train, and keep what is best on dev")
    for name in ("train", "dev", "folder"):
        one.add_argument(name, type=Path)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--trial", action="store_true", help="a few steps, to see that all works")
    for verb, text in (
        ("evaluate", "figures of a file"),
        ("speed", "words a second, and one sentence alone"),
    ):
        other = verbs.add_parser(verb, help=text)
        other.add_argument("folder", type=Path)
        other.add_argument("file", type=Path)
    given = parser.parse_args()
    result: dict[str, Any]
    if given.verb == "train":
        began = time.perf_counter()
        train(given.train, given.dev, given.folder, given.seed, given.trial)
        result = {"seconds": time.perf_counter() - began}
    else:
        words, tags = read(given.file)
        tagger = load(given.folder)
        result = figures(tags, tagger(words)) if given.verb == "evaluate" else speed(tagger, words)
    print(json.dumps(result))
