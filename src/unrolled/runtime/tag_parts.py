"""The parts of a saved tagger, each checked against the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.data.spans import allowed_transitions
from unrolled.embed.fixed import FixedVectors
from unrolled.errors import ModelFileError, OptionError
from unrolled.runtime.embedding_bag import EmbeddingBag
from unrolled.runtime.files import SavedModel
from unrolled.runtime.manifest import KEPT_NAME, TOKENIZER_NAME
from unrolled.runtime.tag_manifest import FIXED_NAME, WIDE_KEPT_NAME, WIDE_NAME, WIDE_SCALE_NAME, TagManifest
from unrolled.runtime.tagging import CrfArrays, wide_table
from unrolled.text.ngrams import NgramHasher
from unrolled.text.offsets import Segmenter
from unrolled.text.windows import WindowFeatures
from unrolled.text.word_features import WordFeatures, parsed_words


def content_of(model: SavedModel) -> dict[str, Any]:
    """``tokenizer.json``, which the other functions take their part of.

    Raises:
        ModelFileError: no JSON object.
    """
    try:
        return parsed_words(model.tokenizer_json)
    except ModelFileError as error:
        where = TOKENIZER_NAME if model.path is None else str(model.path / TOKENIZER_NAME)
        raise ModelFileError(f"{where}: {error} Copy or train the model again.") from None


def features_of(model: SavedModel, manifest: TagManifest, content: Mapping[str, Any]) -> WordFeatures:
    """What is seen of a word.

    Raises:
        ModelFileError: damaged, or of another model.
    """
    options = manifest.options
    where = TOKENIZER_NAME if model.path is None else str(model.path / TOKENIZER_NAME)
    try:
        hasher = None
        if options.ngram_max:
            hasher = NgramHasher(
                options.ngram_min, options.ngram_max, options.ngram_buckets, model.weights.get(KEPT_NAME)
            )
        features = WordFeatures.from_dict(content, hasher)
    except (ModelFileError, OptionError) as error:
        raise ModelFileError(f"{where}: {error} Copy or train the model again.") from None
    if (features.table_rows, features.character_count) != (manifest.table_rows, manifest.characters):
        raise ModelFileError(
            f"{where}: it has {features.table_rows} rows of words and {features.character_count} characters, "
            f"the model {manifest.table_rows} and {manifest.characters}. The files do not belong together: "
            "copy the model again."
        )
    return features


def crf_of(manifest: TagManifest, members: list[dict[str, np.ndarray]]) -> CrfArrays:
    """Mean of the members' transitions, minus infinity where the scheme forbids them."""
    allowed = allowed_transitions(manifest.labels, "none" if manifest.scheme == "none" else "bioes")
    arrays = [
        np.where(mask, np.mean([member[f"crf.{name}"] for member in members], axis=0), -np.inf)
        for name, mask in zip(("transitions", "start", "end"), allowed, strict=True)
    ]
    return tuple(np.ascontiguousarray(array, dtype=np.float32) for array in arrays)  # type: ignore[return-value]


def fixed_of(model: SavedModel, content: Mapping[str, Any]) -> FixedVectors | None:
    """The fixed vectors, or ``None``.

    Raises:
        ModelFileError: their words are damaged.
    """
    if FIXED_NAME not in model.weights:
        return None
    table = model.weights[FIXED_NAME]
    words = list(map(str, list_of(model, content, "vector_words")))
    if len(words) != len(table) or len(set(words)) != len(words):
        raise ModelFileError(f"{model.path or 'the model'}: the words of its vectors are damaged.")
    return FixedVectors(words, table)


def wide_of(model: SavedModel) -> tuple[WindowFeatures, EmbeddingBag] | None:
    """The wide part: its features and their scores; ``None`` for a model without.

    Raises:
        ModelFileError: damaged.
    """
    if WIDE_NAME not in model.weights or not len(model.weights[WIDE_NAME]):
        return None
    try:
        table = wide_table(model.weights[WIDE_NAME], model.weights[WIDE_SCALE_NAME])
        return WindowFeatures(model.weights[WIDE_KEPT_NAME]), EmbeddingBag(table)
    except OptionError as error:
        raise ModelFileError(f"{model.path or 'the model'}: {error} Copy or train the model again.") from None


def segmenter_of(model: SavedModel, manifest: TagManifest, content: Mapping[str, Any]) -> Segmenter:
    """How texts are divided into words.

    Raises:
        ModelFileError: missing, damaged, or of another model.
    """
    saved = content.get("segmenter")
    where = TOKENIZER_NAME if model.path is None else str(model.path / TOKENIZER_NAME)
    if not isinstance(saved, dict):
        raise ModelFileError(f"{where}: how texts are divided into words is missing. Train the model again.")
    try:
        segmenter = Segmenter.from_dict(saved)
    except ModelFileError as error:
        raise ModelFileError(f"{where}: {error} Copy or train the model again.") from None
    if segmenter.characters != manifest.by_character:
        raise ModelFileError(
            f"{where}: it divides texts otherwise than the model says. Copy the model again."
        )
    return segmenter


def list_of(model: SavedModel, content: Mapping[str, Any], name: str) -> list[Any]:
    """A list of ``tokenizer.json`` beside those of :class:`WordFeatures`; empty if it is not there."""
    found = content.get(name, [])
    if not isinstance(found, list):
        raise ModelFileError(f"{model.path or 'the model'}: its list '{name}' is damaged.")
    return found
