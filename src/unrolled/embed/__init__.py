"""Token ids to vectors, on numpy: one-hot, lookup, and word vectors: training, questions, files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unrolled.embed.embedding import lookup, vectors_for
from unrolled.embed.one_hot import one_hot

if TYPE_CHECKING:
    from unrolled.embed.options import VectorOptions
    from unrolled.embed.vectors import WordVectors

#: Fetched when they are first used.
_HOME = {"VectorOptions": "options", "WordVectors": "vectors"}

__all__ = ["VectorOptions", "WordVectors", "lookup", "one_hot", "vectors_for"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
