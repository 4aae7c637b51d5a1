"""What all options have in common: checked values, a sentence of help a field, plain values for JSON."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Self

from unrolled.errors import OptionError


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] | None = None,
    low: float | None = None,
    high: float | None = None,
    group: str,
) -> Any:
    """One option: default, a sentence for `--help`, and the values it may take (bounds inclusive)."""
    return field(
        default=default, metadata={"help": help, "choices": choices, "low": low, "high": high, "group": group}
    )


class Options:
    """Base of the options dataclasses: checked values, and plain ones for JSON and the command line."""

    def __post_init__(self) -> None:
        for declared in dataclasses.fields(self):  # type: ignore[arg-type]  # every derived class is one
            check(declared, getattr(self, declared.name))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Options from plain values, as read from JSON.

        Raises:
            OptionError: a name that is no option (names the nearest one), or a bad value.
        """
        names = [declared.name for declared in dataclasses.fields(cls)]  # type: ignore[arg-type]
        for name in values:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f" Did you mean '{near[0]}'?" if near else f" The options are: {', '.join(names)}."
                raise OptionError(f"there is no option '{name}'.{hint}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; :meth:`from_dict` gives the same options back."""
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]


def check(declared: dataclasses.Field[Any], value: Any) -> None:
    """Type and range of one value."""
    types: dict[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "bool": bool, "str": str}
    wanted = types[str(declared.type)]
    meta = declared.metadata
    if not isinstance(value, wanted) or (isinstance(value, bool) and declared.type != "bool"):
        raise OptionError(f"{declared.name} must be of type {declared.type}, not {value!r}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise OptionError(f"{declared.name} must be a finite number, not {value!r}.")
    if meta["low"] is not None and not meta["low"] <= value <= meta["high"]:
        bounds = f"between {meta['low']} and {meta['high']}"
        raise OptionError(f"{declared.name} must lie {bounds}, not {value!r}.")
    if meta["choices"] and value not in meta["choices"]:
        near = difflib.get_close_matches(str(value), meta["choices"], n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        choices = ", ".join(meta["choices"])
        raise OptionError(f"{declared.name} must be one of {choices}, not {value!r}.{hint}")
