"""Answers without torch: a saved model is read, checked and run on numpy and the engine.

Importing this package imports none of its modules; each name is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrolled.runtime.files import SavedModel, load_model
    from unrolled.runtime.predictor import Prediction, Predictor, load
    from unrolled.runtime.saving import as_saved_model, save_model
    from unrolled.runtime.tag_predictor import Tagging, TagPredictor

_HOME = {
    "Prediction": "predictor",
    "Predictor": "predictor",
    "SavedModel": "files",
    "TagPredictor": "tag_predictor",
    "Tagging": "tag_predictor",
    "as_saved_model": "saving",
    "load": "predictor",
    "load_model": "files",
    "save_model": "saving",
}

__all__ = [
    "Prediction",
    "Predictor",
    "SavedModel",
    "TagPredictor",
    "Tagging",
    "as_saved_model",
    "load",
    "load_model",
    "save_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
