"""Whatever Unrolled has saved, opened by what it says it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unrolled.errors import OptionError
from unrolled.runtime.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from unrolled.engine import Precision
    from unrolled.runtime.predictor import Predictor
    from unrolled.runtime.tag_predictor import TagPredictor

_VECTORS = b'"unrolled-vectors"'
_HEAD_BYTES = 4096


def load(path: str | os.PathLike[str], *, weights: Precision = "float32") -> Any:
    """What a folder (or the zip of a model) holds, ready to answer.

    Nothing in the files is executed. Sizes are checked before memory is taken, checksums after reading.

    Args:
        path: of the folder or zip.
        weights: of a model's recurrent layers, as :class:`unrolled.runtime.Predictor` takes it.

    Returns:
        A :class:`unrolled.runtime.Predictor` for a classifier, a :class:`unrolled.runtime.TagPredictor` for a
        tagger, or :class:`unrolled.WordVectors` for a folder of word vectors.

    Raises:
        ModelFileError: there is nothing of the kind, or it is damaged, truncated, hostile, or of a newer
            format.
        MissingExtraError: a model's tokenizer needs a package that is not installed.
        OptionError: reduced weights for something without recurrent layers.
    """
    if holds_vectors(path):
        from unrolled.embed.vectors import WordVectors

        if weights != "float32":
            raise OptionError(f"{path} holds word vectors, which have no recurrent weights to reduce.")

        return WordVectors.load(path)
    return load_predictor(path, weights=weights)


def load_predictor(
    path: str | os.PathLike[str], *, weights: Precision = "float32"
) -> Predictor | TagPredictor:
    """A model of any task, ready to answer; word vectors are none.

    Args:
        path, weights: as for :func:`load`.

    Raises:
        ModelFileError, MissingExtraError, OptionError: as :func:`load`; and for word vectors.
    """
    from unrolled.runtime.files import load_model

    model = load_model(path)
    if model.manifest.raw["task"] == "tag":
        from unrolled.runtime.tag_predictor import TagPredictor

        return TagPredictor(model, weights=weights)
    from unrolled.runtime.predictor import Predictor

    return Predictor(model, weights=weights)


def holds_vectors(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds word vectors; without loading what reads them, unless it does."""
    try:
        with (Path(path) / MANIFEST_NAME).open("rb") as file:
            if _VECTORS not in file.read(_HEAD_BYTES):
                return False
    except (OSError, ValueError):
        return False
    from unrolled.embed.saved import is_vector_folder

    return is_vector_folder(path)
