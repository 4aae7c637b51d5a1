"""The loop: records to a trained model. Importing this package imports none of its modules (and no torch)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unrolled.errors import MissingExtraError
from unrolled.interrupt import TrainingInterrupted

if TYPE_CHECKING:
    from unrolled.train.classifier import Classifier
    from unrolled.train.fitting import fit
    from unrolled.train.log import Epoch
    from unrolled.train.progress import BarProgress, Progress, Silent
    from unrolled.train.tag_fitting import fit_tagger
    from unrolled.train.tagger import Tagger

_HOME = {
    "BarProgress": "progress",
    "Classifier": "classifier",
    "Epoch": "log",
    "Progress": "progress",
    "Silent": "progress",
    "Tagger": "tagger",
    "fit": "fitting",
    "fit_tagger": "tag_fitting",
}

__all__ = [
    "BarProgress",
    "Classifier",
    "Epoch",
    "Progress",
    "Silent",
    "Tagger",
    "TrainingInterrupted",
    "fit",
    "fit_tagger",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_HOME[name]}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("training", package="torch", extra="train") from None
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
