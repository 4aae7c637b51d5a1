"""``unrolled vectors similar``, ``analogy`` and ``evaluate``: questions to word vectors."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any

import click

from unrolled.cli.help import GroupedOption, HelpCommand
from unrolled.cli.parameters import Bounded

_VECTORS = """\
VECTORS is a folder of 'unrolled vectors train', or a file: word2vec text or binary, fastText .vec, GloVe text
(these also as .gz), fastText .bin or safetensors.
"""

_SIMILAR = f"""\
The words nearest to each WORD, with the cosine of the angle between the vectors: 1 is the same direction.

{_VECTORS}"""

_ANALOGY = f"""\
What is to C as B is to A: the words nearest to B - A + C.

{_VECTORS}"""

_EVALUATE = f"""\
How good vectors are: agreement with people about pairs of words (rank correlation), and analogies.

{_VECTORS}
--pairs is a file of two words and a number a line, divided by tabs, as WordSim-353 and SimLex-999 come.
--analogies is a file of four words a line, with sections that begin with a colon, as questions-words comes.
"""


def _n() -> click.Option:
    kind = Bounded("INTEGER", int, 1, 1_000_000)
    return GroupedOption(["-n"], type=kind, default=10, metavar="N", help="How many to show.  [10]")


def _json() -> click.Option:
    return GroupedOption(["--json", "as_json"], is_flag=True, help="The answer as one JSON object.")


def _load(path: str) -> Any:
    from unrolled.embed.opening import check_vectors
    from unrolled.embed.vectors import WordVectors

    check_vectors(path)
    return WordVectors.load(path)


def run_similar(vectors: str, words: tuple[str, ...], n: int, as_json: bool) -> None:
    """Run the part; the parameters are those of the command line."""
    found = _load(vectors).nearest(list(words), n)
    if as_json:
        click.echo(json.dumps(dict(zip(words, found, strict=True)), ensure_ascii=False))
        return
    for number, (word, near) in enumerate(zip(words, found, strict=True)):
        if len(words) > 1:
            click.echo(("\n" if number else "") + _plain(word))
        _show(near)


def run_analogy(vectors: str, a: str, b: str, c: str, n: int, as_json: bool) -> None:
    """Run the part; the parameters are those of the command line."""
    found = _load(vectors).analogy(a, b, c, n)
    if as_json:
        click.echo(json.dumps({"a": a, "b": b, "c": c, "answers": found}, ensure_ascii=False))
        return
    _show(found)


def run_evaluate(vectors: str, pairs: str | None, analogies: str | None, as_json: bool) -> None:
    """Run the part; the parameters are those of the command line."""
    if pairs is None and analogies is None:
        raise click.UsageError("give --pairs, --analogies, or both.")
    found = _load(vectors).evaluate(pairs=pairs, analogies=analogies)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    if pairs is not None:
        figures = found["pairs"]
        click.echo(
            f"{'pairs':10}rank correlation {_number(figures['spearman'])} over {figures['pairs']:,} pairs; "
            f"{figures['unknown']:,} with an unknown word"
        )
    if analogies is not None:
        figures = found["analogies"]
        click.echo(
            f"{'analogies':10}accuracy {_number(figures['accuracy'])}, {figures['correct']:,} of "
            f"{figures['analogies']:,}; {figures['unknown']:,} with an unknown word"
        )
        for name, part in figures["sections"].items():
            accuracy = _number(part["accuracy"])
            click.echo(f"  {_plain(name):28}{accuracy:>8}  {part['correct']:,} of {part['analogies']:,}")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def _show(near: list[tuple[str, float]]) -> None:
    for word, cosine in near:
        click.echo(f"{cosine:.4f}  {_plain(word)}")


def _plain(text: str) -> str:
    """Words of a foreign file may hold what a terminal takes for commands; a file or pipe gets them as is."""
    if not sys.stdout.isatty():
        return text
    return "".join("\ufffd" if unicodedata.category(sign) == "Cc" else sign for sign in text)


similar = HelpCommand(
    name="similar",
    callback=run_similar,
    help=_SIMILAR,
    examples=(
        "unrolled vectors similar vectors/ king\nunrolled vectors similar wiki.en.vec dog cat -n 5 --json"
    ),
    params=[
        click.Argument(["vectors"], metavar="VECTORS"),
        click.Argument(["words"], metavar="WORD...", nargs=-1, required=True),
        _n(),
        _json(),
    ],
)

analogy = HelpCommand(
    name="analogy",
    callback=run_analogy,
    help=_ANALOGY,
    examples="unrolled vectors analogy vectors/ man king woman",
    params=[
        click.Argument(["vectors"], metavar="VECTORS"),
        click.Argument(["a"], metavar="A"),
        click.Argument(["b"], metavar="B"),
        click.Argument(["c"], metavar="C"),
        _n(),
        _json(),
    ],
)

evaluate = HelpCommand(
    name="evaluate",
    callback=run_evaluate,
    help=_EVALUATE,
    examples=(
        "unrolled vectors evaluate vectors/ --pairs wordsim353.tsv --analogies questions-words.txt --json"
    ),
    params=[
        click.Argument(["vectors"], metavar="VECTORS"),
        GroupedOption(["--pairs"], metavar="FILE", help="Pairs of words with people's judgement."),
        GroupedOption(["--analogies"], metavar="FILE", help="Analogies."),
        _json(),
    ],
)
