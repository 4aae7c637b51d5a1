"""``unrolled info`` on models whose notes are not what training writes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unrolled.cli.info import _show, list_of, number_of, object_of, text_of
from unrolled.runtime import load


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from _places(inner, (*path, key))


def test_odd_notes_are_shown_as_unknown(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = load(model).info()
    swept = 0
    for part in ("training", "metrics"):
        for path in _places(info[part], (part,)):
            for odd in (None, [], {}, "x", -1, 10**400):
                changed = copy.deepcopy(info)
                holder = changed
                for key in path[:-1]:
                    holder = holder[key]
                holder[path[-1]] = odd
                _show(str(model), changed)
                assert "one label a text" in capsys.readouterr().out
                swept += 1
    assert swept > 100
    changed = copy.deepcopy(info)
    changed["training"]["seconds"] = []
    changed["training"]["epochs_run"] = None
    _show(str(model), changed)
    assert "unknown, unknown epochs" in " ".join(capsys.readouterr().out.split())


def test_values_of_another_type_are_not_taken() -> None:
    assert [number_of(odd) for odd in (True, "3", None, -1, float("inf"), 10**400)] == [None] * 6
    assert number_of(3) == 3 and number_of(0) == 0
    assert (text_of(3), text_of("a"), list_of("a"), list_of([1])) == (None, "a", [], [1])
    assert (object_of([1]), object_of({"a": 1})) == ({}, {"a": 1})
