"""A picture of words: one HTML file that needs nothing else, with search, zoom and the true neighbours."""

from __future__ import annotations

import html
import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np

from unrolled.embed.neighbours import nearest
from unrolled.embed.table import VectorTable
from unrolled.embed.writing import write_whole
from unrolled.errors import DataError

_NEIGHBOURS = 10
_QUERIES = 4096


def write_map(table: VectorTable, path: str | Path, *, words: int = 1000, around: str | None = None) -> int:
    """Write the map.

    Args:
        table: the vectors.
        path: of the HTML file.
        words: how many to draw: the most frequent, or those nearest to ``around``.
        around: a word whose neighbourhood to draw.

    Returns:
        How many words were drawn.

    Raises:
        UnknownWordError: ``around`` has no vector.
        DataError: fewer than two words, or the file cannot be written.
    """
    if around is None:
        chosen = np.arange(min(words, len(table.words)))
    else:
        found, _ = nearest(table.unit, table.vector(around)[None], words)
        chosen = found[0]
    if len(chosen) < 2:
        raise DataError("a map needs two words or more")
    rows = table.unit[chosen]
    near: list[list[list[object]]] = []
    for begin in range(0, len(chosen), _QUERIES):
        asked = chosen[begin : begin + _QUERIES]
        places, cosines = nearest(table.unit, table.unit[asked], _NEIGHBOURS, asked[:, None].tolist())
        near += [
            [[table.words[row], round(cosine, 3)] for row, cosine in zip(*pair, strict=True) if cosine > -1e9]
            for pair in zip(places.tolist(), cosines.tolist(), strict=True)
        ]
    content = {
        "words": [table.words[row] for row in chosen.tolist()],
        "places": np.round(plane(rows), 4).tolist(),
        "near": near,
    }
    # In a script element only "<" could end it: no word is ever read as HTML.
    data = json.dumps(content, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    title = "Word vectors" if around is None else f"Word vectors around {around}"
    page = files("unrolled.embed").joinpath("map.html").read_text(encoding="utf-8")
    # In one go: what is put in is not searched for places again, whatever the word says.
    given = {"title": html.escape(title), "data": data}
    page = re.sub(r"\{\{(title|data)\}\}", lambda place: given[place[1]], page)
    write_whole(Path(path), [page.encode("utf-8", "replace")])
    return len(chosen)


def plane(vectors: np.ndarray) -> np.ndarray:
    """``(n, 2)``: the vectors on the plane of their largest variance (PCA), within -1 and 1.

    The sign of an axis, which PCA leaves open, is set so that the farthest point lies on the positive side.
    """
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    axes = directions[:, ::-1][:, :2]
    places = centred @ axes
    if places.shape[1] < 2:
        places = np.pad(places, ((0, 0), (0, 1)))
    far = np.abs(places).argmax(axis=0)
    places *= np.where(places[far, [0, 1]] < 0, -1.0, 1.0)
    scaled: np.ndarray = places / max(float(np.abs(places).max()), 1e-12)
    return scaled
