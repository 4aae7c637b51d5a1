"""``unrolled vectors convert`` and ``map``: word vectors as other files."""

from __future__ import annotations

from pathlib import Path

import click

from unrolled.cli.help import GroupedOption, HelpCommand
from unrolled.cli.parameters import Bounded
from unrolled.cli.sizes import size
from unrolled.errors import ModelFileError

_CONVERT = """\
Read word vectors in one format, and write them in another.

FROM is a folder of 'unrolled vectors train', or a file: word2vec text or binary, fastText .vec or .bin, GloVe
text, safetensors; its content says which. TO is a file whose name says the format (.txt or .vec: word2vec
text, .bin: word2vec binary, .glove.txt: GloVe text, .safetensors), or a folder. Every word's vector goes
along; the n-grams of sub-words only into a folder. Text and word2vec binary may also be .gz; fastText .bin
and safetensors may not: unpack them first.
"""

_MAP = """\
Draw the words on a plane, as one HTML file that needs no network: search, zoom, click a word to see what is
near.

The plane is the one on which the vectors spread most (PCA). It is a shadow of many dimensions: words that lie
together there may be far apart, so trust the list of neighbours.
"""


def run_convert(source: str, target: str, to: str | None, overwrite: bool) -> None:
    """Run the part; the parameters are those of the command line."""
    from unrolled.embed.opening import check_vectors
    from unrolled.embed.vectors import WordVectors

    check_vectors(source)
    place = Path(target)
    folder = to is None and (target.endswith(("/", "\\")) or place.is_dir() or not place.suffix)
    if folder:
        from unrolled.embed.saved import is_vector_folder

        if is_vector_folder(place) and not overwrite:
            raise ModelFileError(
                f"{target}: holds vectors already. Give another folder, or replace the vectors (--overwrite)."
            )
    else:
        from unrolled.embed.writing import format_of

        format_of(place, to)  # a wrong name is found before the vectors are read
    vectors = WordVectors.load(source)
    if folder:
        vectors.save(place)
    else:
        vectors.export(place, format=to)
    files = [file for file in place.rglob("*") if file.is_file()] if folder else [place]
    total = size(sum(file.stat().st_size for file in files))
    click.echo(f"{target}: {len(vectors):,} words x {vectors.dim}, {total}", err=True)


def run_map(vectors: str, out: str, words: int, around: str | None) -> None:
    """Run the part; the parameters are those of the command line."""
    from unrolled.embed.map import write_map
    from unrolled.embed.opening import check_vectors
    from unrolled.embed.vectors import WordVectors

    check_vectors(vectors)
    drawn = write_map(WordVectors.load(vectors).table, out, words=words, around=around)
    click.echo(f"{out}: {drawn:,} words, {size(Path(out).stat().st_size)}", err=True)


convert = HelpCommand(
    name="convert",
    callback=run_convert,
    help=_CONVERT,
    examples=(
        "unrolled vectors convert vectors/ out.bin\n"
        "unrolled vectors convert glove.6B.100d.txt vectors/\n"
        "unrolled vectors convert vectors/ words.txt.gz --to glove"
    ),
    params=[
        click.Argument(["source"], metavar="FROM"),
        click.Argument(["target"], metavar="TO"),
        GroupedOption(
            ["--to"],
            metavar="text|binary|glove|safetensors",
            help="Format to write. By the name if left out.",
        ),
        GroupedOption(["--overwrite"], is_flag=True, help="Replace a folder of vectors."),
    ],
)

draw = HelpCommand(
    name="map",
    callback=run_map,
    help=_MAP,
    examples=(
        "unrolled vectors map vectors/ --out map.html\n"
        "unrolled vectors map vectors/ --out king.html --around king"
    ),
    params=[
        click.Argument(["vectors"], metavar="VECTORS"),
        GroupedOption(["--out"], required=True, metavar="FILE", help="The HTML file."),
        GroupedOption(
            ["--words"],
            type=Bounded("INTEGER", int, 2, 20_000),
            default=1000,
            metavar="N",
            help="The most frequent words, or those nearest to --around.  [1000]",
        ),
        GroupedOption(["--around"], metavar="WORD", help="Draw the neighbourhood of a word."),
    ],
)
