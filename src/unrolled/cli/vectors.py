"""``unrolled vectors``: the verb and its parts."""

from __future__ import annotations

from importlib import import_module

import click

from unrolled.cli.help import HelpGroup

_HELP = """\
Word vectors: a place in space for each word, learnt from its neighbours (word2vec).

Words that stand in similar places get similar vectors, so that near means alike. Train them on plain text
without labels; ask what is near; start a classifier from them.
"""

_EXAMPLES = """\
unrolled vectors train corpus.txt --out vectors/
unrolled vectors similar vectors/ king
unrolled train classify --train reviews.tsv --out sentiment/ --vectors vectors/
"""

#: Part -> (module, name of the command in it, what it does).
PARTS = {
    "train": ("vectors_train", "train", "Train on text."),
    "similar": ("vectors_ask", "similar", "The words nearest to a word."),
    "analogy": ("vectors_ask", "analogy", "What is to C as B is to A."),
    "evaluate": ("vectors_ask", "evaluate", "Agreement with people, and analogies."),
    "convert": ("vectors_files", "convert", "From and to the formats of other tools."),
    "map": ("vectors_files", "draw", "A picture of the words, as one HTML file."),
}


class Parts(HelpGroup):
    """The parts, each imported when it is run or its own help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in PARTS:
            return None
        module, name, _ = PARTS[cmd_name]
        command = getattr(import_module(f"unrolled.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Parts"):
            formatter.write_dl([(name, what) for name, (_, _, what) in PARTS.items()])


command = Parts(name="vectors", help=_HELP, examples=_EXAMPLES, no_args_is_help=True)
