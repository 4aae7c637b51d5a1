"""Layers to answers: the many-to-one models (classification, several labels, regression)."""

from unrolled.models.batch import EncodedBatch
from unrolled.models.classifier import TextClassifier

__all__ = ["EncodedBatch", "TextClassifier"]
