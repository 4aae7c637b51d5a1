"""Help pages: examples first, options in groups, plain text that reads well at 80 columns and in a pipe."""

from __future__ import annotations

from typing import Any

import click

OTHER = "Options"


class GroupedOption(click.Option):
    """An option that stands under a heading of the help page."""

    def __init__(self, *args: Any, group: str = OTHER, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class _Examples(click.Command):
    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(f"  {line}\n" if line else "\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Argument):  # the description explains them
                continue
            row = parameter.get_help_record(ctx)
            if row is not None:
                groups.setdefault(getattr(parameter, "group", OTHER), []).append(row)
        rest = groups.pop(OTHER, [])
        for title, rows in [*groups.items(), (OTHER, rest)]:
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows, col_max=26)


class HelpCommand(_Examples):
    """A verb. ``examples`` are command lines, shown as they are under the description."""


class HelpGroup(_Examples, click.Group):
    """A verb with parts, or the command itself."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        _Examples.format_options(self, ctx, formatter)
