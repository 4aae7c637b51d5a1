"""How good vectors are: agreement with people about pairs of words, and analogies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.data.encoding import decoded
from unrolled.data.sources import ByteSource
from unrolled.embed.neighbours import nearest
from unrolled.embed.table import VectorTable
from unrolled.errors import DataError


def evaluate_pairs(table: VectorTable, path: str | Path) -> dict[str, Any]:
    """Rank correlation (Spearman) of the cosines of word pairs with people's judgement, as in WordSim-353.

    Args:
        table: the vectors. A word that they lack is also looked for in lower case.
        path: a line a pair: two words and a number, divided by tabs (or commas); lines that begin with ``#``
            are skipped, and a first line without a number is a header.

    Returns:
        ``spearman``, ``pearson`` (``None`` if fewer than two pairs are known), ``pairs``, ``unknown``.

    Raises:
        DataError: a line that is no pair, a number that is not finite, or not one pair.
    """
    ours: list[float] = []
    theirs: list[float] = []
    unknown = 0
    for number, line in _lines(path):
        if not line or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("\t" if "\t" in line else ",")]
        try:
            score = float(fields[2])
        except (IndexError, ValueError):
            if number == 1:
                continue
            raise DataError(
                "expected two words and a number, divided by tabs", source=path, line=number
            ) from None
        if not math.isfinite(score):
            raise DataError(f"'{fields[2]}' is not a finite number", source=path, line=number)
        places = [_place(table, word) for word in fields[:2]]
        if places[0] is None or places[1] is None:
            unknown += 1
            continue
        ours.append(float(table.unit[places[0]] @ table.unit[places[1]]))
        theirs.append(score)
    if not ours and not unknown:
        raise DataError(
            "holds no pairs: expected two words and a number a line, divided by tabs", source=path
        )
    return {
        "spearman": _correlation(_ranks(ours), _ranks(theirs)),
        "pearson": _correlation(np.array(ours), np.array(theirs)),
        "pairs": len(ours),
        "unknown": unknown,
    }


def evaluate_analogies(table: VectorTable, path: str | Path) -> dict[str, Any]:
    """Share of analogies "a is to b as c is to d" for which d is nearest to ``b - a + c`` (Mikolov et al.
    2013, "Efficient Estimation ...", section 4), the three words themselves left out.

    Args:
        table: the vectors. A word that they lack is also looked for in lower case.
        path: a line an analogy: four words; a line ``: name`` begins a section.

    Returns:
        ``accuracy`` (``None`` if no analogy is known), ``correct``, ``analogies``, ``unknown``, and
        ``sections``: the same by name.

    Raises:
        DataError: a line that has not four words.
    """
    sections: dict[str, dict[str, Any]] = {}
    current = ""
    questions: list[tuple[str, list[int]]] = []
    for number, line in _lines(path):
        if line.startswith(":"):
            current = line[1:].strip()
            continue
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if len(words) != 4:
            raise DataError(f"expected four words, found {len(words)}", source=path, line=number)
        figures = sections.setdefault(current, {"correct": 0, "analogies": 0, "unknown": 0})
        places = [_place(table, word) for word in words]
        if None in places:
            figures["unknown"] += 1
        else:
            figures["analogies"] += 1
            questions.append((current, [place for place in places if place is not None]))
    if not sections:
        raise DataError("holds no analogies: expected four words a line", source=path)
    if questions:
        quads = np.array([places for _, places in questions])
        asked = table.unit[quads[:, 1]] - table.unit[quads[:, 0]] + table.unit[quads[:, 2]]
        found, _ = nearest(table.unit, asked, 1, quads[:, :3].tolist())
        for (section, _), right in zip(questions, found[:, 0] == quads[:, 3], strict=True):
            sections[section]["correct"] += int(right)
    total = {
        name: sum(section[name] for section in sections.values())
        for name in ("correct", "analogies", "unknown")
    }
    return {**_with_accuracy(total), "sections": {name: _with_accuracy(s) for name, s in sections.items()}}


def _with_accuracy(figures: dict[str, Any]) -> dict[str, Any]:
    count = figures["analogies"]
    return {"accuracy": figures["correct"] / count if count else None, **figures}


def _place(table: VectorTable, word: str) -> int | None:
    place = table.index.get(word)
    return table.index.get(word.lower()) if place is None else place


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    source = ByteSource(path)
    text = "".join(decoded(source.chunks(), "utf-8-sig", source.name))
    yield from enumerate((line.rstrip("\r") for line in text.split("\n")), 1)


def _ranks(values: list[float]) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    array = np.array(values)
    _, group, sizes = np.unique(array, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    ranks: np.ndarray = ((last - sizes + 1 + last) / 2)[group] if len(array) else array
    return ranks


def _small(values: np.ndarray) -> np.ndarray:
    """Divided by a power of two, without rounding, so that squares of large values stay finite."""
    scaled: np.ndarray = np.ldexp(values, -math.frexp(float(np.abs(values).max()))[1])
    return scaled


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    if len(a) < 2:
        return None
    a, b = _small(a), _small(b)
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / scale if scale else None
