"""What ``evaluate`` shows: figures, a row a class, and the confusion table in shades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unrolled.cli.console import cut, draw, table

if TYPE_CHECKING:
    from rich.console import Console

_SHADES = (236, 238, 240, 242, 244)  # of xterm's 256 greys, dark to light
_RIGHT = (22, 28, 34)  # greens for the diagonal
_LABEL_CELLS = 24

#: Key of a figure -> its name; also the order in which figures are shown.
FIGURES = {
    "span_f1": "span F1",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "exact_match": "exact match",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R squared",
    "pearson": "Pearson correlation",
    "calibration_error": "calibration error",
}


def show_figures(console: Console, figures: Mapping[str, Any]) -> None:
    """All single numbers of an evaluation."""
    rows = table("", "", left=1)
    rows.show_header = False
    rows.add_row("texts", f"{figures['n']:,}")
    for key, name in FIGURES.items():
        if key in figures:
            rows.add_row(name, "undefined" if figures[key] is None else f"{figures[key]:.4f}")
    draw(console, rows)


def show_classes(console: Console, per_class: Mapping[str, Mapping[str, float]]) -> None:
    """Precision, recall and F1 of each label."""
    rows = table("label", "precision", "recall", "F1", "texts")
    for label, scores in per_class.items():
        shown = (f"{scores[key]:.3f}" for key in ("precision", "recall", "f1"))
        rows.add_row(cut(label, _LABEL_CELLS), *shown, f"{int(scores['support']):,}")
    draw(console, rows)


def figures_line(figures: Mapping[str, Any]) -> str:
    """The figures in one line: ``"accuracy 0.8730, macro F1 0.8729"``."""
    known = {key: figures[key] for key in FIGURES if figures.get(key) is not None}
    return ", ".join(f"{FIGURES[key]} {value:.4f}" for key, value in known.items())


def parts_line(figures: Mapping[str, Any]) -> str:
    """How good the network and the wide part are apart; empty for a model without a wide part."""
    if "network_alone" not in figures:
        return ""
    known = (key for key in ("span_f1", "micro_f1") if key in figures)
    name = FIGURES[next(known, "accuracy")]
    return (
        f"{name} {figures['network_alone']:.4f} of the network alone, "
        f"{figures['wide_alone']:.4f} of the wide part alone"
    )


def unseen_line(unseen: Mapping[str, int]) -> str:
    """What to know about labels of the file that the model was never trained on."""
    listed = ", ".join(f"{cut(label, _LABEL_CELLS)} ({count:,})" for label, count in list(unseen.items())[:5])
    more = f" and {len(unseen) - 5} more" if len(unseen) > 5 else ""
    return f"Labels that the model does not know, counted as wrong: {listed}{more}."


def show_confusion(console: Console, labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> None:
    """A row a true label, a column a predicted one; shaded by the share of the row.

    If the table is wider than the terminal, the largest confusions are listed instead.
    """
    from rich.cells import cell_len
    from rich.text import Text

    names = [cut(label, _LABEL_CELLS) for label in labels]
    heads = [
        name if len(labels) <= 8 and cell_len(name) <= 10 else str(number)
        for number, name in enumerate(names, 1)
    ]
    if heads != names:
        names = [f"{number} {name}" for number, name in enumerate(names, 1)]
    cells = [max(cell_len(head), *(len(str(row[i])) for row in matrix)) for i, head in enumerate(heads)]
    width = max(map(cell_len, [*names, "true \\ predicted"])) + 2 + sum(cell + 2 for cell in cells)
    if width > console.width:
        _list_confusions(console, labels, matrix)
        return
    rows = table("true \\ predicted", *heads)
    rows.padding = (0, 0)
    for column in rows.columns[1:]:
        column.min_width = 0
    for row_number, row in enumerate(matrix):
        total = sum(row) or 1
        drawn = []
        for number, count in enumerate(row):
            text = Text(f" {count if count else '.':>{cells[number]}} ")
            text.stylize(_shade(count / total, right=number == row_number))
            drawn.append(text)
        rows.add_row(names[row_number] + "  ", *drawn)
    for number, head in enumerate(heads, 1):
        rows.columns[number].header = f"{head} "
    draw(console, rows)


def _shade(share: float, *, right: bool) -> str:
    if share <= 0:
        return "dim"
    steps = _RIGHT if right else _SHADES
    return f"white on color({steps[min(len(steps) - 1, int(share * len(steps)))]})"


def _list_confusions(console: Console, labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> None:
    wrong = [(count, i, j) for i, row in enumerate(matrix) for j, count in enumerate(row) if i != j and count]
    wrong.sort(key=lambda item: (-item[0], item[1], item[2]))
    rows = table("true", "predicted", "texts", "of the true", left=2)
    for count, i, j in wrong[:15]:
        rows.add_row(
            cut(labels[i], _LABEL_CELLS),
            cut(labels[j], _LABEL_CELLS),
            f"{count:,}",
            f"{count / sum(matrix[i]):.1%}",
        )
    console.print(
        f"The confusion table of {len(labels)} labels is wider than the terminal; its largest confusions:"
    )
    draw(console, rows)
