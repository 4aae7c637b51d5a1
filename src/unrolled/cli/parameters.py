"""Command-line options that several verbs share, and those made from an options dataclass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from unrolled.cli.help import GroupedOption
from unrolled.options import PRESETS, ClassifierOptions, Options

if TYPE_CHECKING:
    from unrolled.data import LabelKind

_INPUT = "Reading the files"
QUOTING = ("auto", "minimal", "none")
WEIGHTS = ("float32", "bfloat16", "int8")  # engine.PRECISIONS, which costs numpy to import
FORMATS = ("csv", "tsv", "jsonl", "parquet", "txt")
TAGGED_FORMATS = ("conllu", "conll", "characters")


def classifier_parameters() -> list[click.Option]:
    """One option for each field of :class:`ClassifierOptions`; a value that is not given is ``None``."""
    return option_parameters(ClassifierOptions, PRESETS)


def option_parameters(
    options: type[Options], presets: Mapping[str, Mapping[str, Any]] | None = None
) -> list[click.Option]:
    """One option for each field of an options dataclass; a value that is not given is ``None``."""
    return [_parameter(field, presets or {}) for field in dataclasses.fields(options)]  # type: ignore[arg-type]


def _parameter(field: dataclasses.Field[Any], presets: Mapping[str, Mapping[str, Any]]) -> click.Option:
    meta = field.metadata
    kebab = field.name.replace("_", "-")
    defaults = [_shown(field.default)]
    defaults += [
        f"{preset}: {_shown(changes[field.name])}"
        for preset, changes in presets.items()
        if field.name in changes
    ]
    text = meta["help"] + (f"  [{'; '.join(defaults)}]" if defaults != [""] else "")
    kind: Any = {"int": int, "float": float, "bool": bool, "str": str}[str(field.type)]
    if meta["choices"]:
        kind = click.Choice(meta["choices"])
    elif kind is int:
        kind = Bounded("INTEGER", int, meta["low"], meta["high"])
    elif kind is float:
        kind = Bounded("NUMBER", float, meta["low"], meta["high"])
    if kind is bool:
        names = [f"--{kebab}/--no-{kebab}", *(["--freeze"] if field.name == "freeze_vectors" else [])]
        return GroupedOption(names, default=None, help=text, group=meta["group"])
    return GroupedOption(
        [f"--{kebab}"], type=kind, default=None, help=text, group=meta["group"], metavar=_metavar(field, kind)
    )


class Bounded(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """A number between two bounds. click's own range would print the bounds into every line of the help."""

    def __init__(
        self, name: str, parse: Callable[[str], float], low: float | None, high: float | None
    ) -> None:
        self.name = name
        self._parse = parse
        self._low = low
        self._high = high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = self._parse(value)
        except ValueError:
            article = "a whole number" if self._parse is int else "a number"
            self.fail(f"'{value}' is not {article}.", param, ctx)
        if self._low is not None and self._high is not None and not self._low <= number <= self._high:
            self.fail(
                f"{value} does not lie between {_shown_bound(self._low)} and {_shown_bound(self._high)}.",
                param,
                ctx,
            )
        return number


def _metavar(field: dataclasses.Field[Any], kind: Any) -> str | None:
    if isinstance(kind, click.Choice):
        return "|".join(kind.choices)
    if isinstance(kind, Bounded):
        return "N" if kind.name == "INTEGER" else "X"
    return "PATH" if field.name == "vectors" else "NAME"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def given_options(values: Mapping[str, Any], options: type[Options] = ClassifierOptions) -> dict[str, Any]:
    """Those of the options that the user set."""
    names = {field.name for field in dataclasses.fields(options)}  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if name in names and value is not None}


def _shown_bound(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def weights_parameter() -> click.Option:
    """How exactly a model computes."""
    return GroupedOption(
        ["--weights"],
        type=click.Choice(WEIGHTS),
        default="float32",
        show_default=True,
        group="Computing",
        help="Recurrent weights as the engine holds them; less is faster for single texts, and less exact.",
    )


def reading_parameters(*, labels: bool, tagged: bool = False) -> list[click.Option]:
    """How to read the files; the label's options only where labels are read, those of tagged sentences only
    where these may come."""

    def option(name: str, text: str, **kwargs: Any) -> click.Option:
        return GroupedOption([name], help=text, group=_INPUT, **kwargs)

    formats = (*FORMATS, *TAGGED_FORMATS) if tagged else FORMATS
    columns = [
        option(
            "--text-column",
            "Column of the text: name or number from 1. Guessed if left out.",
            metavar="COLUMN",
        )
    ]
    if labels:
        columns.append(
            GroupedOption(
                ["--label-column", *(["--column"] if tagged else [])],
                help="Column of the label or tag: name or number from 1.",
                metavar="COLUMN",
                group=_INPUT,
            )
        )
    shape = [
        option(
            "--format",
            "By name and content if left out.",
            type=click.Choice(formats),
            metavar="|".join(formats),
        ),
        option("--delimiter", "Character between the fields of CSV; \\t is a tab.", metavar="CHARACTER"),
        option(
            "--quoting",
            "minimal: fields may stand in quotes; none: a quote is an ordinary character.",
            type=click.Choice(QUOTING),
            default="auto",
            metavar="|".join(QUOTING),
        ),
        GroupedOption(
            ["--header/--no-header"],
            default=None,
            group=_INPUT,
            help="The first row names the columns. Found out if left out.",
        ),
        option("--encoding", "Of text files, for example cp949.  [utf-8]", default="utf-8", metavar="NAME"),
        option(
            "--skip-bad-rows",
            "Leave out rows that cannot be used and count them; else the first is an error.",
            is_flag=True,
        ),
    ]
    if tagged:
        shape.append(repair_parameter())
    if labels:
        shape.append(
            option(
                "--label-separator",
                "Between the labels of a text with several.  [|]",
                default="|",
                metavar="TEXT",
            )
        )
    return columns + shape


def repair_parameter() -> click.Option:
    """What to do about broken spans in files of tagged sentences."""
    return GroupedOption(
        ["--repair"],
        is_flag=True,
        group=_INPUT,
        help="Read broken spans of tags (I-X after O) as conlleval does, and count them.",
    )


def reading_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of :func:`reading_parameters` as keywords of ``unrolled.data.open_records``."""
    names = (
        "text_column",
        "label_column",
        "format",
        "delimiter",
        "quoting",
        "header",
        "encoding",
        "skip_bad_rows",
        "label_separator",
    )
    return {name: values[name] for name in names if name in values}


#: Task of a model -> kind of label to read for it.
LABEL_KINDS: dict[str, LabelKind] = {"single": "single", "multi": "multi", "regression": "number"}
