"""Unrolled: recurrent text models on an ordinary CPU, from a labelled file to a served answer.

>>> import unrolled
>>> model = unrolled.Classifier().fit("train.tsv", dev="dev.tsv")  # doctest: +SKIP
>>> model.predict(["정말 재미있는 영화"])  # doctest: +SKIP

Importing the package imports nothing else; each name and submodule is fetched when it is first used. Training
needs the extra ``train`` (torch); :func:`load` and prediction do not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrolled.embed.vectors import WordVectors as WordVectors
    from unrolled.options import ClassifierOptions as ClassifierOptions
    from unrolled.options import TaggerOptions as TaggerOptions
    from unrolled.runtime.opening import load as load
    from unrolled.train.classifier import Classifier as Classifier
    from unrolled.train.tagger import Tagger as Tagger

    __version__: str

_HOME = {
    "Classifier": "unrolled.train.classifier",
    "ClassifierOptions": "unrolled.options",
    "Tagger": "unrolled.train.tagger",
    "TaggerOptions": "unrolled.options",
    "WordVectors": "unrolled.embed.vectors",
    "load": "unrolled.runtime.opening",
}
_MODULES = frozenset(
    (
        "cells",
        "data",
        "embed",
        "engine",
        "errors",
        "layers",
        "models",
        "nn",
        "options",
        "runtime",
        "text",
        "train",
    )
)

__all__ = ["Classifier", "ClassifierOptions", "Tagger", "TaggerOptions", "WordVectors", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("unrolled")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"
