"""The learning curve as a picture."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from unrolled.errors import TrainingError
from unrolled.train.log import TrainingLog

_COLOURS = {"train": "#9aa5b1", "dev": "#1f6f8b", "score": "#d1495b"}
_INK = "#2b2f36"


def draw_curve(log: TrainingLog, path: Path) -> None:
    """Losses on the left, the dev score on the right, over the epochs; a ring marks the epoch that was kept.

    Args:
        log: at least one epoch. Members lie one over the other, the first one strongest.
        path: of the PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    losses, scores = figure.subplots(1, 2)
    sign = -1.0 if log.score.startswith("negative ") else 1.0
    score_name = log.score.removeprefix("negative ")
    for number, rows in groupby(log.rows, key=lambda row: row.member):
        member = list(rows)
        epochs = [row.epoch for row in member]
        style = {"linewidth": 1.8, "marker": "o", "markersize": 3.5, "alpha": 1.0 if number == 1 else 0.45}
        label = {"train": "train", "dev": "dev"} if number == 1 else {"train": None, "dev": None}
        losses.plot(
            epochs, [row.train_loss for row in member], color=_COLOURS["train"], label=label["train"], **style
        )
        losses.plot(
            epochs, [row.dev_loss for row in member], color=_COLOURS["dev"], label=label["dev"], **style
        )
        scores.plot(epochs, [sign * row.dev_score for row in member], color=_COLOURS["score"], **style)
        kept = [row for row in member if row.best][-1]
        for axes, height in ((losses, kept.dev_loss), (scores, sign * kept.dev_score)):
            axes.plot(
                [kept.epoch], [height], "o", markersize=11, markerfacecolor="none", markeredgecolor=_INK
            )
        scores.annotate(
            f"{sign * kept.dev_score:.3f}",
            (kept.epoch, sign * kept.dev_score),
            xytext=(0, -16),
            textcoords="offset points",
            ha="center",
            va="top",
            color=_INK,
            fontsize=9,
        )
    losses.set_title("Loss", loc="left", color=_INK, fontsize=11)
    scores.set_title(
        f"Dev {score_name}  (ring: the epoch that was kept)", loc="left", color=_INK, fontsize=11
    )
    losses.legend(frameon=False, fontsize=9)
    for axes in (losses, scores):
        axes.set_xlabel("epoch", color=_INK, fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.tick_params(colors=_INK, labelsize=9)
        axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.margins(x=0.06, y=0.18)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color("#9aa5b1")
    if min(row.dev_loss for row in log.rows) >= 0:
        losses.set_ylim(bottom=0)
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(temporary, format="png", dpi=150)
        temporary.replace(path)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be written ({error.strerror or error}).") from None
