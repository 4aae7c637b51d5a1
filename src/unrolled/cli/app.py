"""The command line's frame: verbs loaded on use, errors as one line, quiet ends."""

from __future__ import annotations

import difflib
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from unrolled.cli.help import HelpGroup
from unrolled.errors import OptionError, TrainingError, UnrolledError

INTERRUPTED = 130  # 128 + SIGINT, what a shell reports
CLOSED_PIPE = 141  # 128 + SIGPIPE

#: Verb -> (module that holds ``command``, what it does).
VERBS = {
    "train": ("unrolled.cli.train", "Train a model on labelled files."),
    "predict": ("unrolled.cli.predict", "Answer for texts from files or standard input."),
    "evaluate": ("unrolled.cli.evaluate", "Measure a model on a labelled file."),
    "vectors": ("unrolled.cli.vectors", "Train, ask, compare and convert word vectors."),
    "info": ("unrolled.cli.info", "What a model is, trained on what, how good, how large."),
    "demo": ("unrolled.cli.demo", "Train and use a model on dialogues a package brings; no download."),
}

_EXAMPLES = """\
unrolled train classify --train reviews.tsv --dev dev.tsv --out sentiment/
unrolled evaluate sentiment/ test.tsv
echo "a wonderful film" | unrolled predict sentiment/
"""


class Verbs(HelpGroup):
    """The verbs, each imported when it is run or its own help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = import_module(VERBS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:  # caught here, because click itself would make a plain failure of it
            _silence_stdout()
            ctx.exit(CLOSED_PIPE)
        return result

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            near = difflib.get_close_matches(name, VERBS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" The verbs are: {', '.join(VERBS)}."
            raise click.UsageError(f"there is no verb '{name}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, what) for name, (_, what) in VERBS.items()])


def _show_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from unrolled import __version__

    click.echo(f"unrolled {__version__}")
    ctx.exit()


command = Verbs(
    name="unrolled",
    help="Recurrent text models on an ordinary CPU: train on a labelled file, measure, predict.",
    examples=_EXAMPLES,
    epilog="Each verb explains itself: unrolled train classify --help",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version and exit.",
        )
    ],
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit the process.

    Exit codes: 0 done, 1 the work failed, 2 the command was wrong, 130 interrupted, 141 the reader of the
    output went away. A user's mistake is one line on stderr, ``error: ...``; anything unexpected keeps its
    traceback.
    """
    args = list(sys.argv[1:] if arguments is None else arguments)
    # Read by torch's OpenMP when it is loaded. Threads that spin while they wait for each other stand still
    # as soon as another program wants the same cores; on idle cores sleeping costs next to nothing.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(_run(args))


def _run(args: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not end the work.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        code = command.main(args, prog_name="unrolled", standalone_mode=False, obj=args)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        verb = error.ctx.command_path if error.ctx else "unrolled"
        _complain(error.format_message())
        click.echo(f"See: {verb} --help", err=True)
        return 2
    except click.ClickException as error:
        _complain(error.format_message())
        return 1
    except OptionError as error:
        _complain(_as_typed(str(error)))
        return 2
    except TrainingError as error:
        _complain(_as_typed(str(error)))
        return 1
    except UnrolledError as error:
        _complain(str(error))
        return 1
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED


def resume_command(args: Sequence[str], *, checkpoint: bool) -> str:
    """The command line that goes on where a training with these arguments was interrupted.

    Args:
        args: of the interrupted command.
        checkpoint: whether it left a checkpoint; if not, the same command starts anew.
    """
    if not checkpoint:
        return shlex.join(["unrolled", *args])
    kept = [arg for arg in args if arg not in ("--overwrite", "--resume")]
    return shlex.join(["unrolled", *kept, "--resume"])


def _complain(message: str) -> None:
    label = click.style("error:", fg="red", bold=True) if stderr_has_colour() else "error:"
    click.echo(f"{label} {message}", err=True)


def stderr_has_colour() -> bool:
    """Whether stderr is a terminal that may be coloured (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _as_typed(message: str) -> str:
    """An option's message with its names as on the command line: ``ngram_max`` becomes ``--ngram-max``."""
    import re
    from dataclasses import fields

    from unrolled.embed.options import VectorOptions
    from unrolled.options import ClassifierOptions

    every = {field.name for options in (ClassifierOptions, VectorOptions) for field in fields(options)}
    names = "|".join(sorted((name for name in every if "_" in name), key=len, reverse=True))
    spoken = rf"(?<![\w-])({names})(?!\w)|(?<=with )(resume|overwrite)\b|(?<=\()(resume|overwrite)(?=\))"
    return re.sub(spoken, lambda match: "--" + match[0].replace("_", "-"), message)


def _silence_stdout() -> None:
    """Nobody reads stdout any more: let the interpreter's last flush go nowhere instead of failing."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
