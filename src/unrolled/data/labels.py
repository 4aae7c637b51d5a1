"""Raw cell -> label. Numbers from typed files become the strings that a CSV file would hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

LabelKind = Literal["single", "multi", "number"]
Label = str | float | list[str]

MISSING_LABEL = "missing label"
WRONG_LABEL = "label of a wrong type"
NOT_A_NUMBER = "label is not a number"


class BadLabelError(Exception):
    """A cell that holds no usable label. ``kind`` is the reason to count by, ``detail`` a sentence."""

    def __init__(self, kind: str, detail: str, advice: str = "") -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.advice = advice


def is_missing(value: object) -> bool:
    """True for ``None``, NaN and the NA/NaT objects of pandas."""
    if value is None:
        return True
    if isinstance(value, float):
        return value != value
    return type(value).__name__ in ("NAType", "NaTType")


def plain(value: object) -> object:
    """A numpy scalar or 0-d/1-d array as the Python value it stands for; anything else unchanged."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    return value


def label_string(value: object) -> str:
    """The clean string of a label: ``1``, ``1.0`` and ``True`` become ``"1"``, ``"1"`` and ``"true"``.

    Raises:
        BadLabelError: missing, empty, or a list or mapping.
    """
    value = plain(value)
    if is_missing(value):
        raise BadLabelError(MISSING_LABEL, "the label is missing")
    if isinstance(value, str):
        text = value.strip()
        if not text:
            raise BadLabelError(MISSING_LABEL, "the label is empty")
        return text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (list, tuple, set, frozenset)):
        raise BadLabelError(
            WRONG_LABEL, "the label is a list", "choose the label kind 'multi' for several labels a text"
        )
    if isinstance(value, (dict, bytes)):
        raise BadLabelError(WRONG_LABEL, f"the label is {_type_name(value)}, not a string or a number")
    return str(value)


def label_number(value: object) -> float:
    """The label as a finite float.

    Raises:
        BadLabelError: missing, not a number, infinite or NaN.
    """
    value = plain(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadLabelError(MISSING_LABEL, "the label is missing")
    if isinstance(value, str) and "_" in value:  # float() takes "1_000", no other program does
        raise BadLabelError(NOT_A_NUMBER, f"the label {_shown(value)} is not a number")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise BadLabelError(NOT_A_NUMBER, f"the label {_shown(value)} is not a number") from None
    if not math.isfinite(number):
        raise BadLabelError(NOT_A_NUMBER, f"the label {_shown(value)} is not a finite number")
    return number


def label_list(value: object, separator: str) -> list[str]:
    """Several labels: a string is split at the separator; empty parts and repeats are dropped.

    An empty cell or list is valid and means that no label applies.

    Raises:
        BadLabelError: missing in a typed source, or an element that is no label.
    """
    value = plain(value)
    parts: list[object]
    if isinstance(value, str):
        parts = [part for part in value.split(separator) if part.strip()]
    elif isinstance(value, (list, tuple)):
        parts = list(value)
    elif isinstance(value, (set, frozenset)):
        parts = sorted(value, key=str)
    else:
        parts = [value]
    return list(dict.fromkeys(label_string(part) for part in parts))


def label_reader(kind: LabelKind, separator: str) -> Callable[[object], Label]:
    """The function that turns a raw cell into a label of this kind, or raises :class:`BadLabelError`."""
    if kind == "number":
        return label_number
    if kind == "multi":
        return lambda value: label_list(value, separator)
    seen: dict[str, str] = {}

    def single(value: object) -> str:
        if type(value) is not str:
            return label_string(value)
        known = seen.get(value)
        if known is None:
            known = label_string(value)
            if len(seen) < 10_000:  # one string object for each class, not for each row
                seen[value] = known
        return known

    return single


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _type_name(value: object) -> str:
    return {"dict": "an object", "bytes": "bytes"}.get(type(value).__name__, type(value).__name__)
