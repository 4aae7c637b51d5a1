"""Drawing for people: a rich console that is plain text as soon as nobody sits before it."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_PIPED_WIDTH = 200


def console(*, stderr: bool = False) -> Console:
    """A console on standard output or error.

    On a terminal it is as wide as that and coloured, unless ``NO_COLOR`` is set or the terminal is dumb.
    Into a pipe or file it writes plain text, wide enough that no column is cut.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
    width = None if stream.isatty() else _PIPED_WIDTH
    return Console(
        file=stream,
        force_terminal=terminal,
        no_color=bool(os.environ.get("NO_COLOR")) or None,
        color_system="auto" if terminal else None,
        width=width,
        highlight=False,
        emoji=False,
        markup=False,
        soft_wrap=False,
    )


def table(*columns: str, title: str | None = None, left: int = 1) -> Table:
    """A table without a frame: names above, numbers to the right. The first ``left`` columns are text."""
    from rich.table import Table

    made = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left", header_style="bold"
    )
    made.title_style = "bold"
    for number, name in enumerate(columns):
        settings: dict[str, Any] = {} if number < left else {"justify": "right", "no_wrap": True}
        made.add_column(name, **settings)
    return made


def draw(screen: Console, drawing: Table) -> None:
    """Print a table; in a pipe without blanks at the ends of lines."""
    if screen.is_terminal:
        screen.print(drawing)
        return
    with screen.capture() as captured:
        screen.print(drawing)
    screen.file.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def cut(text: str, width: int) -> str:
    """One line of at most ``width`` terminal cells; Hangul and other wide characters count as two."""
    from rich.cells import cell_len, set_cell_size

    line = " ".join(text.split())
    return line if cell_len(line) <= width else set_cell_size(line, width - 1).rstrip() + "…"


def text_width() -> int:
    """Columns for running text: the terminal's, at most 100; 80 in a pipe."""
    return min(100, shutil.get_terminal_size().columns) if sys.stdout.isatty() else 80
