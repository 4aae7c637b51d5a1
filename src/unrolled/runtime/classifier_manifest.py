"""``model.json`` of a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from unrolled.options import ClassifierOptions
from unrolled.runtime.manifest import (
    KEPT_NAME,
    STORAGE,
    Manifest,
    check_rest,
    checked_labels,
    checked_options,
    checked_rows,
    damaged,
    number,
    short,
)
from unrolled.runtime.shapes import has_wide_part, is_table, model_shapes
from unrolled.text.wide import BUCKETS

#: Name of the tensor that says which n-grams the wide part sees.
WIDE_KEPT_NAME = "wide.kept"

_INDICES = (KEPT_NAME, WIDE_KEPT_NAME)


@dataclass(frozen=True)
class ClassifierManifest(Manifest):
    """The checked content of ``model.json``.

    Attributes:
        options: how the model is built.
        wide_rows: n-grams of the wide part; ``None`` if the model has none.
        shares: how much the members' log-probabilities and the wide part's scores count.
        temperature: scores are divided by it before softmax or sigmoid.
        target: mean and standard deviation of a regression target, else ``None``.
    """

    options: ClassifierOptions
    wide_rows: int | None
    shares: tuple[float, float]
    temperature: float
    target: tuple[float, float] | None

    @property
    def outputs(self) -> int:
        """Scores a text."""
        return 1 if self.options.task == "regression" else len(self.labels)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every weight."""
        shapes = model_shapes(self.options, self.table_rows, self.outputs, self.wide_rows)
        if self.ngram_rows is not None:
            shapes[KEPT_NAME] = (self.ngram_rows,)
        if self.wide_rows is not None:
            shapes[WIDE_KEPT_NAME] = (self.wide_rows,)
        return shapes

    @property
    def dtypes(self) -> dict[str, str]:
        """Name -> stored type of every weight."""
        table = STORAGE[self.raw["storage"]["embedding"]]
        return {
            name: "I32" if name in _INDICES else table if is_table(name) else "F32" for name in self.shapes
        }

    @classmethod
    def of(cls, content: dict[str, Any], where: str) -> Self:
        """From plain values.

        Raises:
            ModelFileError: contradictory.
        """
        bad = damaged(where)
        parsed = checked_options(content, ClassifierOptions, where)
        labels = checked_labels(content, where)
        if bool(labels) == (parsed.task == "regression"):
            raise bad("a classifier has labels and a regression has none, but here it is otherwise")
        rows, kept = checked_rows(content, parsed.ngram_buckets, where)
        wide_rows, shares = None, (1.0, 0.0)
        if has_wide_part(parsed):
            wide = content.get("wide")
            wide = wide if isinstance(wide, dict) else {}
            wide_rows = wide.get("rows")
            if type(wide_rows) is not int or not 0 <= wide_rows <= BUCKETS:
                raise bad(f"wide.rows must be a number of n-grams, not {short(wide_rows)}")
            network, other = number(wide.get("network_share")), number(wide.get("wide_share"))
            if network is None or other is None or not (0 <= network <= 1e3 and 0 <= other <= 1e3):
                raise bad("the shares of the network and of the wide part must lie between 0 and 1000")
            shares = network, other
        elif content.get("wide") is not None:
            raise bad("it has a wide part that its options exclude")
        temperature = number(content.get("temperature"))
        if temperature is None or not 1e-3 <= temperature <= 1e3:
            raise bad(f"temperature must lie between 0.001 and 1000, not {short(content.get('temperature'))}")
        target = _target(content.get("target")) if parsed.task == "regression" else None
        if parsed.task == "regression" and target is None:
            raise bad("a regression needs the mean and standard deviation of its target")
        check_rest(content, where)
        return cls(content, labels, rows, kept, parsed, wide_rows, shares, temperature, target)


def _target(value: object) -> tuple[float, float] | None:
    if not isinstance(value, dict):
        return None
    mean, std = number(value.get("mean")), number(value.get("std"))
    return None if mean is None or std is None or std <= 0 else (mean, std)
