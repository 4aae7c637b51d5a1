"""Figures of an evaluation as image files. matplotlib is optional."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unrolled.errors import DataError, MissingExtraError

_MAX_INCHES = 20.0  # 3,000 pixels a side: more labels get smaller cells, not a larger picture
_MAX_TICKS = 120  # names that stand beside each other at that size


def plot_confusion(labels: Sequence[str], matrix: Sequence[Sequence[int]], path: str | Path) -> bool:
    """Write the confusion table, coloured by the share of each row.

    Returns:
        whether every label could be written. A label in letters that no font of this system has stands as its
        number. Of many labels only every second, third ... is written beside the table.

    Raises:
        MissingExtraError: matplotlib is not installed.
        DataError: the file cannot be written, or its ending is no image format.
    """
    figure, axes = _figure(min(_MAX_INCHES, max(4.0, 0.55 * len(labels) + 2.2)))
    names = [label if _drawable(label) else str(number) for number, label in enumerate(labels, 1)]
    shares = [[count / (sum(row) or 1) for count in row] for row in matrix]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    step = -(-len(labels) // _MAX_TICKS) or 1
    axes.set_xticks(range(0, len(labels), step), names[::step], rotation=45, ha="right")
    axes.set_yticks(range(0, len(labels), step), names[::step])
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(labels) <= 30:
        for i, row in enumerate(matrix):
            for j, count in enumerate(row):
                colour = "white" if shares[i][j] > 0.6 else "black"
                axes.text(j, i, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)
    _save(figure, path)
    return names == list(labels)


def _figure(inches: float) -> tuple[Any, Any]:
    try:
        from matplotlib import font_manager, rcParams
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("The plot", package="matplotlib", extra="train") from None
    # Labels may be Korean: put a font that has Hangul behind the usual one, if the system has one.
    known = {font.name for font in font_manager.fontManager.ttflist}
    hangul = (
        "Noto Sans CJK KR",
        "Noto Sans KR",
        "NanumGothic",
        "Malgun Gothic",
        "Apple SD Gothic Neo",
        "AppleGothic",
    )
    rcParams["font.family"] = ["DejaVu Sans", *(name for name in hangul if name in known)]
    figure = Figure(figsize=(inches, inches), dpi=150, layout="constrained")
    return figure, figure.subplots()


def _drawable(label: str) -> bool:
    from matplotlib import font_manager, rcParams

    paths = [font_manager.findfont(name) for name in rcParams["font.family"]]
    fonts = [font_manager.get_font(path) for path in paths]
    return all(any(font.get_char_index(ord(letter)) for font in fonts) for letter in label)


def _save(figure: Any, path: str | Path) -> None:
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise DataError(f"the plot cannot be written: {error}", source=path) from None
