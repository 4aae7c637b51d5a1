"""Help, mistakes in the command, and how options come out of the dataclass."""

from __future__ import annotations

import dataclasses
from typing import Any

import click
import pytest
from click.testing import CliRunner

from unrolled.cli.app import VERBS, _run, command, resume_command
from unrolled.cli.parameters import classifier_parameters, given_options
from unrolled.options import ClassifierOptions

PAGES = [(), ("train",), ("train", "classify"), ("predict",), ("evaluate",), ("info",), ("demo",)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: "-".join(page) or "top")
def test_help_has_examples_and_fits_80_columns(page: tuple[str, ...]) -> None:
    result = CliRunner().invoke(command, [*page, "--help"], terminal_width=80, prog_name="unrolled")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    start = lines.index("Examples:")
    shown = [line for line in lines[start:] if line.strip().startswith(("unrolled", "echo"))]
    assert len(shown) >= 2
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in result.output


def test_no_argument_shows_help_and_is_a_usage_error(run: Any) -> None:
    result = run()
    assert result.code == 2
    assert "Verbs:" in result.err
    for verb in VERBS:
        assert f"  {verb} " in result.err


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_found_under_its_name(verb: str) -> None:
    assert command.get_command(click.Context(command), verb).name == verb  # type: ignore[union-attr]


def test_every_option_of_the_dataclass_is_on_the_command_line() -> None:
    made = {option.name: option for option in classifier_parameters()}
    fields = dataclasses.fields(ClassifierOptions)
    assert list(made) == [field.name for field in fields]
    for field in fields:
        option = made[field.name]
        assert f"--{field.name.replace('_', '-')}" in option.opts
        assert field.metadata["help"] in (option.help or "")
        assert option.group == field.metadata["group"]  # type: ignore[attr-defined]


def test_only_options_that_were_given_reach_the_dataclass() -> None:
    verb = click.Command("x", params=classifier_parameters(), callback=lambda **values: given_options(values))
    assert verb.main([], standalone_mode=False) == {}
    given = verb.main(
        ["--hidden", "64", "--no-bidirectional", "--dropout", "0", "--pooling", "mean"], standalone_mode=False
    )
    assert given == {"hidden": 64, "bidirectional": False, "dropout": 0.0, "pooling": "mean"}
    assert ClassifierOptions.of("fast", **given).hidden == 64


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], ["no verb 'trian'", "'train'"]),
        (["xyzzy"], ["no verb 'xyzzy'", "predict"]),
        (["train", "clasify"], ["clasify", "'classify'"]),
        (["train", "classify", "--hiden", "3"], ["--hiden", "--hidden"]),
        (["predict", "m", "--jsno"], ["--jsno", "--json"]),
        (["predict"], ["MODEL"]),
        (["evaluate", "m"], ["TEST"]),
        (["train", "classify", "--train", "a.tsv"], ["--out"]),
        (["train", "classify", "--hidden", "many"], ["--hidden", "'many' is not a whole number"]),
        (["train", "classify", "--hidden", "0"], ["--hidden", "between 1 and 8192"]),
        (["train", "classify", "--dropout", "nan"], ["--dropout", "between 0 and 0.95"]),
        (["train", "classify", "--model", "lstn"], ["--model", "lstm"]),
        (["train", "classify", "--preset", "quick"], ["--preset", "fast"]),
        (
            ["train", "classify", "--train", "a", "--out", "b", "--ngram-min", "5", "--ngram-max", "2"],
            ["--ngram-max (2)", "--ngram-min (5)"],
        ),
        (
            ["train", "classify", "--train", "a", "--out", "b", "--tokenizer", "basic_engish"],
            ["'basic_english'"],
        ),
        (["train", "classify", "--train", "-", "--out", "b"], ["save standard input to a file"]),
        (["predict", "m", "--json", "--out", "a.csv"], ["--json", ".jsonl"]),
        (["predict", "m", "--probabilities"], ["--json or --out"]),
    ],
)
def test_wrong_commands_are_one_line_and_exit_2(arguments: list[str], words: list[str], capsys: Any) -> None:
    assert _run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    first = shown.err.splitlines()[0]
    assert first.startswith("error: ")
    for word in words:
        assert word in first
    assert "Traceback" not in shown.err


def test_unexpected_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(command, "main", broken)
    with pytest.raises(ZeroDivisionError):
        _run(["info", "m"])


def test_version_is_the_packages(run: Any) -> None:
    import unrolled

    assert run("--version").out == f"unrolled {unrolled.__version__}\n"


def test_the_resume_command_is_the_same_command() -> None:
    given = ["train", "classify", "--train", "my file.tsv", "--out", "m", "--overwrite"]
    resumed = resume_command(given, checkpoint=True)
    assert resumed == "unrolled train classify --train 'my file.tsv' --out m --resume"
    assert resume_command([*given, "--resume"], checkpoint=True) == resumed
    assert resume_command(given, checkpoint=False) == resumed.replace("--resume", "--overwrite")
