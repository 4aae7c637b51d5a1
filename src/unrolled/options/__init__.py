"""Options: one validated object a task, for Python, the command line and the saved model."""

from unrolled.options.base import Options, option
from unrolled.options.classifier import PRESET_REASONS, PRESETS, ClassifierOptions
from unrolled.options.tagger import TAGGER_PRESET_REASONS, TAGGER_PRESETS, TaggerOptions

__all__ = [
    "PRESETS",
    "PRESET_REASONS",
    "TAGGER_PRESETS",
    "TAGGER_PRESET_REASONS",
    "ClassifierOptions",
    "Options",
    "TaggerOptions",
    "option",
]
