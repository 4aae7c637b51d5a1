"""JSON as the standard has it: no duplicate keys, no NaN, and no exception but one."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NoReturn

MAX_DEPTH = 32


class StrictJsonError(Exception):
    """Why the text is not acceptable."""


def parse_object(raw: bytes) -> dict[str, Any]:
    """A JSON object from UTF-8 bytes.

    Raises:
        StrictJsonError: not UTF-8, not JSON, nested too deep, a key that comes twice, NaN or infinity, or not
            an object.
    """
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise StrictJsonError(f"byte {error.start + 1} is not UTF-8") from None
    except RecursionError:
        raise StrictJsonError("nested too deep") from None
    except ValueError as error:
        raise StrictJsonError(f"not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise StrictJsonError("not a JSON object")
    _check_depth(value)
    return value


def fingerprint(content: dict[str, Any]) -> str:
    """SHA-256 of the values without their ``checksum``, whatever the spacing and order."""
    values = {name: value for name, value in content.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _check_depth(value: dict[str, Any]) -> None:
    """Bound the nesting, so that who walks, prints or writes the value cannot overflow the stack."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inner = (
            child for parent in level for child in (parent.values() if isinstance(parent, dict) else parent)
        )
        level = [child for child in inner if isinstance(child, (dict, list))]
        if not level:
            return
    raise StrictJsonError("nested too deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise StrictJsonError(f"the key '{key[:80]}' comes twice")
            seen.add(key)
    return values


def _refuse(constant: str) -> NoReturn:
    raise StrictJsonError(f"{constant} is not a JSON number")
